import pytest
from hypothesis import strategies as st

from mcp_e2e.decisions.report import build
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.runs import Attempt, AttemptState, Checkpoint, Failure, Run, Slot, Verdict

NASTY = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\x1b[31mred\x1b[0m", "a\x00b\x08", "]]>", "<b>&amp;", "line\r\nline", "\ud800", "```\nout", "| a | b |", "\ufffe"]
)
EVIDENCE = st.fixed_dictionaries(
    {},
    optional={
        "log": NASTY,
        "log_tail": NASTY,
        "artifacts": st.lists(st.fixed_dictionaries({"name": NASTY, "path": NASTY}), max_size=2),
        "models": st.lists(NASTY, max_size=9),
        "warm": st.none() | st.booleans(),
        "memory": st.none()
        | st.fixed_dictionaries(
            {"unit": st.just("MiB"), "device": NASTY, "ram_total": st.just(24000), "ram_peak": st.integers(0, 24000)},
            optional={"vram_total": st.just(8192), "vram_peak": st.integers(0, 8192), "ram_before": st.just(7)},
        ),
    },
)


@st.composite
def attempts(draw, slot, n, test):
    verdict = draw(st.sampled_from(list(Verdict)))
    message = draw(NASTY)
    failure = (
        None
        if verdict is Verdict.PASSED
        else Failure(draw(st.sampled_from(["assertion", "out_of_memory"])), message, f"{test}|assertion|{message}")
    )
    return Attempt(
        id=f"a{slot}-{n}",
        run="r1",
        slot=slot,
        n=n,
        test=test,
        work=test,
        params={},
        service="comfyui",
        timeout_s=60.0,
        lease="l",
        by=draw(NASTY),
        state=AttemptState.DONE,
        created_at=1_795_000_000.0,
        started_at=1_795_000_010.0,
        ended_at=1_795_000_010.0 + draw(st.floats(-5, 1e5)),
        generation=1,
        joined_running=True,
        verdict=verdict,
        failure=failure if draw(st.booleans()) else None,
        evidence=draw(EVIDENCE),
    )


@st.composite
def slots(draw, n):
    test = draw(st.sampled_from(["portrait", "api-smoke"]))
    tries = tuple(draw(attempts(n, at, test)) for at in range(1, draw(st.integers(0, 3)) + 1))
    verdict = tries[-1].verdict if tries else None
    result = draw(st.sampled_from([None, "success", "failure", "skipped"]))
    point = Checkpoint("r1", n, result, verdict, draw(NASTY), 1_795_000_100.0, "claude") if result else None
    return Slot(n, test, tries, point)


@st.composite
def any_report(draw):
    planned = Run(
        id="r1",
        state=draw(st.sampled_from(["active", "finished", "service_failed"])),
        mode="strict",
        created_at=1_795_000_000.0,
        by=draw(NASTY),
        slots=tuple(draw(slots(n)) for n in range(1, draw(st.integers(0, 4)) + 1)),
        ended_at=draw(st.none() | st.just(1_795_000_500.0)),
    )
    return build(
        planned,
        boots=draw(st.lists(st.floats(0, 600), max_size=2)),
        restarts=1,
        refusals=2,
        breaker=Breaker(state=draw(st.sampled_from(list(BreakerState)))),
        now=1_795_000_600.0,
        project="/srv/comfy",
        environment=draw(st.dictionaries(NASTY, NASTY, max_size=2)),
    )


@pytest.fixture(scope="session")
def reports():
    """A strategy of reports whose every text may hold any character."""
    return any_report()


@pytest.fixture
def warm_report():
    """Slots 1 and 2 passed cold and warm, 3 ran out of memory, 4 failed otherwise; all on one checkpoint."""
    gpu = {"unit": "MiB", "device": "cuda:0 RTX_A", "vram_total": 8192, "vram_before": 500, "vram_peak": 2000}
    full = gpu | {"vram_peak": 8100, "ram_total": 24000, "ram_before": 900, "ram_peak": 1000}

    def tried(n, verdict, took, warm, memory, kind="out_of_memory"):
        failure = Failure(kind, "node 3: CUDA out of memory", f"portrait|{kind}|node")
        return Attempt(
            id=f"a{n}",
            run="r1",
            slot=n,
            n=1,
            test="portrait",
            work="portrait",
            params={},
            service="comfyui",
            timeout_s=60.0,
            lease="l",
            by="claude (pid 7)",
            state=AttemptState.DONE,
            created_at=1_795_000_000.0,
            started_at=1_795_000_010.0,
            ended_at=1_795_000_010.0 + took,
            verdict=verdict,
            failure=None if verdict is Verdict.PASSED else failure,
            evidence={"models": ["base|1.safetensors"], "warm": warm, "memory": memory},
        )

    tries = (
        tried(1, Verdict.PASSED, 6.0, False, gpu),
        tried(2, Verdict.PASSED, 2.0, True, gpu),
        tried(3, Verdict.FAILED, 1.0, True, full),
        tried(4, Verdict.FAILED, 1.0, True, gpu, "assertion"),
    )
    slots = tuple(
        Slot(n, "portrait", (one,), Checkpoint("r1", n, "success" if n < 3 else "failure", one.verdict, "", 0.0, "c"))
        for n, one in enumerate(tries, 1)
    )
    return build(
        Run("r1", "finished", "strict", 1_795_000_000.0, "claude (pid 7)", slots),
        boots=[],
        restarts=0,
        refusals=0,
        breaker=Breaker(),
        now=1_795_000_600.0,
        project="/srv/comfy",
        environment={},
    )


@pytest.fixture
def report():
    """Slot 1 failed twice, 2 flaky, 3 doubted, 4 skipped, 5 red but not recorded, 6 never run."""

    def tried(slot, n, verdict):
        image = {"name": f"{n}.png", "path": f"/srv/comfy/.mcp-e2e/artifacts/r1/a{slot}-{n}/{n}.png", "bytes": 9}
        failure = Failure("assertion", "2 images instead of 1", "portrait|assertion|<n> images")
        return Attempt(
            id=f"a{slot}-{n}",
            run="r1",
            slot=slot,
            n=n,
            test="portrait",
            work="portrait",
            params={},
            service="comfyui",
            timeout_s=60.0,
            lease="l",
            by="claude (pid 7)",
            state=AttemptState.DONE,
            created_at=1_795_000_000.0,
            started_at=1_795_000_010.0,
            ended_at=1_795_000_012.25,
            generation=1,
            joined_running=n > 1,
            verdict=verdict,
            failure=None if verdict is Verdict.PASSED else failure,
            evidence={"log": "/logs/x.log", "log_tail": "\x1b[31mAssertionError\x1b[0m\n", "artifacts": [image]},
        )

    def slot(n, verdicts, result=None, note=""):
        tries = tuple(tried(n, at, verdict) for at, verdict in enumerate(verdicts, 1))
        last = verdicts[-1] if verdicts else None
        return Slot(n, "portrait", tries, Checkpoint("r1", n, result, last, note, 0.0, "claude") if result else None)

    red, green = Verdict.FAILED, Verdict.PASSED
    slots = (
        slot(1, [red, red], "failure", "VAE is wrong"),
        slot(2, [red, green], "success"),
        slot(3, [green], "failure", "blurred"),
        slot(4, [], "skipped", "needs a second GPU"),
        slot(5, [red]),
        slot(6, []),
    )
    return build(
        Run("r1", "active", "strict", 1_795_000_000.0, "claude (pid 7)", slots),
        boots=[42.0],
        restarts=1,
        refusals=0,
        breaker=Breaker(state=BreakerState.OPEN, incident="i1"),
        now=1_795_000_600.0,
        project="/srv/comfy",
        environment={"python": "3.11.7"},
    )
