"""Faults 38, 39, 40, 53 and 54: programs and folders that are not there, odd paths, descriptors and questions."""

import json
import os
import pty
import shutil
import signal
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import anyio
import psutil
import pytest

from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.errors import LaunchError
from mcp_e2e.model.jobs import JobState, Readiness, RestartPolicy
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import send_signal
from mcp_e2e.process.spare import Spare
from tests.usecases.conftest import stop_all

AGAIN = RestartPolicy("on-failure", backoff_first_s=0.05, fatal_codes=())
ODD = "a b\n'ü" + "漢" * 60


@pytest.mark.parametrize("kind", ["command", "service"])
async def test_fault_38_what_cannot_be_started_is_named_and_never_tried_again(room, kind):
    """No program, no right to execute it, no folder: the system's own words, exit code 127, one life."""
    (room.cwd / "text").write_text("no program")
    gone = room.cwd / "gone"
    for argv, how, said in (
        (("no-such-program", "x"), {}, "No such file or directory: 'no-such-program'"),
        ((str(room.cwd / "text"),), {}, f"Permission denied: '{room.cwd / 'text'}'"),
        (("true",), {"cwd": gone}, f"No such file or directory: working directory '{gone}'"),
    ):
        spec = room.spec(*argv, kind=kind, restart=AGAIN, **how)
        with pytest.raises(LaunchError) as caught:
            await jobs.launch(room.dir, spec)
        assert said in caught.value.message
        assert caught.value.facts["job"] == spec.id
        job = jobs.look(room.dir, spec.id)
        assert (job.state, job.exit.reason, job.exit.exit_code) == (JobState.EXITED, "exec_failed", 127)
        assert (job.exit.error, len(job.lives)) == (said, 1)


async def test_fault_39_a_folder_removed_under_a_service_ends_only_its_next_life(room):
    """It runs on; the restart and whatever is started there later say which folder is missing."""
    folder, flag = room.cwd / "folder", room.cwd / "go"
    folder.mkdir()
    code = f"echo up; until test -e {flag}; do sleep 0.02; done; echo on; exec sleep 60"
    job = await room.service("sh", "-c", code, cwd=folder, restart=AGAIN)
    await room.line(job)
    folder.rmdir()
    flag.touch()
    assert await room.line(job, 1) == "on"
    assert room.look(job).state is JobState.RUNNING
    send_signal(job.process, signal.SIGKILL)
    end = (await room.end(job)).exit
    assert (end.reason, end.error) == ("exec_failed", f"No such file or directory: working directory '{folder}'")
    assert len(room.look(job).lives) == 2
    with pytest.raises(LaunchError, match=f"working directory '{folder}'"):
        await room.command("true", cwd=folder)


async def test_fault_40_unusual_text_and_long_paths_arrive_unchanged(room):
    """Spaces, quotes, newlines, umlauts, bytes that are no UTF-8, and paths five times as long as a socket's name."""
    deep = room.cwd / ODD / ODD
    room.dir = deep / "jobs"
    folder = deep / ODD
    folder.mkdir(parents=True)
    assert len(str(folder)) > 200
    assert len(os.fsencode(folder)) > 540
    text = "ä \"'\n\\ " + b"\xff".decode("utf-8", "surrogateescape")
    code = "import os, sys; print(ascii(os.path.basename(os.getcwd())), ascii(sys.argv[1]), ascii(os.environ['X']))"
    spare = Spare()
    spare.prepare()
    try:
        for helper in (None, spare):
            spec = room.spec(sys.executable, "-c", code, text, cwd=folder, env={"X": text})
            job = await room.end(await jobs.launch(room.dir, spec, helper))
            assert job.exit.stdout.head == f"{ODD!a} {text!a} {text!a}\n"
    finally:
        spare.close()
    service = await room.service("sleep", "60", cwd=folder)
    assert (await jobs.stop(room.dir, service.id)).exit.reason == "stopped"


