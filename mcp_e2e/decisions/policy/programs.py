"""Which program a command really runs: wrappers looked through, shells and their scripts recognised."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from mcp_e2e.decisions.policy.find import found_by
from mcp_e2e.decisions.policy.words import DYNAMIC, SHELL_PLACEHOLDER, Command, Word, program

MOST_WRAPPERS = 64
MOST_FILLED = 4096  # characters that xargs -I may put into one word
SHELLS = {"sh", "bash", "zsh", "dash", "ksh", "ash", "fish"}
_SHELL_VALUES = {"-o", "+o", "-O", "+O", "--rcfile", "--init-file"}
_SCRIPT_OPTIONS = {  # wrappers that can take a whole shell line as one word
    "su": ("-c", "--command"),
    "runuser": ("-c", "--command"),
    "script": ("-c", "-qc", "-qec", "-ec", "--command"),
    "flock": ("-c", "--command"),
    "env": ("-S", "--split-string"),
}
_PROJECT_RUNNERS = {"uv", "poetry", "pdm", "hatch", "pipenv", "rye", "pipx"}


@dataclass(frozen=True)
class _Wrapper:
    """``values``: options that swallow a word; ``operands``: how many stand before the program."""

    values: frozenset[str] = frozenset()
    operands: int = 0


def _wrapper(values: str = "", operands: int = 0) -> _Wrapper:
    return _Wrapper(frozenset(values.split()), operands)


_PLAIN = _wrapper()
_WRAPPERS = {
    "sudo": _wrapper(
        "-u -g -h -p -C -D -R -r -t -T -U --user --group --host --prompt --close-from --chdir --chroot"
        " --role --type --command-timeout --other-user"
    ),
    "doas": _wrapper("-u -C"),
    "env": _wrapper("-u --unset -C --chdir -S --split-string"),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c -n --class --classdata"),
    "timeout": _wrapper("-s -k --signal --kill-after", operands=1),
    "stdbuf": _wrapper("-i -o -e --input --output --error"),
    "xargs": _wrapper("-I -n -P -d -L -s -a -E --max-args --max-procs --delimiter --max-lines --arg-file --max-chars"),
    "exec": _wrapper("-a"),
    "time": _wrapper("-f -o --format --output"),
    "taskset": _wrapper(operands=1),
    "chrt": _wrapper(operands=1),
    "chroot": _wrapper(operands=1),
    "flock": _wrapper("-w -E --timeout --conflict-exit-code", operands=1),
    "watch": _wrapper("-n --interval"),
    "strace": _wrapper("-o -e -s -p"),
    "xvfb-run": _wrapper("-n -s -f -e -p -w"),
    "npx": _wrapper("-p --package"),
    "uvx": _wrapper("--from --with -p --python"),
    "systemd-run": _wrapper("-p -u --property --unit"),
}
_WRAPPERS |= dict.fromkeys(
    ("nohup", "setsid", "command", "builtin", "coproc", "busybox", "toybox", "unbuffer", "chronic", "caffeinate"),
    _PLAIN,
)


def unwrapped(command: Command) -> tuple[Word, ...]:
    """The innermost program and its arguments; still a wrapper's when there are more than ``MOST_WRAPPERS``."""
    *_, innermost = layers(command)
    return innermost


def layers(command: Command) -> Iterator[tuple[Word, ...]]:
    """The command's words, then those without the outer wrapper, and so on."""
    words = command.words
    yield words
    for _ in range(MOST_WRAPPERS):
        inner = inside(words, command)
        if inner is None:
            return
        words = inner
        yield words


def inside(words: tuple[Word, ...], command: Command) -> tuple[Word, ...] | None:
    """What the wrapper at the start of ``words`` would run; None when there is no wrapper."""
    name = program(words)
    if name in _PROJECT_RUNNERS:
        return _after_options(words[2:], _PLAIN) if len(words) > 1 and words[1].text == "run" else None
    if name == "mcp-e2e":
        return _after_options(words[2:], _wrapper("--cwd --timeout")) if _is_exec(words) else None
    wrapper = _WRAPPERS.get(name)
    if wrapper is None or (name == "command" and len(words) > 1 and words[1].text in {"-v", "-V"}):
        return None
    inner = _after_options(words[1:], wrapper)
    return _fed(words, inner, command) if name == "xargs" else inner


