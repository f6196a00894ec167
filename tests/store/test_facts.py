"""One function, one fact: attempts, leases of them, and the breaker's row."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mcp_e2e.decisions.verdict import Judgement, failed
from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.model.runs import Attempt, AttemptState, Verdict
from mcp_e2e.store import attempts, breaker, events, runs, sessions
from mcp_e2e.store.migrations import migrate

PASSED = Judgement(Verdict.PASSED)


@pytest.fixture
def con() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    migrate(connection)
    runs.create(connection, "r-1", ["portrait", "portrait", "landscape"], "strict", "claude (pid 7)", 1.0)
    yield connection
    connection.close()


def attempt(number: int = 1, slot: int = 1) -> Attempt:
    return Attempt(
        id=f"a-{number}",
        run="r-1",
        slot=slot,
        n=1,
        test="portrait",
        work='["portrait", []]',
        params={"seed": 3},
        service="comfyui",
        timeout_s=9.0,
        lease="lease-a",
        by="claude (pid 7)",
        state=AttemptState.QUEUED,
        created_at=float(number),
        prompt_id="p",
    )


def test_an_attempt_is_read_as_it_was_written(con: sqlite3.Connection) -> None:
    """Every field survives, also the failure of a finished one."""
    attempts.add(con, attempt())
    judged = failed("portrait", Verdict.TIMED_OUT, "timeout", "too slow")
    attempts.advance(con, "a-1", AttemptState.RUNNING, started_at=5.0, generation=2)
    attempts.finish(con, "a-1", judged, {"log": "/x"}, 9.5)

    found = attempts.get(con, "a-1")

    assert found == replace(
        attempt(),
        state=AttemptState.DONE,
        started_at=5.0,
        ended_at=9.5,
        generation=2,
        verdict=Verdict.TIMED_OUT,
        failure=judged.failure,
        evidence={"log": "/x"},
    )
    assert found.duration_s == 4.5


def test_memory_given_back_counts_until_somebody_uses_it(con: sqlite3.Connection) -> None:
    """The attempt that is made again has it to itself, unless another has run meanwhile on the same service."""
    again = replace(attempt(2), n=2)
    for each in (attempt(), again, attempt(3, slot=2)):
        attempts.add(con, each)
    assert not attempts.lost_to_memory(con, again)
    attempts.advance(con, "a-1", AttemptState.RUNNING, started_at=5.0)
    attempts.finish(con, "a-1", failed("portrait", Verdict.LOST, "out_of_memory", "no"), {}, 6.0)
    assert attempts.lost_to_memory(con, again)
    assert not attempts.lost_to_memory(con, attempt())
    attempts.advance(con, "a-3", AttemptState.RUNNING, started_at=7.0)
    assert not attempts.lost_to_memory(con, again)


def test_a_verdict_is_written_once(con: sqlite3.Connection) -> None:
    """Whoever comes second changes nothing and is told so."""
    attempts.add(con, attempt())

    assert attempts.finish(con, "a-1", PASSED, {}, 2.0)
    assert not attempts.finish(con, "a-1", failed("portrait", Verdict.FAILED, "assertion", "no"), {}, 3.0)

    found = attempts.get(con, "a-1")
    assert found is not None
    assert (found.verdict, found.ended_at) == (Verdict.PASSED, 2.0)


def test_only_one_process_takes_over_from_a_dead_one(con: sqlite3.Connection) -> None:
    """The claim names the dead owner, so the second one finds somebody else's name."""
    attempts.add(con, attempt())

    assert attempts.claim(con, "a-1", "lease-a", "lease-b")
    assert not attempts.claim(con, "a-1", "lease-a", "lease-c")


def test_attempts_on_one_service_queue_in_order(con: sqlite3.Connection) -> None:
    """The older one goes first; a finished one is no longer ahead."""
    for number in (1, 2):
        attempts.add(con, attempt(number, slot=number))

    assert [each.id for each in attempts.ahead(con, attempt(2, slot=2))] == ["a-1"]
    assert attempts.ahead(con, attempt(1)) == []
    attempts.finish(con, "a-1", PASSED, {}, 2.0)
    assert attempts.ahead(con, attempt(2, slot=2)) == []


def test_a_lost_attempt_is_replaced_by_its_rerun(con: sqlite3.Connection) -> None:
    """Whoever waits for the first gets the second."""
    attempts.add(con, attempt())
    attempts.finish(con, "a-1", failed("portrait", Verdict.LOST, "service_died", "gone"), {}, 2.0)
    attempts.add(con, replace(attempt(), id="a-2", n=2))

    standing = attempts.standing(con, "a-1")

    assert standing is not None
    assert standing.id == "a-2"


def test_there_is_one_active_run(con: sqlite3.Connection) -> None:
    """The schema itself forbids a second one."""
    with pytest.raises(sqlite3.IntegrityError):
        runs.create(con, "r-2", ["portrait"], "strict", "c", 2.0)
    runs.end(con, "r-1", "dropped", 3.0, "because")
    runs.create(con, "r-2", ["portrait"], "strict", "c", 4.0)

    active = runs.active(con)
    assert active is not None
    assert active.id == "r-2"


def test_the_breaker_is_read_as_it_was_written_and_its_opening_is_an_event(con: sqlite3.Connection) -> None:
    """The row is the truth; outside notices come from events."""
    closed = breaker.load(con)
    assert closed == Breaker()
    red = Red("a-1", "portrait", "failed", "exit code 1", 2.0, "claude (pid 7)")
    opened = Breaker(BreakerState.OPEN, 4, Limits(), (red, red, red), "i-1", 2.0, "R1")

    breaker.save(con, closed, opened, 2.0)

    assert breaker.load(con) == opened
    assert events.latest(con, 1)[0]["kind"] == "breaker.open"


def test_a_boot_is_measured_once_per_generation(con: sqlite3.Connection) -> None:
    """The first sight of ready counts; generations after the first are restarts."""
    for generation, ready in ((1, 6.0), (1, 9.0), (2, 23.0)):
        sessions.record_boot(con, "api", "j-1", generation, 1.0 if generation == 1 else 20.0, ready)

    assert sessions.boots(con, "api") == [5.0, 3.0]
    assert sessions.restarts(con, 0.0, 100.0) == 1