async def test_fault_40_a_project_in_an_unusual_folder_works(project: Path) -> None:
    """Service, test and command, state folder and all."""
    odd = project / ODD / ODD
    odd.mkdir(parents=True)
    for name in ("service.py", "mcp-e2e.toml"):
        shutil.copy(project / name, odd / name)
    base = {"PATH": "/usr/bin:/bin", "HOME": str(project.parent)}
    async with open_app(Options(project=odd), base, client_name="ü\n'") as app:
        try:
            assert (await app.sessions.start(app.caller)).state == "ready"
            assert (await app.attempts.run(app.caller, test="green", wait_seconds=30)).verdict == "passed"
            done = await app.execs.run(app.caller, command='test "$(pwd)" = "$0"; ls -d "$PWD"')
            assert (done.exit_code, done.stdout) == (0, f"{odd}\n")
        finally:
            await stop_all(app)


@pytest.fixture
def leaky() -> Iterator[int]:
    """A descriptor of ours that, by mistake, children may inherit."""
    fd = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield fd
    os.close(fd)


async def test_fault_53_a_child_has_three_files_and_none_of_ours(room, leaky):
    """Of whichever keeper, kind and life, and a probe too: no lock, gate, pipe of the answer or stdio of a server."""
    spare = Spare()
    spare.prepare()
    try:
        spared = await jobs.launch(room.dir, room.spec("sleep", "60"), spare)
    finally:
        spare.close()
    service = await room.service("sleep", "60", restart=AGAIN, ready=Readiness(exec=("sleep", "61")))
    for job in (spared, await room.command("sleep", "60"), service):
        assert open_files(job.process.pid) == 3
        assert os.getsid(job.process.pid) == job.process.pid
    probe = await room.until(lambda: child_of(service.keeper.pid, "61"))
    assert probe.num_fds() == 3
    send_signal(service.process, signal.SIGKILL)
    second = await room.until(lambda: (now := room.look(service)).generation == 2 and now.state == "running" and now)
    assert open_files(second.process.pid) == 3
    if sys.platform == "linux":
        send_signal(second.keeper, signal.SIGKILL)
        await room.until(lambda: room.look(service).state is JobState.ORPHAN)
        assert await jobs.adopt(room.dir, service.id)
        send_signal(second.process, signal.SIGKILL)
        third = await room.until(lambda: (now := room.look(service)).generation == 3 and now.state == "running" and now)
        assert open_files(third.process.pid) == 3


def open_files(pid):
    return psutil.Process(pid).num_fds()


def child_of(pid, last_word):
    children = psutil.Process(pid).children()
    return next((child for child in children if child.cmdline()[-1:] == [last_word]), None)


ON_A_TERMINAL = """
import fcntl, os, sys, termios
from pathlib import Path
import anyio
from mcp_e2e.bootstrap import Options, open_app
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
open("/dev/tty").close()

async def main():
    async with open_app(Options(project=Path(sys.argv[1])), os.environ, client_name="asked") as app:
        done = await app.execs.run(app.caller, command=sys.argv[2], timeout_s=20)
        print(done.model_dump_json(), flush=True)

anyio.run(main)
"""


class Locked(BaseHTTPRequestHandler):
    """A server that wants a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def locked() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("needs", "line", "said"),
    [
        ("sh", "read x </dev/tty && echo asked", "/dev/tty"),
        ("cat", "cat; read x || echo nothing to read >&2; exit 1", "nothing to read"),
        ("git", "git ls-remote http://127.0.0.1:{port}/x.git", "terminal prompts disabled"),
        ("ssh-keygen", "ssh-keygen -q -t ed25519 -N secret -f key && ssh-keygen -y -f key", "passphrase"),
        ("python3", "python3 -c 'import getpass; print(getpass.getpass())'", "EOFError"),
    ],
)
async def test_fault_54_whoever_asks_for_a_password_fails_at_once(
    project: Path, locked: int, needs: str, line: str, said: str
) -> None:
    """The server stands on a terminal, its commands do not: there is nobody to ask, and no question waits."""
    if shutil.which(needs) is None:
        pytest.skip(f"needs {needs}")
    theirs, ours = pty.openpty()
    command = [sys.executable, "-c", ON_A_TERMINAL, str(project), line.format(port=locked)]
    env = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    try:
        with anyio.fail_after(40):
            done = await anyio.run_process(command, stdin=ours, stderr=None, env=env, start_new_session=True)
    finally:
        os.close(theirs)
        os.close(ours)
    told = json.loads(done.stdout)
    assert (told["reason"], told["exit_code"] > 0) == ("exited", True), told
    assert said in told["stderr"]
    assert "asked" not in str(told["stdout"])
