"""safe_exec and job: every command ends as the contract says, whatever it does."""

import os
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import LaunchError, NotFound, UsageError
from tests.usecases.conftest import Servers


async def test_a_command_answers_with_code_output_and_log(server: Servers) -> None:
    """stdout and stderr apart, the whole on disk, the shell named."""
    async with server() as app:
        done = await app.execs.run(app.caller, command="echo out; echo err >&2; exit 3")

    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert done.shell is not None
    assert done.log is not None
    assert sorted(Path(done.log).read_text().split()) == ["err", "out"]
    assert done.sandbox is not None
    assert done.sandbox["level"].startswith("process")


async def test_a_command_that_ignores_term_is_ended_at_its_limit(server: Servers) -> None:
    """INT, TERM, then KILL of the whole tree; the answer says it was the time limit."""
    async with server() as app:
        done = await app.execs.run(app.caller, command="trap '' INT TERM; while :; do sleep 0.1; done", timeout_s=0.5)

    assert (done.reason, done.signal) == ("timeout", 9)
    assert "time limit" in done.next_step


async def test_two_hundred_megabytes_come_back_as_head_tail_and_a_count(server: Servers) -> None:
    """The reply stays small, the log stays within its cap, and the numbers are exact."""
    script = "print('first'); [print('x' * (1 << 20), end='') for _ in range(200)]; print('last')"
    async with server() as app:
        done = await app.execs.run(app.caller, argv=["python3", "-c", script])

    assert done.truncated
    assert done.stdout is not None
    assert done.stdout.startswith("first")
    assert done.stdout.endswith("last\n")
    total = 200 * (1 << 20) + len("first\n") + len("last\n")
    shown = len(done.stdout) - len(f"\n… {0} bytes omitted …\n")
    omitted = int(done.stdout.split("… ")[1].split(" ")[0])
    assert abs(total - omitted - shown) < 20
    assert len(done.stdout) < 9000
    assert done.log is not None
    assert Path(done.log).stat().st_size < 66 * (1 << 20)


async def test_a_background_child_does_not_outlive_its_command(server: Servers) -> None:
    """The answer does not wait for it, and it is gone."""
    async with server() as app:
        done = await app.execs.run(app.caller, command="sleep 300 & echo $!")

    assert done.strays_killed == 1
    assert done.stdout is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


async def test_wait_seconds_zero_is_the_background(server: Servers, project: Path) -> None:
    """It runs on, can be read and waited for, and survives the server that began it."""
    async with server(stops=False) as app:
        begun = await app.execs.run(
            app.caller, command="echo begun; until [ -e go ]; do sleep 0.02; done; echo done", wait_seconds=0
        )
        assert begun.state == "running"
    async with server() as app:
        with anyio.fail_after(10):
            while "begun" not in str((await app.execs.job(app.caller, action="output", id=begun.job)).output):
                await anyio.sleep(0.02)
        (project / "go").touch()
        ended = await app.execs.job(app.caller, action="wait", id=begun.job, wait_seconds=20)
        assert (ended.state, ended.exit_code) == ("exited", 0)
        found = await app.execs.job(app.caller, action="output", id=begun.job, grep="^done$")
        assert found.lines is not None
        assert len(found.lines) == 1


async def test_cancel_ends_a_commands_whole_tree(server: Servers) -> None:
    """job(cancel) answers when it is gone."""
    async with server() as app:
        begun = await app.execs.run(app.caller, command="sleep 300 & sleep 300", wait_seconds=0)
        ended = await app.execs.job(app.caller, action="cancel", id=begun.job)
        listed = await app.execs.job(app.caller)

    assert (ended.state, ended.reason) == ("exited", "stopped")
    assert listed.jobs is not None
    assert [line.state for line in listed.jobs if line.job == begun.job] == ["exited"]


async def test_the_environment_is_scrubbed(server: Servers) -> None:
    """Names outside the list and secrets do not reach a command; what the caller gives does."""
    async with server(AWS_SECRET_ACCESS_KEY="hush", EDITOR="vi") as app:
        done = await app.execs.run(app.caller, command="env", env={"MINE": "1"})

    assert done.stdout is not None
    assert "MINE=1" in done.stdout
    assert "hush" not in done.stdout
    assert "EDITOR" not in done.stdout


async def test_wrong_arguments_run_nothing(server: Servers) -> None:
    """Neither or both of command and argv, a missing program, an unknown job."""
    async with server() as app:
        for arguments in ({}, {"command": "true", "argv": ["true"]}, {"argv": []}):
            with pytest.raises(UsageError):
                await app.execs.run(app.caller, **arguments)  # type: ignore[arg-type]
        with pytest.raises(LaunchError, match="no-such-program"):
            await app.execs.run(app.caller, argv=["no-such-program"])
        with pytest.raises(NotFound):
            await app.execs.job(app.caller, action="output", id="j-nope")
        await app.sessions.start(app.caller)
        with pytest.raises(UsageError, match="stop_session"):
            await app.execs.job(app.caller, action="cancel", id="api")


async def test_its_failures_are_never_red(server: Servers) -> None:
    """Only tests count."""
    async with server() as app:
        for code in (1, 2, 3, 4):
            await app.execs.run(app.caller, command=f"exit {code}")
        assert (await app.breaker.show()).consecutive_failures == 0
