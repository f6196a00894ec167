"""When a silent prompt is taken for dead, and when not; the clock and the process's signs of life are scripted."""

from dataclasses import dataclass, field
from typing import Any, cast

from mcp_e2e.executors.worker import QUIET_S, UNCLAIMED_S, WorkerWatch
from mcp_e2e.model.work import Pulse

BOTH, ONE = frozenset({1, 2}), frozenset({1})


@dataclass
class Process:
    """Threads, and how much of a core it takes, by a clock that is set."""

    threads: frozenset[int] = BOTH
    busy: float = 0.0
    at: float = 0.0
    worker: WorkerWatch = field(init=False)

    def __post_init__(self) -> None:
        self.worker = WorkerWatch(cast("Any", self), Pulse(BOTH, 0.0), lambda: self.at)

    async def pulse(self) -> Pulse:
        return Pulse(self.threads, self.busy * self.at)

    async def found_dead(self, until: float, *, running: bool = True, heard_at: float = 0.0) -> bool:
        """Looked at every second until then."""
        while self.at < until:
            self.at += 1.0
            if await self.worker.died(running=running, heard_at=heard_at):
                return True
        return False


async def test_a_missing_thread_in_an_idle_process_is_found_after_the_quiet_time() -> None:
    """Not before."""
    process = Process(ONE)
    assert not await process.found_dead(QUIET_S - 1)
    assert await process.found_dead(QUIET_S + 1)


async def test_neither_half_of_the_proof_is_enough() -> None:
    """A process that works, or one whose threads all stand, is waited for."""
    assert not await Process(ONE, busy=0.9).found_dead(10 * QUIET_S)
    assert not await Process(BOTH).found_dead(10 * QUIET_S)


async def test_what_waits_in_the_queue_is_no_silence() -> None:
    """The quiet time begins when the prompt begins to run; work is measured over a span, never at one moment."""
    process = Process(ONE, busy=0.9)
    assert not await process.found_dead(10 * QUIET_S, running=False)
    assert not await process.found_dead(process.at + 5 * QUIET_S)
    idle = Process(ONE)
    assert not await idle.found_dead(10 * QUIET_S, running=False)
    assert not await idle.found_dead(idle.at + QUIET_S - 2)
    assert await idle.found_dead(idle.at + 5)


async def test_one_look_after_long_is_no_span() -> None:
    """A server that held up a poll for minutes: how much it works is seen from then on."""
    process = Process(ONE, busy=0.9)
    process.at = 3 * QUIET_S
    assert not await process.worker.died(running=True, heard_at=0.0)
    assert not await process.found_dead(process.at + 5 * QUIET_S)


async def test_a_thread_that_ended_while_events_came_is_not_missed() -> None:
    """The prompt's own thread lived at every event, so those that stand then are all that count later."""
    process = Process(ONE)
    for _ in range(30):
        process.at += 1.0
        assert not await process.worker.died(running=True, heard_at=process.at)
    assert not await process.found_dead(process.at + 10 * QUIET_S, heard_at=process.at)


async def test_a_prompt_that_nobody_takes_needs_time_too() -> None:
    """A worker unloads models between two prompts; what moves in between begins the time anew."""
    process = Process()
    process.worker.queue_seen(unclaimed=True)
    assert not await process.found_dead(UNCLAIMED_S - 1, running=False)
    process.worker.queue_seen(unclaimed=False)
    process.worker.queue_seen(unclaimed=True)
    assert not await process.found_dead(2 * UNCLAIMED_S - 2, running=False)
    assert await process.found_dead(2 * UNCLAIMED_S + 1, running=False)
