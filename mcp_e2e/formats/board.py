"""A board as JSON values, as a screen, and as lines for what has changed since the one before."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from mcp_e2e.formats.clean import one_line, span, utc
from mcp_e2e.model.board import Board, Event, RunningLine, ServiceLine

_GOOD, _BAD, _BUSY, _FAINT = "32", "31", "33", "2"
_STATES = {"ready": _GOOD, "closed": _GOOD, "failed": _BAD, "open": _BAD, "degraded": _BAD, "unknown": _BAD}
_DETAILS = {"passed": _GOOD, "success": _GOOD, "failed": _BAD, "timed_out": _BAD, "errored": _BAD, "failure": _BAD}
_BAR = 16
_LATELY = 8  # events that are shown
L = TypeVar("L")


@dataclass(frozen=True)
class Style:
    """What the terminal can show."""

    colors: bool = False
    ascii_only: bool = False

    def in_color(self, text: str, code: str | None) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colors and code and text else text

    def bar(self, done: int, total: int) -> str:
        filled = _BAR * done // max(1, total)
        full, empty = "#." if self.ascii_only else "█░"
        return full * filled + empty * (_BAR - filled)


def data(board: Board) -> dict[str, Any]:
    """Everything but ``at`` stays the same while nothing has changed."""
    told = asdict(board) | {"stored": None, "at": utc(board.at)}
    told |= asdict(replace(board.stored, events=board.stored.events[-_LATELY:]))
    told["position"] = board.stored.position.shown() if board.stored.position else None
    kept: dict[str, Any] = _dated({name: value for name, value in told.items() if value is not None})
    return kept


def _dated(value: Any) -> Any:
    """With times to be read, and without what is not there."""
    match value:
        case dict():
            kept = {key: _dated(item) for key, item in value.items() if item not in (None, "")}
            return kept | {key: utc(kept[key]) for key in ("since", "at") if isinstance(kept.get(key), float)}
        case list() | tuple():
            return [_dated(item) for item in value]
    return value


def screen(board: Board, style: Style) -> list[str]:
    """The whole board, most telling things first, each line as long as it needs."""
    return [
        f"{style.in_color('mcp-e2e', '1')}  {one_line(board.project)}",
        *([style.in_color(f"! {one_line(board.problem)}", _BAD)] if board.problem else []),
        *_breaker(board, style),
        *(_service(each, board.at, style) for each in board.services),
        *_run(board, style),
        *(_running(each, board.at, style) for each in board.stored.running),
        *(f"  {_event(each, style)}" for each in board.stored.events[: -_LATELY - 1 : -1]),
    ]


def _labelled(label: str, *words: str) -> str:
    return f"{label:8} {'  '.join(word for word in words if word)}"


def _breaker(board: Board, style: Style) -> Iterator[str]:
    breaker = board.stored.breaker
    if breaker is None:
        return
    why = f"by {breaker.opened_by}, incident {breaker.incident}: see mcp-e2e status" if breaker.state == "open" else ""
    reds = breaker.consecutive_failures
    counted = f"{reds} red in a row, {breaker.failures_left} more open it" if reds and not why else ""
    yield _labelled("breaker", style.in_color(breaker.state, _STATES.get(breaker.state, _BUSY)), why, counted)


def _service(line: ServiceLine, now: float, style: Style) -> str:
    state = style.in_color(line.state, _STATES.get(line.state, _BUSY if line.state == "starting" else _FAINT))
    lasting = span(max(0.0, now - line.since)) if line.since is not None else ""
    stage = line.stage if line.stage != line.state else ""
    again = f"generation {line.generation}" if line.generation > 1 else ""
    words = ("slow" if line.slow else "", one_line(stage), one_line(line.cause or ""), again, line.url or "")
    return _labelled("service", one_line(line.service), state, lasting, *words)


def _run(board: Board, style: Style) -> Iterator[str]:
    here = board.stored.position
    if here is None:
        yield _labelled("run", style.in_color("none", _FAINT))
        return
    counts = [f"{here.passed} passed" if here.passed else ""]
    counts += [style.in_color(f"{here.failed} failed", _BAD) if here.failed else ""]
    due = f"due: {one_line(here.current)}" if here.current else "every slot is recorded"
    yield _labelled("run", here.run, f"{style.bar(here.done, here.total)} {here.done}/{here.total}", *counts, due)


def _running(line: RunningLine, now: float, style: Style) -> str:
    usual = f"of some {span(line.usual_s)}" if line.usual_s is not None else ""
    lasting = f"{span(max(0.0, now - line.since))} {usual}".strip()
    words = (style.in_color(line.state, _BUSY), lasting, one_line(line.message), f"by {one_line(line.by)}")
    return _labelled("attempt", one_line(line.test), *words)


def _event(event: Event, style: Style) -> str:
    detail = style.in_color(one_line(event.detail), _DETAILS.get(event.detail))
    return "  ".join(word for word in (utc(event.at), event.kind, one_line(event.subject), detail) if word)


def changes(before: Board | None, after: Board) -> list[str]:
    """A line for each thing that is another than before; of the first board for all there is but past events."""
    style, old = Style(ascii_only=True), before or Board(after.at, after.project)
    latest = old.stored.events[-1].seq if old.stored.events else -1
    new = [each for each in after.stored.events if before is not None and each.seq > latest]
    lines = [f"{utc(after.at)}  ! {one_line(after.problem)}"] if after.problem and after.problem != old.problem else []
    lines += [_event(each, style) for each in new]
    lines += _moved(old.services, after.services, _service_key, lambda line: _service(line, after.at, style), after.at)
    if after.stored.breaker != old.stored.breaker:
        lines += [f"{utc(after.at)}  {' '.join(line.split())}" for line in _breaker(after, style)]
    if after.stored.position != old.stored.position:
        lines += [f"{utc(after.at)}  {' '.join(line.split())}" for line in _run(after, style)]
    running = old.stored.running, after.stored.running
    lines += _moved(*running, _running_key, lambda line: _running(line, after.at, style), after.at)
    return lines


def _moved(
    before: tuple[L, ...], after: tuple[L, ...], key: Callable[[L], object], shown: Callable[[L], str], at: float
) -> list[str]:
    known = {key(line) for line in before}
    return [f"{utc(at)}  {' '.join(shown(line).split())}" for line in after if key(line) not in known]


def _service_key(line: ServiceLine) -> object:
    """Of a stage that counts only what comes before its first comma or number tells that something has changed."""
    return line.service, line.state, line.generation, line.slow, _state(line.stage), line.cause


def _running_key(line: RunningLine) -> object:
    return line.attempt, line.state, _state(line.message)


def _state(text: str) -> str:
    head = text.partition(",")[0]
    return "".join("#" if char.isdigit() else char for char in head)
