"""What a command ends with: an answer, an error or both, as text or as one JSON envelope; and the exit status.

stdout has the answer and nothing else; whatever is only talk goes to stderr.
"""

import codecs
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.entrypoints.cli.wording import in_commands
from mcp_e2e.entrypoints.cli.work import is_person
from mcp_e2e.errors import E2EError, Refused
from mcp_e2e.formats.text import plain

OK, TEST_FAILED = 0, 1
_REFUSED = re.compile(r"^REFUSED: `mcp-e2e [^`]*`")
_TO_A_PERSON = "\n  You are that user: look at mcp-e2e status, repair the cause, then mcp-e2e breaker reset."
_ADVICE = frozenset({"next_step", "recommendation"})


class TimedOut(E2EError):
    """The time this call was given is over."""

    code, exit_status = "timed_out", 7
    remedy = "It goes on by itself: call again to wait on."


class Interrupted(E2EError):
    """Somebody ended the waiting, or the work."""

    code, exit_status = "interrupted", 130
    remedy = "Call again to go on."


@dataclass(frozen=True)
class Outcome:
    """``data`` is the answer. A ``problem`` is said beside it and gives the status unless ``status`` does.

    ``text`` is shown instead of ``data`` where no JSON is wanted; empty: nothing is shown.
    """

    data: Mapping[str, Any]
    problem: E2EError | None = None
    status: int | None = None
    text: str | None = None

    @property
    def exit_status(self) -> int:
        if self.status is not None:
            return self.status
        return self.problem.exit_status if self.problem else OK


def utf8_streams() -> None:
    """Any text can be printed, whatever the terminal's or pipe's encoding is said to be, and where they are closed."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  to the process's end
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(encoding=None if utf8 else "utf-8", errors="replace")


def show(said: Said, outcome: Outcome) -> int:
    """Print the outcome as ``said`` wants it and answer its exit status."""
    if said.json:
        put_envelope(said, outcome)
        return outcome.exit_status
    text = plain(_worded(outcome.data)) if outcome.text is None else outcome.text
    if text:
        put(text)
    if outcome.problem is not None:
        talk(_explained(said, outcome.problem))
    return outcome.exit_status


def complain(said: Said, error: E2EError) -> int:
    """Print an error that left no answer and answer its exit status."""
    return show(said, Outcome({}, error, text=""))


def error_facts(error: E2EError) -> dict[str, Any]:
    return {**_worded(error.facts), "code": error.code, "message": error.message, "remedy": in_commands(error.advice)}


def _worded(data: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with its advice as commands; facts stay as they are."""
    return {
        key: in_commands(value) if key in _ADVICE and isinstance(value, str) else value for key, value in data.items()
    }


def _envelope(said: Said, outcome: Outcome) -> dict[str, Any]:
    """A failing test is an answer; every other problem is an error, with the answer beside what it says."""
    head: dict[str, Any] = {"schema": f"mcp_e2e/{said.command}/1"}
    problem, data = outcome.problem, _worded(outcome.data)
    if problem is None:
        return {**head, "ok": True, "data": data}
    if outcome.status == TEST_FAILED:
        return {**head, "ok": True, "data": {**data, "stopped_by": error_facts(problem)}}
    return {**head, "ok": False, "error": {**error_facts(problem), **({"answer": data} if data else {})}}


def _explained(said: Said, error: E2EError) -> str:
    """The sentence and the remedy; a refusal by the guard has words of its own, with the command that was typed."""
    if isinstance(error, Refused) and "incident" in error.facts:
        told = _REFUSED.sub(f"REFUSED: `mcp-e2e {said.command}`", in_commands(error.text))
        return told + (_TO_A_PERSON if error.facts.get("owner_action_required") and is_person() else "")
    return f"Error: {error.message}\n  {in_commands(error.advice)}"


def put(text: str, end: str = "\n") -> bool:
    """One text on stdout; False when its reader has left."""
    return _write(sys.stdout, f"{text}{end}")


def put_envelope(said: Said, outcome: Outcome) -> bool:
    """One envelope, on a line, as ``put``."""
    return put(json.dumps(_envelope(said, outcome), ensure_ascii=False))


def put_bytes(data: bytes) -> None:
    """Output of another program on stdout, as it is."""
    with _reader_may_leave(sys.stdout):
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def talk(text: str) -> None:
    """One text on stderr."""
    _write(sys.stderr, f"{text}\n")


def _write(stream: TextIO, text: str) -> bool:
    written = False
    with _reader_may_leave(stream):
        stream.write(text)
        stream.flush()
        written = True
    return written  # noqa: RET504  the context swallows: what follows it is reached


@contextlib.contextmanager
def _reader_may_leave(stream: TextIO) -> Iterator[None]:
    """``mcp-e2e logs | head``: whoever reads has enough. The exit status stays the command's own."""
    try:
        yield
    except BrokenPipeError:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  a file descriptor is what is wanted
            os.dup2(nowhere.fileno(), stream.fileno())
