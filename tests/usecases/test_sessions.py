"""Sessions: started once, joined by all, told as they are, stopped as a whole."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.errors import ConfigError, SetupError, UsageError
from mcp_e2e.model.work import Ready
from mcp_e2e.process import jobs
from mcp_e2e.store.sessions import boots
from tests.usecases.conftest import Servers


async def test_a_second_server_joins_the_session_of_the_first(server: Servers) -> None:
    """Same process, same generation, however often it is started."""
    async with server() as one, server(client="cursor", stops=False) as two:
        started = await one.sessions.start(one.caller)
        joined = await two.sessions.start(two.caller)

    assert started.state == "ready"
    assert (joined.pid, joined.generation, joined.url) == (started.pid, 1, started.url)


async def test_a_service_that_runs_without_its_row_is_joined(server: Servers) -> None:
    """The database was lost while it started: it is not started a second time."""
    async with server() as app:
        started = await app.sessions.start(app.caller)
        await app._place.run(lambda con: con.execute("DELETE FROM sessions"))
        again = await app.sessions.start(app.caller)

    assert (again.pid, again.generation, again.url) == (started.pid, 1, started.url)


async def test_stop_ends_the_process_and_the_next_start_counts_on(server: Servers) -> None:
    """Generations go on counting, so results before and after are never mixed."""
    async with server() as app:
        first = await app.sessions.start(app.caller)
        stopped = await app.sessions.stop(app.caller)
        assert stopped.state == "stopped"
        with pytest.raises(ProcessLookupError):
            os.kill(first.pid or 0, 0)
        again = await app.sessions.start(app.caller)

    assert (again.generation, again.state) == (2, "ready")


async def test_a_killed_service_comes_back_as_the_next_generation(server: Servers) -> None:
    """Its keeper restarts it; no call is needed."""
    async with server() as app:
        first = await app.sessions.start(app.caller)
        os.kill(first.pid or 0, signal.SIGKILL)
        with anyio.fail_after(20):
            while (now := await app.sessions.start(app.caller)).generation == 1 or now.state != "ready":
                await anyio.sleep(0.05)

    assert now.pid != first.pid


async def test_a_slow_boot_is_starting_with_its_log_and_never_killed(server: Servers, project: Path) -> None:
    """The answer comes in time, says where it stands, and the next call joins the same process."""
    service = (project / "service.py").read_text()
    waits = "import os, time; print('loading models', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
    (project / "service.py").write_text(waits + service)
    replace(project, "stop_grace_s = 2", "stop_grace_s = 2\nslow_after_s = 0.1")
    async with server() as app:
        starting = await app.sessions.start(app.caller, wait_seconds=0.5)
        assert (starting.state, starting.slow) == ("starting", True)
        assert starting.log_tail == "loading models\n"
        (project / "go").touch()
        ready = await app.sessions.start(app.caller)
        assert (ready.state, ready.pid, ready.generation) == ("ready", starting.pid, 1)


async def test_a_changed_configuration_is_told_and_keeps_the_old_process(server: Servers, project: Path) -> None:
    """The running service keeps its command until it is stopped."""
    async with server() as app:
        first = await app.sessions.start(app.caller)
        replace(project, '"service.py", "{port}"', '"service.py", "{port}", "--new"')
        changed = await app.sessions.start(app.caller)

    assert (changed.config_changed, changed.pid) == (True, first.pid)


async def test_an_attached_service_is_used_and_never_stopped(server: Servers, project: Path) -> None:
    """url instead of command: ready while it answers, let go at stop."""
    async with server() as app:
        owned = await app.sessions.start(app.caller)
        with (project / "mcp-e2e.toml").open("a") as config:
            config.write(f'\n[services.other]\nkind = "command"\nurl = "{owned.url}"\nready = {{ http = "/" }}\n')
        attached = await app.sessions.start(app.caller, service="other")
        assert (attached.state, attached.pid) == ("ready", None)
        let_go = await app.sessions.stop(app.caller, service="other")
        assert "let go" in let_go.stage
        assert (await ADAPTERS["command"].look(str(owned.url), Ready(http="/"))).answering


async def test_wrong_service_configuration_is_one_clear_error(server: Servers, project: Path) -> None:
    """A missing program, an unset variable and an unknown name, each before anything starts."""
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(
            '\n[services.gone]\nkind = "command"\ncommand = ["no-such-program-here"]\n'
            '[services.unset]\nkind = "command"\ncommand = ["true"]\nenv = { KEY = "${NOT_SET_ANYWHERE}" }\n'
        )
    async with server(stops=False) as app:
        with pytest.raises(SetupError, match="no-such-program-here"):
            await app.sessions.start(app.caller, service="gone")
        with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
            await app.sessions.start(app.caller, service="unset")
        with pytest.raises(UsageError, match="nope"):
            await app.sessions.start(app.caller, service="nope")


async def test_a_broken_file_stops_no_server_and_is_read_again(server: Servers, project: Path) -> None:
    """Every tool says what is wrong; status carries it; repaired, the next call works."""
    good = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(good.replace("stop_grace_s", "stop_grace"))
    async with server() as app:
        status = await app.status.show(app.caller)
        assert status.config_error is not None
        assert "stop_grace_s" in str(status.config_error)
        with pytest.raises(ConfigError, match="stop_grace"):
            await app.sessions.start(app.caller)
        (project / "mcp-e2e.toml").write_text(good)
        assert (await app.sessions.start(app.caller)).state == "ready"


async def test_a_service_may_take_its_port_from_the_environment(server: Servers, project: Path) -> None:
    """{port} is filled in in env too, another word in braces is the program's; to look again is no changed file."""
    service = (project / "service.py").read_text()
    kept = "import os, sys; sys.argv[1:] = [os.environ['PORT']]; open('format', 'w').write(os.environ['FORMAT'])\n"
    (project / "service.py").write_text(kept + service)
    replace(project, '"service.py", "{port}"', '"service.py"')
    replace(project, "stop_grace_s = 2", 'stop_grace_s = 2\nenv = { PORT = "{port}", FORMAT = "{level} {Ports}" }')
    async with server() as app:
        first = await app.sessions.start(app.caller)
        joined = await app.sessions.start(app.caller)

    assert (first.state, joined.pid, joined.config_changed) == ("ready", first.pid, None)
    assert (project / "format").read_text() == "{level} {Ports}"


