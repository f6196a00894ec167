"""Lives of servers: each is begun, fed, watched, and ended well; what it did wrong is told with the input."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.answers import Wrong
from tests.fuzz.project import Project, complained, mib

MOST_GROWTH, MOST_MIB = 1.25, 25.0  # both have to be exceeded
LONG, SHORT, EACH = 3_000, 40, 5
LOOK = 50  # inputs between two looks at the memory
_BAD = ("Traceback", "recorded answer", "Fatal", "never awaited", "Exception in ")


@dataclass
class Tally:
    """What was done and seen at one door. ``memory``: MiB at the beginning, in the middle and at the end of a life."""

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    seconds: float = 0.0
    memory: list[tuple[int, float, float, float]] = field(default_factory=list)
    complaints: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return self.kinds.total()

    def told(self) -> Iterator[str]:
        yield f"{self.inputs} inputs in {self.lives} lives, {self.seconds:.0f} s"
        yield "  " + ", ".join(f"{kind} {times}" for kind, times in sorted(self.kinds.items()))
        if self.answers:
            yield "  answers: " + ", ".join(f"{what} {times}" for what, times in sorted(self.answers.items()))
        for size, *sizes in sorted(self.memory, reverse=True)[:5]:
            yield f"  memory over {size} inputs: {' -> '.join(f'{each:.1f}' for each in sizes)} MiB"
        for line, times in self.complaints.most_common(12):
            yield f"  stderr {times} x: {line[:160]}"


@dataclass
class Watch:
    """One life: the number of its process, its memory, and the input that is being fed."""

    pid: int
    number: int = -1
    data: bytes = b""
    sizes: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def look(self) -> None:
        self.sizes.append(mib(self.pid))


@contextmanager
def life(tally: Tally, project: Project, pid: int, kept: Path, door: str) -> Iterator[Watch]:
    """Begin to count; at the end judge memory and stderr. A Wrong within is noted with the input that it came after."""
    began, watch = time.monotonic(), Watch(pid)
    found = list[str]()
    try:
        yield watch
    except Wrong as wrong:
        found.append(str(wrong))
    found += _judged(tally, project, watch)
    if found:
        file = kept / f"{door}-{watch.number}.bin"
        file.write_bytes(watch.data)
        tally.wrong += [f"{door} {watch.number}: {each} (input kept in {file})" for each in found]
    tally.answers += watch.seen
    tally.lives += 1
    tally.seconds += time.monotonic() - began


def _judged(tally: Tally, project: Project, watch: Watch) -> Iterator[str]:
    lines = complained(project)
    tally.complaints.update(line for line in lines if not line.startswith("MCP at "))
    bad = [place for place, line in enumerate(lines) if any(word in line for word in _BAD)]
    if bad:
        yield "stderr: " + " | ".join([*lines[max(0, bad[0] - 1) : bad[0] + 1], *lines[-3:]])
    if len(watch.sizes) >= 9:
        third = len(watch.sizes) // 3
        parts = watch.sizes[:third], watch.sizes[third:-third], watch.sizes[-third:]
        first, middle, last = (sorted(part)[len(part) // 2] for part in parts)
        tally.memory.append((len(watch.sizes) * LOOK, first, middle, last))
        if last > first * MOST_GROWTH and last > first + MOST_MIB:
            yield f"memory grew from {first:.1f} to {last:.1f} MiB"


@dataclass(frozen=True)
class Plan:
    """One life to come: which one it is, the numbers of its inputs, and whether it is one of the short ones."""

    number: int
    inputs: Sequence[int]
    short: bool


def plans(total: int) -> Iterator[Plan]:
    """Lives for so many inputs: behind each long one some short ones, since beginnings are the hardest."""
    begin, number = 0, 0
    while begin < total:
        short = number % EACH != 0
        end = min(total, begin + (SHORT if short else LONG))
        yield Plan(number, range(begin, end), short)
        begin, number = end, number + 1
