"""Judges what a command does to files: deletes, overwrites, changed rights, and writes into this tool's own state."""

from collections.abc import Iterable, Iterator

from mcp_e2e.decisions.policy import find
from mcp_e2e.decisions.policy.places import Place, Surroundings, is_harmless_device, is_scratch
from mcp_e2e.decisions.policy.words import Arguments, Command, Concern, Word, arguments, program

_OVERWRITING = {">", ">|", "&>", ">&"}
_WRITING = {*_OVERWRITING, ">>", "&>>", "<>"}
_RIGHTS = {"chmod", "chown", "chgrp", "chattr", "setfacl"}
_CHANGES_ALL_OPERANDS = _RIGHTS | {
    "tee", "touch", "truncate", "shred", "rmdir", "mv", "gzip", "patch",
    "vi", "vim", "nvim", "nano", "emacs", "ed", "ex",
}  # fmt: skip
_CHANGES_LAST_OPERAND = {"cp", "install", "rsync", "ln", "scp"}
_OUTPUT_OPTIONS = {"curl": ("-o", "--output"), "wget": ("-O", "--output-document"), "sort": ("-o", "--output")}
_TAKING = {
    "curl": ("-o", "--output", "-H", "-X", "-d"),
    "wget": ("-O", "--output-document"),
    "sort": ("-o", "--output", "-k", "-t"),
    "truncate": ("-s", "--size", "-r", "--reference"),
    "shred": ("-n", "-s"),
    "sed": ("-e", "-f"),
    "sqlite3": ("-cmd", "-separator", "-init", "-nullvalue", "-newline"),
    **dict.fromkeys((*_CHANGES_LAST_OPERAND, "mv"), ("-t", "--target-directory", "-m", "-S", "-e")),
}


def judge_files(command: Command, around: Surroundings) -> Iterator[Concern]:
    name = program(command.words)
    given = arguments(command.words[1:], _TAKING.get(name, ()))
    yield from _redirected(command, around)
    if any(around.is_own_state(place) for place in _places(_written(name, given, command), command, around)):
        yield command.concern("tampering", "writes into this tool's own state")
    if name in {"rm", "unlink"}:
        yield from _deleted(command, given.operands, around, recursive=given.has("-r", "-R", "--recursive"))
    elif name == "find" and find.deletes(command.words):
        yield from _deleted(command, find.found_by(command.words), around, recursive=True)
    elif name == "mv":
        yield from _moved(command, given, around)
    elif name in _RIGHTS and given.has("-R", "--recursive"):
        yield from _rights(command, given, around)
    elif name in {"truncate", "dd", "tee"}:
        yield from _overwritten(command, name, given, around)


def _places(words: Iterable[Word], command: Command, around: Surroundings) -> Iterator[Place]:
    found = (around.place(word, command.cwd) for word in words)
    return (place for place in found if place is not None)


def _redirected(command: Command, around: Surroundings) -> Iterator[Concern]:
    for redirect in command.redirects:
        place = around.place(redirect.target, command.cwd)
        if place is None or redirect.operator not in _WRITING or redirect.target.text.isdigit():
            continue
        if around.is_own_state(place):
            yield command.concern("tampering", "writes into this tool's own state")
        elif redirect.operator in _OVERWRITING and _is_foreign(place, around):
            yield command.concern("destructive", f"overwrites {place.path}")


def _is_foreign(place: Place, around: Surroundings) -> bool:
    return not (around.in_project(place) or is_scratch(place) or is_harmless_device(place))


def _written(name: str, given: Arguments, command: Command) -> tuple[Word, ...]:
    """The words that name files the command would change."""
    if name in _CHANGES_ALL_OPERANDS or (name == "sed" and given.has("-i", "--in-place")):
        return (*given.operands, *given.valued("-t", "--target-directory"))
    if name in _CHANGES_LAST_OPERAND:
        return given.valued("-t", "--target-directory") or given.operands[-1:]
    if name == "sqlite3":
        return _database(given, command)
    if name == "dd":
        return tuple(Word(word.text[3:]) for word in command.words if word.text.startswith("of="))
    return given.valued(*_OUTPUT_OPTIONS.get(name, ()))


def _database(given: Arguments, command: Command) -> tuple[Word, ...]:
    if any(word.text.lstrip("-") == "readonly" for word in command.words):
        return ()
    path, _, query = next((word.text for word in given.operands), "").partition("?")
    reads_only = "mode=ro" in query or "immutable=1" in query
    return () if reads_only or not path else (Word(path.removeprefix("file:")),)


def _deleted(command: Command, targets: Iterable[Word], around: Surroundings, *, recursive: bool) -> Iterator[Concern]:
    for target in targets:
        place = around.place(target, command.cwd)
        if place is None:
            if recursive:
                yield command.concern("destructive", "deletes a folder whose name only the shell will know")
            continue
        if around.is_own_state(place) or (recursive and around.takes_own_state_along(place)):
            yield command.concern("tampering", f"deletes this tool's own state in {place.path}")
        if _is_loss(place, around, recursive=recursive):
            depth = " with everything in it" if recursive else ""
            yield command.concern("destructive", f"deletes {place.path}{depth}")


def _is_loss(place: Place, around: Surroundings, *, recursive: bool) -> bool:
    if around.is_evidence(place) or around.is_all_of_project(place):
        return True
    if not around.in_project(place):
        return recursive or not is_scratch(place)
    history = f"{around.project}/.git"
    return recursive and (place.covers(history) or ".git" in place.path[len(around.project) :].split("/"))


def _moved(command: Command, given: Arguments, around: Surroundings) -> Iterator[Concern]:
    sources = given.operands if given.has("-t", "--target-directory") else given.operands[:-1]
    for place in _places(sources, command, around):
        if around.takes_own_state_along(place) and not around.is_own_state(place):
            yield command.concern("tampering", f"moves this tool's own state in {place.path}")


def _rights(command: Command, given: Arguments, around: Surroundings) -> Iterator[Concern]:
    targets = given.operands if given.has("--reference") else given.operands[1:]
    for place in _places(targets, command, around):
        if not around.in_project(place):
            yield command.concern("destructive", f"changes the rights of all in {place.path}")


def _overwritten(command: Command, name: str, given: Arguments, around: Surroundings) -> Iterator[Concern]:
    sizes = {word.text for word in given.valued("-s", "--size")}
    if (name == "truncate" and not sizes & {"0", "0B", "0K"}) or (name == "tee" and given.has("-a", "--append")):
        return
    for place in _places(_written(name, given, command), command, around):
        if _is_foreign(place, around):
            yield command.concern("destructive", f"overwrites {place.path}")