async def test_secrets_of_a_service_reach_it_and_nothing_on_disk(server: Servers, project: Path) -> None:
    """The value of ${NAME} is in the process, and in no file of the state folder."""
    service = (project / "service.py").read_text()
    (project / "service.py").write_text("import os; open('len', 'w').write(str(len(os.environ['KEY'])))\n" + service)
    replace(project, "stop_grace_s = 2", 'stop_grace_s = 2\nenv = { KEY = "${SECRET_KEY}" }')
    async with server(SECRET_KEY="xyzzy-very-secret") as app:
        assert (await app.sessions.start(app.caller)).state == "ready"
        await app.status.show(app.caller)

    assert (project / "len").read_text() == str(len("xyzzy-very-secret"))
    found = [path for path in (project / ".mcp-e2e").rglob("*") if path.is_file() and b"xyzzy" in path.read_bytes()]
    assert found == []


def replace(project: Path, old: str, new: str) -> None:
    text = (project / "mcp-e2e.toml").read_text()
    assert old in text
    (project / "mcp-e2e.toml").write_text(text.replace(old, new))


async def test_a_service_that_says_by_its_log_that_it_is_ready(server: Servers, project: Path) -> None:
    """Until the line is there it is starting, and what it waits for is told; a probe that is no program is setup."""
    config = project / "mcp-e2e.toml"
    text = config.read_text()
    config.write_text(text.replace('ready = { http = "/" }', 'ready = { log = "^serving$" }'))
    async with server() as app:
        ready = await app.sessions.start(app.caller)
    assert (ready.state, bool(ready.ready_after_s)) == ("ready", True)

    config.write_text(text.replace('ready = { http = "/" }', 'ready = { log = "^never$" }'))
    async with server() as app:
        waiting = await app.sessions.start(app.caller, wait_seconds=0.5)
    assert (waiting.state, waiting.stage) == ("starting", "waiting for ready.log")

    config.write_text(text.replace('ready = { http = "/" }', 'ready = { exec = ["no-such-probe"] }'))
    async with server() as app:
        with pytest.raises(SetupError, match="no-such-probe"):
            await app.sessions.start(app.caller)


async def test_a_boot_is_measured_though_no_server_looks(project: Path, server: Servers) -> None:
    """Its keeper saw it ready; whoever looks later tells that time, not his own."""
    service = project / "service.py"
    service.write_text(
        f"import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)\n{service.read_text()}"
    )
    async with server(stops=False) as one:
        started = await one.sessions.start(one.caller, wait_seconds=0)
        assert started.state == "starting"
        folder = one._place.layout.jobs
    (project / "go").touch()
    with anyio.fail_after(20):
        while not (seen := jobs.look(folder, started.job or "").lives[-1]).ready_at:
            await anyio.sleep(0.02)
    async with server() as two:
        later = await two.sessions.start(two.caller)
        assert await two._place.run(lambda con: boots(con, "api")) == [seen.ready_at - seen.started_at]

    assert later.ready_after_s == round(seen.ready_at - seen.started_at, 3)
