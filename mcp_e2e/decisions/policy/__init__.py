"""What speaks against running a command before a person was asked: a guard rail, not a boundary.

It catches the honest mistake: a folder too many in ``rm -rf``, a ``pkill`` that also hits the session. Whoever wants
to can get round it: interpreters (``python -c``, ``perl -e``, ``node -e`` are not analysed), scripts and makefiles,
encoded text, links, programs it does not know. What must hold is held by the sandbox, not here.

Shell text is parsed (tree-sitter-bash), never searched: ``echo "rm -rf /"`` deletes nothing, ``r''m -rf /`` does.
Wrappers, ``-c`` scripts, ``eval``, substitutions, pipelines, loops and heredocs to a shell are looked into. Text that
does not parse is no concern by itself; what could be read of it is judged. Reading is always fine.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from shlex import join

from mcp_e2e.decisions.policy import find, programs
from mcp_e2e.decisions.policy.files import judge_files
from mcp_e2e.decisions.policy.git import judge_git
from mcp_e2e.decisions.policy.machine import judge_machine
from mcp_e2e.decisions.policy.parsing import MOST_TEXT, parse, work
from mcp_e2e.decisions.policy.places import Surroundings
from mcp_e2e.decisions.policy.shell import Walk
from mcp_e2e.decisions.policy.signals import judge_killed_lookup, judge_signals
from mcp_e2e.decisions.policy.words import Command, Concern, Word, program, shown

__all__ = ["Concern", "concerns"]

MOST_WORK = 131_072
"""``parsing.work`` spent on one command, scripts within scripts counted each time: under three seconds at worst."""


def concerns(
    *,
    command: str | None,
    argv: Sequence[str] | None,
    cwd: str,
    project: str,
    state_dir: str,
    home: str,
    protected: Mapping[int, str],
) -> tuple[Concern, ...]:
    """Everything that speaks against running this, in the order it stands there, each once; never raises.

    ``command`` is one line for bash, ``argv`` a program and its arguments; the other one is None. Paths are absolute
    POSIX paths (``state_dir`` may be relative to ``project``); ``protected`` maps process ids to what they are, such
    as "the keeper of service comfyui".
    """
    around = Surroundings.of(project, state_dir, home)
    found: dict[Concern, None] = {}
    left = MOST_WORK
    texts: deque[tuple[str, str | None]] = deque()
    if command is not None:
        texts.append((command, cwd))
    if argv:
        program_call = Command(tuple(Word(text) for text in argv), join(argv), cwd)
        texts += _judge(program_call, around, protected, found)
    while texts:
        text, where = texts.popleft()
        left -= work(text)
        if left < 0 or len(text) > MOST_TEXT:
            found[Concern("destructive", f"is too long or too nested to be read: {shown(text)}")] = None
            break
        for simple in Walk(parse(text), where, around.home):
            texts += _judge(simple, around, protected, found)
    return tuple(found)


def _judge(
    command: Command, around: Surroundings, protected: Mapping[int, str], found: dict[Concern, None]
) -> Iterator[tuple[str, str | None]]:
    """Adds to ``found`` what speaks against one simple command; yields the scripts it would run, and where."""
    waiting = deque([(command, 0)])
    while waiting:
        current, depth = waiting.popleft()
        words = programs.unwrapped(current)
        yield from ((text, current.cwd) for text in programs.scripts(current) if text.strip())
        inner = replace(current, words=words)
        found |= dict.fromkeys(_rules(inner, around, protected))
        if program(words) == "find":
            executed = [replace(current, words=inner_words, redirects=()) for inner_words in find.executed(words)]
            if executed and depth == programs.MOST_WRAPPERS:
                found[current.concern("destructive", "is wrapped too often to be read")] = None
                return
            waiting += [(inner_command, depth + 1) for inner_command in executed]


def _rules(command: Command, around: Surroundings, protected: Mapping[int, str]) -> Iterator[Concern]:
    if programs.inside(command.words, command):
        yield command.concern("destructive", "is wrapped too often to be read")
    yield from judge_files(command, around)
    yield from judge_git(command, around)
    yield from judge_signals(command, protected)
    yield from judge_killed_lookup(command)
    yield from judge_machine(command)
