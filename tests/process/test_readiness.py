"""Services whose log, port, answer or own program says when they are ready: seen by the keeper, whoever else lives."""

import signal
import socket
import sys
import time

import pytest

from mcp_e2e.model.jobs import JobState, Readiness, RestartPolicy
from mcp_e2e.process import identity, jobs, probes
from mcp_e2e.process.keeping import look, readiness

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
UP = 'echo booting; until test -e go; do sleep 0.02; done; echo "Listening on port 7"; exec sleep 60'
ANSWERS = """
import http.server, pathlib, socket, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("asked", "a") as file: file.write(self.path)
        self.send_response(int(pathlib.Path("status").read_text()))
        self.end_headers()
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
"""
LISTENS = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"


def ready_at(room, job):
    lives = room.look(job).lives
    return lives[-1].ready_at if lives else None


async def test_a_line_of_the_log_makes_a_service_ready_and_nothing_before(room):
    """The pattern is looked for in whole lines of this life; until it stands there the service is not ready."""
    job = await room.service("sh", "-c", UP, ready=Readiness(log=r"^Listening on port \d+$"))
    await room.line(job)
    assert ready_at(room, job) is None
    (room.cwd / "go").touch()
    assert await room.until(lambda: ready_at(room, job)) >= job.lives[-1].started_at


async def test_a_program_makes_a_service_ready_when_it_ends_with_zero(room):
    """It runs in the service's folder and environment, and what hangs or fails only means: not yet."""
    rule = Readiness(exec=("sh", "-c", 'test -e go && test "$NAME" = api'))
    job = await room.service("sh", "-c", UP, ready=rule, env={"NAME": "api"})
    await room.line(job)
    assert ready_at(room, job) is None
    (room.cwd / "go").touch()
    await room.until(lambda: ready_at(room, job))


async def test_each_life_has_to_become_ready_anew(room):
    """The line of the life before does not count for the next one."""
    code = "if test -e first; then sleep 1; echo up; exec sleep 60; fi; touch first; echo up; sleep 1; exit 1"
    again = RestartPolicy("on-failure", backoff_first_s=0.05)
    job = await room.service("sh", "-c", code, ready=Readiness(log="^up$"), restart=again)
    await room.until(lambda: ready_at(room, job))
    await room.until(lambda: room.look(job).generation == 2 and ready_at(room, job))
    first, second = room.look(job).lives
    assert first.ready_at < second.started_at
    assert second.ready_at - second.started_at >= 1


async def test_looks_are_no_strays_and_do_not_hold_up_a_stop(room):
    """A probe that hangs ends with the service and is not counted as one of its processes."""
    probe = Readiness(exec=("sh", "-c", "touch looking; exec sleep 60"))
    job = await room.service("sleep", "60", ready=probe, stop_grace_s=1)
    await room.until((room.cwd / "looking").exists)
    ended = await jobs.stop(room.dir, job.id, deadline_s=look.LIMIT_S / 2)
    assert (ended.exit.reason, ended.exit.strays, ended.exit.escalated) == ("stopped", 0, False)


def answering(room, status, host="127.0.0.1"):
    """What to start, and the free port that it will answer on."""
    (room.cwd / "status").write_text(str(status))
    port = probes.free_port()
    return (sys.executable, "-S", "-c", ANSWERS, host, str(port)), port


def requests(room):
    asked = room.cwd / "asked"
    return asked.read_text().count("/up") if asked.exists() else 0


@pytest.mark.parametrize(("not_yet", "then"), [(404, 401), (503, 200)])
async def test_an_answer_makes_a_service_ready_but_not_any(room, not_yet, then):
    """What is not found, and the service's own failure, are no answer; that a stranger may not come in is one."""
    argv, port = answering(room, not_yet)
    job = await room.service(*argv, ready=Readiness(http="/up", port=port))
    await room.until(lambda: requests(room) >= 4)
    assert ready_at(room, job) is None
    (room.cwd / "status").write_text(str(then))
    await room.until(lambda: ready_at(room, job))


async def test_a_port_that_accepts_makes_a_service_ready(room):
    """Not before it listens; the time told is that of the first look which held."""
    port = probes.free_port()
    code = f'until test -e go; do sleep 0.02; done; exec {sys.executable} -S -c "{LISTENS}" {port}'
    job = await room.service("sh", "-c", f"echo booting; {code}", ready=Readiness(port=port))
    await room.line(job)
    assert ready_at(room, job) is None
    (room.cwd / "go").touch()
    seen = await room.until(lambda: ready_at(room, job))
    assert time.time() - seen > readiness.SETTLE_S * 0.9


async def test_either_loopback_address_will_do(room):
    """A service may listen on ::1 alone."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    argv, port = answering(room, 200, "::1")
    job = await room.service(*argv, ready=Readiness(http="/up", port=port))
    await room.until(lambda: ready_at(room, job))


async def test_what_accepts_and_never_answers_is_not_ready_and_stops_at_once(room):
    """A look that hangs holds neither the keeper nor a stop up, and is no stray."""
    port = probes.free_port()
    hangs = (sys.executable, "-S", "-c", LISTENS, str(port))
    job = await room.service(*hangs, ready=Readiness(http="/", port=port), stop_grace_s=1)
    await room.until(lambda: not probes.port_is_free(port))
    await room.until(lambda: len(identity.descendants(job.keeper)) == 2)  # the service, and a look at it
    ended = await jobs.stop(room.dir, job.id, deadline_s=look.LIMIT_S / 2)
    assert (ended.exit.reason, ended.exit.strays, ended.exit.escalated) == ("stopped", 0, False)
    assert ended.lives[-1].ready_at is None


async def test_a_ready_service_is_left_alone(room):
    """Two looks made it ready; the keeper, at work on its log meanwhile, never asks again."""
    argv, port = answering(room, 200)
    job = await room.service(*argv, ready=Readiness(http="/up", port=port))
    await room.until(lambda: ready_at(room, job))
    job.log.unlink()
    await room.until(job.log.exists)  # the keeper has noticed, so it has been round since
    assert requests(room) == 2


async def test_a_look_ends_with_its_keeper(room):
    """kill -9 of the keeper: a look that hangs does not hold the job's lock on, so the service is an orphan at once."""
    port = probes.free_port()
    job = await room.service(
        sys.executable, "-S", "-c", LISTENS, str(port), ready=Readiness(http="/", port=port), stop_grace_s=1
    )
    await room.until(lambda: not probes.port_is_free(port))
    await room.until(lambda: len(identity.descendants(job.keeper)) == 2)
    identity.send_signal(job.keeper, signal.SIGKILL)
    await room.until(lambda: room.look(job).state is JobState.ORPHAN, deadline_s=look.LIMIT_S / 2)
