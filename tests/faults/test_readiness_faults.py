"""Faults 43 to 45 of a service: never ready, ready for a moment, ready and then silent."""

import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from mcp_e2e.model.jobs import JobState, Readiness, RestartPolicy
from mcp_e2e.process import jobs, probes
from mcp_e2e.process.identity import is_alive, send_signal
from tests.process.conftest import Room
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
QUICK = RestartPolicy("on-failure", backoff_first_s=0.05)
SERVES = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


async def test_fault_43_a_service_that_never_gets_ready_is_told_and_not_killed(project: Path, server: Servers) -> None:
    """It is slow, says so with the end of its log, and goes on: only a person ends a slow boot."""
    (project / "service.py").write_text("import time\nprint('loading for ever', flush=True)\ntime.sleep(600)\n")
    config = project / "mcp-e2e.toml"
    config.write_text(config.read_text().replace("stop_grace_s", "slow_after_s = 0.1\nstop_grace_s"))
    async with server() as app:
        first = await app.sessions.start(app.caller, wait_seconds=1)
        later = await app.sessions.start(app.caller, wait_seconds=0.5)
        assert [(seen.state, seen.slow, seen.generation) for seen in (first, later)] == [("starting", True, 1)] * 2
        assert first.pid == later.pid is not None
        assert "loading for ever" in (later.log_tail or "")


async def test_fault_44_ready_for_a_moment_is_not_ready_and_each_death_counts(room: Room) -> None:
    """It answers once and dies: no life of it was ready, and the restarts are used up like any other."""
    argv = (sys.executable, "-S", "-c", SERVES.replace("serve_forever", "handle_request"), str(probes.free_port()))
    looks = Readiness(http="/", port=int(argv[-1]))
    rule = RestartPolicy("on-failure", max_restarts=2, backoff_first_s=0.05)
    dies = ("sh", "-c", '"$@"; exit 3', "sh", *argv)
    ended = await room.end(await room.service(*dies, ready=looks, restart=rule))
    assert ended.exit is not None
    assert (ended.exit.reason, ended.exit.exit_code) == ("crash_loop", 3)
    assert [life.ready_at for life in ended.lives] == [None] * 3
    assert len(re.findall(r'"GET / HTTP', ended.log.read_text())) == 3


@pytest.mark.parametrize("restart", [QUICK, RestartPolicy("never")])
async def test_fault_45_ready_but_silent_is_ended_after_three_misses(room: Room, restart: RestartPolicy) -> None:
    """It accepts and never answers: the look gives up, the third ends that life, the restart policy has the next."""
    port = probes.free_port()
    look = Readiness(http="/", port=port)
    job = await room.service(
        *(sys.executable, "-S", "-c", SERVES, str(port)),
        ready=look,
        liveness=look,
        liveness_every_s=0.2,
        restart=restart,
        stop_grace_s=1,
    )
    await room.until(lambda: room.look(job).lives[-1].ready_at)
    assert send_signal(job.process, signal.SIGSTOP)
    if restart is QUICK:
        now = await room.until(lambda: (seen := room.look(job)).generation == 2 and seen.lives[-1].ready_at and seen)
        assert (now.state, is_alive(now.process), is_alive(job.process)) == (JobState.RUNNING, True, False)
    else:
        now = await room.end(job)
        assert now.exit.reason == "liveness"
    assert now.lives[0].cause == "liveness"
    assert now.lives[0].ended_at - now.lives[0].ready_at > 3  # three looks that took their second each


async def test_fault_45_is_told_and_a_person_can_ask_for_it(project: Path, server: Servers) -> None:
    """``liveness`` in the file: the next generation is up, with why there is one in the session and in the status."""
    config = project / "mcp-e2e.toml"
    config.write_text(
        config.read_text().replace("stop_grace_s", 'liveness = { http = "/" }\nliveness_every_s = 1\nstop_grace_s')
    )
    async with server() as app:
        first = await app.sessions.start(app.caller)
        find = partial(jobs.look, app._place.layout.jobs, first.job or "")
        with anyio.fail_after(30):
            while not find().lives[0].ready_at:  # by its keeper too
                await anyio.sleep(0.02)
            os.kill(first.pid or 0, signal.SIGSTOP)
            while find().generation == 1:
                await anyio.sleep(0.02)
            now = await app.sessions.start(app.caller)
        shown = (await app.status.show(app.caller)).services or []
    assert (now.state, now.generation) == ("ready", 2)
    assert now.cause == shown[0]["cause"]
    assert now.cause.startswith("generation 1 was ended: it did not answer three looks in a row (liveness)")
