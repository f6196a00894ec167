"""``reload_on``: code that the service has loaded and that was edited since is loaded before the next test."""

import os
from pathlib import Path

from tests.usecases.conftest import Servers


def reloading(project: Path) -> None:
    config = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(config.replace("stop_grace_s = 2", 'stop_grace_s = 2\nreload_on = ["*.py"]'))


def edited_later(path: Path, than: float) -> None:
    """As if saved shortly after ``than``: the clock of files may be coarse."""
    path.write_text(path.read_text() + "\n# edited\n")
    os.utime(path, (than + 0.2, than + 0.2))


async def test_an_edited_service_is_restarted_before_the_next_test_and_told(server: Servers, project: Path) -> None:
    """Once: the test after it joins the new generation."""
    reloading(project)
    async with server() as app:
        first = await app.attempts.run(app.caller, test="green", checkpoint=True)
        session = await app._execution._sights.look("api")
        assert first.evidence is not None
        assert session.started_at is not None
        os.utime(project / "service.py", (session.started_at - 10, session.started_at - 10))
        again = await app.attempts.run(app.caller, test="green", checkpoint=True)
        edited_later(project / "service.py", session.started_at)
        after = await app.attempts.run(app.caller, test="green", checkpoint=True)

    assert again.evidence is not None
    assert after.evidence is not None
    assert (first.evidence["generation"], again.evidence["generation"], after.evidence["generation"]) == (1, 1, 2)
    assert after.evidence["reloaded_for"] == ["service.py"]
    assert "reloaded_for" not in again.evidence


async def test_code_edited_while_the_test_ran_is_told(server: Servers, project: Path) -> None:
    """Its verdict is about the code of before."""
    reloading(project)
    async with server() as app:
        await app.sessions.start(app.caller)
        os.utime(project / "service.py", (1, 1))
        running = await app.attempts.run(app.caller, test="slow", wait_seconds=0)
        while running.state != "running":
            running = await app.attempts.run(app.caller, test="slow", wait_seconds=0.1)
        session = await app._execution._sights.look("api")
        assert session.started_at is not None
        edited_later(project / "service.py", session.started_at)
        (project / "go").touch()
        done = await app.attempts.run(app.caller, test="slow")

    assert done.evidence is not None
    assert (done.evidence["generation"], done.evidence["service_stale"]) == (1, True)