def _is_exec(words: tuple[Word, ...]) -> bool:
    return len(words) > 2 and words[1].text == "exec"


def _after_options(words: tuple[Word, ...], wrapper: _Wrapper) -> tuple[Word, ...]:
    at, operands = 0, wrapper.operands
    while at < len(words):
        text = words[at].text
        if text.startswith("-"):
            at += 2 if text in wrapper.values else 1
        elif _is_assignment(text):
            at += 1
        elif operands:
            at, operands = at + 1, operands - 1
        else:
            break
    return words[at:]


def _is_assignment(text: str) -> bool:
    name, equals, _ = text.partition("=")
    return bool(equals) and name.isidentifier()


def _fed(words: tuple[Word, ...], inner: tuple[Word, ...], command: Command) -> tuple[Word, ...]:
    """``inner`` with what xargs adds: what a ``find`` before it names, else something unknown."""
    before = command.before[-1].words if command.before else ()
    fed = found_by(before) if program(before) == "find" else (Word(DYNAMIC),)
    options = words[: len(words) - len(inner)]
    marks = [
        options[at + 1].text if word.text == "-I" and at + 1 < len(options) else word.text[2:] or "{}"
        for at, word in enumerate(options)
        if word.text.startswith(("-I", "-i"))
    ]
    if not marks:
        return (*inner, *fed)
    return tuple(_filled(word, marks[0], fed[0].text) for word in inner)


def _filled(word: Word, mark: str, text: str) -> Word:
    """``word`` with ``text`` for every ``mark``; unknown where nested calls would let it grow without end."""
    if word.text.count(mark) * len(text) > MOST_FILLED:
        return Word(DYNAMIC)
    return replace(word, text=word.text.replace(mark, text))


@dataclass(frozen=True)
class ShellCall:
    """A shell's ``-c`` script if it has one, its operands, and whether it reads commands from its input."""

    script: Word | None
    operands: tuple[Word, ...]
    reads_input: bool


def shell_call(words: tuple[Word, ...]) -> ShellCall | None:
    """How a shell was called; None for any other program."""
    if program(words) not in SHELLS:
        return None
    takes_script = from_input = False
    at = 1
    while at < len(words) and words[at].text[:1] in {"-", "+"} and words[at].text not in {"-", "--"}:
        text = words[at].text
        takes_script |= text.startswith("-") and not text.startswith("--") and "c" in text
        from_input |= text.startswith("-") and not text.startswith("--") and "s" in text
        at += 2 if text in _SHELL_VALUES else 1
    operands = words[at:]
    if operands and operands[0].text in {"-", "--"}:
        operands = operands[1:]
    if takes_script:
        return ShellCall(operands[0] if operands else None, operands[1:], reads_input=False)
    return ShellCall(None, operands, from_input or not operands)


def scripts(command: Command) -> Iterator[str]:
    """Every text that the command would have a shell run, as far as it stands in the command itself."""
    for words in layers(command):
        name = program(words)
        for option in _SCRIPT_OPTIONS.get(name, ()):
            yield from (_script(after) for at, after in pairwise(words) if at.text == option)
    call = shell_call(words)
    if call and call.script:
        yield _script(call.script)
    if call and call.reads_input:
        yield command.stdin
        yield _printed(command.before[-1]) if command.before else ""
    if name == "eval" or program(command.words) == "watch":
        yield " ".join(_script(word) for word in (words[1:] if name == "eval" else words))
    if name == "trap" and len(words) > 2:
        yield _script(words[1])


def _script(word: Word) -> str:
    return word.text.replace(DYNAMIC, SHELL_PLACEHOLDER)


def _printed(producer: Command) -> str:
    """What ``echo``, ``printf`` or ``cat`` of a heredoc would write."""
    words = unwrapped(producer)
    if program(words) in {"echo", "printf"}:
        return " ".join(_script(word) for word in words[1:] if not word.text.startswith("-"))
    return producer.stdin if program(words) == "cat" else ""
