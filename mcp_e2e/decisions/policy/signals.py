"""Judges what ends processes: by number, by name, by port."""

from collections.abc import Iterator, Mapping, Sequence

from mcp_e2e.decisions.policy.programs import unwrapped
from mcp_e2e.decisions.policy.words import Command, Concern, Word, arguments, program

_BY_NAME = {"pkill", "killall", "skill"}
_LOOKUPS = {"pgrep", "pidof", "lsof", "fuser"}
_TAKING = ("-s", "--signal", "-P", "--parent", "-g", "-u", "-U", "-t", "-n", "--pgroup", "--euid", "--uid", "--user")


def judge_signals(command: Command, protected: Mapping[int, str]) -> Iterator[Concern]:
    """``protected``: process ids and what they are."""
    name = program(command.words)
    if name == "kill":
        yield from _kill(command, protected)
    elif name in _BY_NAME or (name in _LOOKUPS and _kills_found(command)):
        yield from _by_name(command, command.words[1:])
    elif name.lower() == "taskkill":
        yield from _taskkill(command, protected)


def _kills_found(lookup: Command) -> bool:
    """``fuser -k …``, or ``kill $(pgrep …)``."""
    if program(lookup.words) == "fuser" and arguments(lookup.words[1:]).has("-k", "--kill"):
        return True
    holder = unwrapped(Command(lookup.holder, "", None))
    return program(holder) == "kill" and _sends(holder[1:])


def judge_killed_lookup(command: Command) -> Iterator[Concern]:
    """``pgrep … | xargs kill``: the names stand in the commands before."""
    if program(command.words) == "kill" and _sends(command.words[1:]):
        for feeding in command.before:
            words = unwrapped(feeding)
            if program(words) in _LOOKUPS:
                yield from _by_name(command, words[1:])


def _sends(words: Sequence[Word]) -> bool:
    """Whether a signal goes out at all: neither ``-l`` nor the mere question ``-0``."""
    first = words[0].text if words else ""
    asks = first in {"-0", "-l", "-L", "--list"}
    return not asks and not (first == "-s" and len(words) > 1 and words[1].text == "0")


def _kill(command: Command, protected: Mapping[int, str]) -> Iterator[Concern]:
    words = command.words[1:]
    if not _sends(words):
        return
    for word in _targets(words):
        number = _number(word)
        if number == -1:
            yield command.concern("destructive", "ends every process of this user")
        elif number is not None and abs(number) in protected:
            yield command.concern("tampering", f"ends {protected[abs(number)]}")


def _targets(words: Sequence[Word]) -> Sequence[Word]:
    first = words[0].text if words else ""
    if first in {"-s", "-n", "--signal"}:
        words = words[2:]
    elif first.startswith("-") and first != "--":
        words = words[1:]
    return words[1:] if words and words[0].text == "--" else words


def _number(word: Word) -> int | None:
    digits = word.text.removeprefix("-")
    return int(word.text) if digits.isascii() and digits.isdecimal() and len(digits) < 12 else None


def _by_name(command: Command, words: Sequence[Word]) -> Iterator[Concern]:
    given = arguments(words, _TAKING)
    if given.has("-P", "--parent") or given.has("-0", "--list", "-l"):
        return
    if any(_is_own(word.text) for word in words):
        yield command.concern("tampering", "ends this tool's own processes")
    else:
        yield command.concern("destructive", "ends whatever has that name or port, the session included")


def _is_own(pattern: str) -> bool:
    """Whether it names ``mcp-e2e``, ``mcp_e2e`` or its keeper, also as a pattern such as ``mcp.e2e``."""
    return "mcpe2e" in "".join(sign for sign in pattern.lower() if sign.isalnum())


def _taskkill(command: Command, protected: Mapping[int, str]) -> Iterator[Concern]:
    texts = [word.text.lower() for word in command.words[1:]]
    options = [text.lstrip("/-") if text.startswith(("/", "-")) else "" for text in texts]
    numbers = [_number(word) for word in command.words[1:]]
    own = [protected[number] for number in numbers if number is not None and number in protected]
    if own:
        yield command.concern("tampering", f"ends {own[0]}")
    elif any(_is_own(text) for text in texts):
        yield command.concern("tampering", "ends this tool's own processes")
    elif "im" in options or "fi" in options:
        yield command.concern("destructive", "ends whatever has that name, the session included")
