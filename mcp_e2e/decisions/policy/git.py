"""Judges git: what throws away work that no commit holds, or history that others hold."""

from collections.abc import Iterator

from mcp_e2e.decisions.policy.places import Surroundings, joined
from mcp_e2e.decisions.policy.words import Arguments, Command, Concern, Word, arguments, program

_GLOBAL_VALUES = {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"}
_TAKING = {
    "checkout": ("-b", "-B", "--orphan"),
    "push": ("-o", "--push-option", "--repo"),
    "restore": ("-s", "--source"),
    "switch": ("-c", "-C", "--create"),
    "clean": ("-e", "--exclude"),
}
_EVERYTHING = {":/", "*", ":/*", ":"}


def judge_git(command: Command, around: Surroundings) -> Iterator[Concern]:
    if program(command.words) != "git":
        return
    at, cwd = _subcommand(command)
    if at >= len(command.words):
        return
    name = command.words[at].text
    given = arguments(command.words[at + 1 :], _TAKING.get(name, ()))
    if what := _loss(name, given, around, cwd):
        yield command.concern("destructive", what)


def _subcommand(command: Command) -> tuple[int, str | None]:
    """Where the subcommand stands, and the folder that ``-C`` has led to."""
    at, cwd = 1, command.cwd
    while at < len(command.words) and command.words[at].text.startswith("-"):
        takes_value = command.words[at].text in _GLOBAL_VALUES
        if command.words[at].text == "-C" and at + 1 < len(command.words):
            cwd = joined(cwd, command.words[at + 1])
        at += 2 if takes_value else 1
    return at, cwd


def _loss(name: str, given: Arguments, around: Surroundings, cwd: str | None) -> str:
    first = given.operands[0].text if given.operands else ""
    match name:
        case "reset" if given.has("--hard"):
            return "throws away uncommitted work"
        case "clean" if given.has("-f", "--force") and not given.has("-n", "--dry-run"):
            return "deletes files that git does not track"
        case "checkout" | "switch" if given.has("-f", "--force", "--discard-changes"):
            return "throws away uncommitted work"
        case "checkout" if any(_is_all(word, around, cwd) for word in given.operands):
            return "throws away uncommitted work"
        case "restore" if _touches_files(given) and any(_is_all(word, around, cwd) for word in given.operands):
            return "throws away uncommitted work"
        case "push" if _forces(given):
            return "overwrites history on the remote"
        case "branch" if given.has("-D") or (given.has("-d", "--delete") and given.has("-f", "--force")):
            return "deletes a branch, merged or not"
        case "stash" if first in {"drop", "clear"}:
            return "deletes stashed work"
        case "reflog" if first in {"expire", "delete"}:
            return "deletes the way back to lost commits"
    return ""


def _touches_files(given: Arguments) -> bool:
    return given.has("-W", "--worktree") or not given.has("-S", "--staged")


def _is_all(word: Word, around: Surroundings, cwd: str | None) -> bool:
    if word.text in _EVERYTHING or word.text.rstrip("/") == ".":
        return True
    place = around.place(word, cwd) if word.text.startswith((".", "/")) else None
    return place is not None and around.is_all_of_project(place)


def _forces(given: Arguments) -> bool:
    refs = given.operands[1:]
    return bool({"-f", "--force", "--mirror"} & given.options) or any(word.text.startswith("+") for word in refs)
