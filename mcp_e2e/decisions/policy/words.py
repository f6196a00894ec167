"""What a shell would hand to a program: words, redirects, and where they stand."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

DYNAMIC = "\0"
"""Stands in a word's text for what only the shell will know: a variable, a substitution."""
SHELL_PLACEHOLDER = "${_}"  # what DYNAMIC becomes when a word is itself read as a script
MOST_SHOWN = 120  # characters of a command in a sentence


@dataclass(frozen=True, slots=True)
class Concern:
    """``destructive``: a person's word is needed. ``tampering``: it touches this tool's own state or processes.

    ``what`` is a clause without subject, fit for "The command …": "deletes /home/x/models …: rm -rf /home/x/models".
    """

    kind: Literal["destructive", "tampering"]
    what: str


@dataclass(frozen=True, slots=True)
class Word:
    """One argument without its quotes; ``pattern`` says that unquoted ``*``, ``?`` or ``[`` stand in it."""

    text: str
    pattern: bool = False

    @property
    def literal(self) -> bool:
        return DYNAMIC not in self.text


@dataclass(frozen=True, slots=True)
class Redirect:
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command as written.

    ``cwd`` is None after a ``cd`` to an unknown place; ``stdin`` the text of a heredoc or herestring; ``before``
    the commands that feed it in its pipeline, first first; ``holder`` the words of the command that takes its output
    into one of them.
    """

    words: tuple[Word, ...]
    source: str
    cwd: str | None
    redirects: tuple[Redirect, ...] = ()
    stdin: str = ""
    before: "tuple[Command, ...]" = ()
    holder: tuple[Word, ...] = ()

    def concern(self, kind: Literal["destructive", "tampering"], what: str) -> Concern:
        return Concern(kind, f"{shown(what)}: {shown(self.source)}")


def shown(text: str) -> str:
    """On one line, at most ``MOST_SHOWN`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_SHOWN else line[: MOST_SHOWN - 1] + "…"


def program(words: Sequence[Word]) -> str:
    """The name of what would run, without its folder or ``.exe``; empty when only the shell will know."""
    if not words or not words[0].literal:
        return ""
    return words[0].text.rpartition("/")[2].removesuffix(".exe")


@dataclass(frozen=True, slots=True)
class Arguments:
    """Options as written (``-rf`` is ``-r`` and ``-f``; ``--a=b`` is ``--a``), the values some took, and the rest."""

    options: frozenset[str]
    values: tuple[tuple[str, Word], ...]
    operands: tuple[Word, ...]

    def has(self, *names: str) -> bool:
        """Whether one of them stands there; long ones also by a beginning of at least four characters."""
        if any(name in self.options for name in names):
            return True
        starts = [option for option in self.options if option.startswith("--") and len(option) >= 4]
        return any(name.startswith(start) for name in names for start in starts)

    def valued(self, *names: str) -> tuple[Word, ...]:
        return tuple(value for name, value in self.values if name in names)


def arguments(words: Sequence[Word], taking: Collection[str] = ()) -> Arguments:
    """The arguments in ``words`` (without the program's name); the options ``taking`` a value swallow the next word."""
    options: set[str] = set()
    values: list[tuple[str, Word]] = []
    operands: list[Word] = []
    rest = iter(words)
    for word in rest:
        text = word.text
        if text == "--":
            operands += rest
        elif text in taking:
            options.add(text)
            values += [(text, value) for value in (next(rest, None),) if value]
        elif text.startswith("--"):
            name, equals, value_text = text.partition("=")
            options.add(name)
            values += [(name, Word(value_text, word.pattern))] if equals else []
        elif text.startswith("-") and len(text) > 1:
            options.update(f"-{letter}" for letter in text[1:])
            values += [(text[:2], Word(text[2:].removeprefix("=")))] if len(text) > 2 else []
        else:
            operands.append(word)
    return Arguments(frozenset(options), tuple(values), tuple(operands))
