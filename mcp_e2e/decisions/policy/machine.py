"""Judges what reaches beyond files: disks, power, containers, code from the network, and this tool's own reset."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mcp_e2e.decisions.policy.programs import shell_call, unwrapped
from mcp_e2e.decisions.policy.words import DYNAMIC, Command, Concern, Word, arguments, program

_POWER = {"shutdown", "reboot", "halt", "poweroff"}
_WIPES = {"shred", "wipefs", "blkdiscard"}
_DOWNLOADS = {"curl", "wget", "aria2c", "fetch"}
_CONTAINERS = {"docker", "podman", "nerdctl"}
_PRUNES = {("system", "prune"), ("volume", "prune"), ("volume", "rm")}
_OWN_VALUES = ("--project", "--config")


def judge_machine(command: Command) -> Iterator[Concern]:
    name = program(command.words)
    if name in _WIPES or name.startswith("mkfs"):
        yield command.concern("destructive", "destroys what is stored there beyond recovery")
    elif _powers_off(command.words):
        yield command.concern("destructive", "stops this machine")
    elif name in _CONTAINERS:
        yield from _containers(command)
    elif _runs_download(command):
        yield command.concern("destructive", "runs code straight from the network")
    elif _resets(command.words):
        yield command.concern("tampering", "resets what only a person may reset")


def _powers_off(words: Sequence[Word]) -> bool:
    name, texts = program(words), [word.text for word in words[1:]]
    if name in _POWER:
        return not {"-c", "--help"} & set(texts)
    if name in {"init", "telinit"}:
        return texts[:1] in (["0"], ["6"])
    return name == "systemctl" and bool(_POWER & set(texts))


def _containers(command: Command) -> Iterator[Concern]:
    texts = [word.text for word in command.words[1:]]
    if tuple(text for text in texts if not text.startswith("-"))[:2] in _PRUNES:
        yield command.concern("destructive", "deletes containers, images or volumes of every project")
    if ({"run", "create"} & set(texts)) and any(_mounts_root(*pair) for pair in pairwise(["", *texts])):
        yield command.concern("destructive", "gives a container this machine's whole file system")


def _mounts_root(before: str, text: str) -> bool:
    if before in {"-v", "--volume"} or text.startswith(("-v", "--volume=")):
        return text.removeprefix("-v").removeprefix("--volume").removeprefix("=").startswith("/:")
    fields = text.removeprefix("--mount=").split(",") if before == "--mount" or text.startswith("--mount=") else []
    return any(field in {"source=/", "src=/"} for field in fields)


def _runs_download(command: Command) -> bool:
    if program(command.words) in _DOWNLOADS:
        return _is_code(command.holder)
    call = shell_call(command.words)
    reads_input = (call.reads_input and call.script is None) if call else _is_bare_interpreter(command.words)
    return reads_input and any(program(unwrapped(feeding)) in _DOWNLOADS for feeding in command.before)


def _is_code(holder: tuple[Word, ...]) -> bool:
    """Whether the program behind ``holder`` runs the word that a substitution begins."""
    words = unwrapped(Command(holder, "", None))
    if program(words) in {"eval", "source", "."}:
        return any(word.text.startswith(DYNAMIC) for word in words[1:2])
    call = shell_call(words)
    ran = (call.script or next(iter(call.operands), None)) if call else None
    return ran is not None and ran.text.startswith(DYNAMIC)


def _is_bare_interpreter(words: Sequence[Word]) -> bool:
    known = program(words).rstrip("0123456789.") in {"python", "perl", "ruby", "node"}
    return known and all(word.text == "-" for word in words[1:])


def _resets(words: Sequence[Word]) -> bool:
    name, texts = program(words), [word.text for word in words]
    if name.startswith(("python", "pypy")):
        at = next((at for at, pair in enumerate(pairwise(texts)) if pair == ("-m", "mcp_e2e")), None)
        if at is None:
            return False
        words = words[at + 1 :]
    elif name not in {"mcp-e2e", "mcp_e2e"}:
        return False
    given = arguments(words[1:], _OWN_VALUES)
    wish = tuple(word.text for word in given.operands[:2])
    return not given.has("--help") and (wish[:1] == ("reset",) or wish == ("breaker", "reset"))
