"""What a command cannot do to the session, to this server and to their state, and what it still can in the project."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import Forbidden, NeedsConfirmation
from mcp_e2e.process import sandbox
from mcp_e2e.process.sandbox import tried
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")


def needs(layer: str, private: Path) -> None:
    """Skip where the system lacks it, as something else than our own trial tells; where it has it, it must hold."""
    private.mkdir(parents=True, exist_ok=True)
    if layer == "landlock" and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 6:
        pytest.skip("this kernel cannot scope signals")
    how = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if layer == "mounts" and subprocess.run([*how, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces for this user here")
    assert tried(private)[layer] is None


@pytest.fixture
def private(project: Path) -> Path:
    return project / ".mcp-e2e" / "private"


async def test_private_is_read_only_to_a_command_and_the_project_is_not(
    server: Servers, project: Path, private: Path
) -> None:
    """In the same job: creating, renaming and git checkout succeed, the state's private part does not change."""
    needs("mounts", private)
    await anyio.run_process(["git", "init", "-q", str(project)])
    (project / "work.sh").write_text(
        "set -e\ntouch new; mv new renamed; git add renamed; git -c user.name=a -c user.email=a@b commit -qm one\n"
        "echo two > renamed; git checkout -q renamed; test ! -s renamed; mkdir d; mv d e; echo worked\n"
        "for target in state.db jobs/x new; do : 2>/dev/null >> .mcp-e2e/private/$target && echo wrote $target; done\n"
        "rm -rf .mcp-e2e/private/jobs 2>/dev/null || echo kept"
    )
    async with server() as app:
        done = await app.execs.run(app.caller, argv=["bash", "work.sh"])

    assert done.stdout == "worked\nkept\n", done
    assert (private / "state.db").exists()
    assert "mounts" in (done.sandbox or {})["level"]


async def test_the_read_only_view_cannot_be_taken_back(server: Servers, project: Path, private: Path) -> None:
    """Not by unmounting, not by remounting, not from a namespace inside of it, not through another process."""
    needs("mounts", private)
    (project / "break.sh").write_text(
        "p=$PWD/.mcp-e2e/private\numount -l $p; mount -o remount,rw,bind $p\n"
        'unshare -Urm sh -c "umount -l $p; mount -o remount,rw,bind $p; echo x > $p/inner"\n'
        'nsenter -t $1 -m sh -c "echo x > $p/other"; echo x > /proc/$1/root$p/proc; echo x > $p/own; true'
    )
    async with server() as app:
        done = await app.execs.run(app.caller, argv=["bash", "break.sh", str(os.getpid())])

    assert done.exit_code == 0, done
    assert {path.name for path in private.iterdir()} & {"inner", "other", "proc", "own"} == set()


async def test_a_job_reads_the_state_that_it_cannot_write(server: Servers, project: Path, private: Path) -> None:
    """The command line inside a job answers from the read-only folder, whatever it looks at, and writes no row."""
    needs("mounts", private)
    looks = ("status", "next", "report", "runs", "jobs", "logs api", "breaker status", "config show")
    line = f"{sys.executable} -m mcp_e2e --json"
    (project / "look.sh").write_text("".join(f"{line} {look} >/dev/null || echo failed: {look}\n" for look in looks))
    async with server() as app:
        await app.sessions.start(app.caller)
        await app.runs.plan(app.caller, tests=["green"])
        home = {"HOME": str(project.parent)}
        done = await app.execs.run(app.caller, argv=["sh", "look.sh"], env=home)
        seen = await app.execs.run(app.caller, command=f"{line} status", env=home)
        rows = await app._place.run(lambda con: con.execute("SELECT tool FROM ledger").fetchall())

    assert (done.stdout, done.stderr) == (None, None), done
    assert [row["tool"] for row in rows] == ["start_session", "plan_run", "safe_exec", "safe_exec"]
    told = json.loads(seen.stdout or "")["data"]
    assert (told["services"][0]["state"], len(told["also_here"])) == ("ready", 1)


async def test_a_trial_that_could_not_be_made_is_made_again(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not switch the layers off for the rest of the boot."""
    needs("landlock", private)
    (private / "sandbox.json").unlink(missing_ok=True)
    sandbox._tried.cache_clear()
    monkeypatch.setattr(sandbox, "TRIAL_S", 0.0001)
    assert "trial failed" in (tried(private)["landlock"] or "")
    monkeypatch.undo()
    assert tried(private)["landlock"] is None


async def test_a_failure_by_the_sandbox_carries_a_hint(server: Servers, project: Path, private: Path) -> None:
    """Whoever meets the wall is told that it is one, and who may open it."""
    needs("mounts", private)
    (project / "write.sh").write_text("echo x > .mcp-e2e/private/file")
    async with server() as app:
        done = await app.execs.run(app.caller, argv=["sh", "write.sh"])

    assert done.exit_code != 0
    assert 'sandbox = "off"' in done.next_step


async def test_off_is_off(server: Servers) -> None:
    """Switched off nothing is claimed."""
    async with server(MCP_E2E_EXEC_SANDBOX="off") as app:
        done = await app.execs.run(app.caller, command="true")
    assert done.sandbox == {"level": "process", "blocked": []}


async def test_a_test_may_signal_the_service_only_where_it_says_so(
    server: Servers, project: Path, private: Path
) -> None:
    """may_signal_service lifts that one layer for that one test."""
    needs("landlock", private)
    config = project / "mcp-e2e.toml"
    tests = '\n[[tests]]\nid = "{0}"\ncommand = ["sh", "-c", "kill -0 {1}"]\nmay_signal_service = {2}\n'
    pid = os.getpid()
    config.write_text(config.read_text() + tests.format("may", pid, "true") + tests.format("may-not", pid, "false"))
    async with server() as app:
        may = await app.attempts.run(app.caller, test="may", wait_seconds=30)
        await app.runs.checkpoint(app.caller, result="success")
        may_not = await app.attempts.run(app.caller, test="may-not", wait_seconds=30)

    assert (may.verdict, may_not.verdict) == ("passed", "failed")


async def test_destructive_lines_ask_and_tampering_ones_are_forbidden(server: Servers, project: Path) -> None:
    """Nothing of either runs; the user's word lets the first through, nothing the second."""
    outside = project.parent / f"{project.name}-precious"
    outside.mkdir()
    line = f"rm -rf {outside}"
    async with server() as app:
        with pytest.raises(NeedsConfirmation, match="precious"):
            await app.execs.run(app.caller, command=line)
        assert outside.is_dir()
        for forbidden in ("rm -rf .mcp-e2e", f"kill -9 {os.getpid()}", "mcp-e2e breaker reset"):
            with pytest.raises(Forbidden):
                await app.execs.run(app.caller, command=forbidden, confirm=True)
        done = await app.execs.run(app.caller, command=line, confirm=True)

    assert (done.exit_code, outside.exists()) == (0, False)


async def test_a_secret_of_the_calls_own_env_does_not_come_back(server: Servers) -> None:
    """What was given as API_TOKEN is blanked in the answer."""
    async with server() as app:
        done = await app.execs.run(app.caller, command='echo "got $API_TOKEN"', env={"API_TOKEN": "s3cr3t-value-77"})

    assert done.stdout == "got ***\n"
