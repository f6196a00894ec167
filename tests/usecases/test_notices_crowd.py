"""Several servers look at one project: what one sees a moment late is no news."""

import os
import sys
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.store import events
from mcp_e2e.usecases import notices

WAITS = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.02)"


async def test_a_job_that_another_server_saw_first_has_not_ended(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began after our look at the jobs and before our note of it; no event says that it has ended."""
    real, looks = notices._live, 0

    async def begin(other: App) -> None:
        await other.execs.run(other.caller, argv=[sys.executable, "-c", WAITS], wait_seconds=0)
        await other.notices.marks()

    with anyio.fail_after(40):
        async with (
            open_app(Options(project=project), os.environ, settles=False) as ours,
            open_app(Options(project=project), os.environ, settles=False) as other,
        ):

            def live(folder: Path) -> set[str]:
                nonlocal looks
                looks, found = looks + 1, real(folder)
                if looks == 1:
                    anyio.from_thread.run(begin, other)
                return found

            monkeypatch.setattr(notices, "_live", live)
            await ours.notices.marks()
            told = await ours._place.run(lambda con: [event["kind"] for event in events.after(con, 0)])
            (project / "go").touch()
    assert looks == 2
    assert told.count("job.started") == 1
    assert "job.ended" not in told
