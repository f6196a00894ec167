"""The names that a person or a client may mean: for completing what is typed. Reading only, silent where nothing is."""

from collections.abc import Mapping
from functools import partial
from sqlite3 import Connection

import anyio.to_thread

from mcp_e2e.errors import E2EError
from mcp_e2e.process.records import job_ids
from mcp_e2e.store import attempts, names
from mcp_e2e.usecases.workplace import Workplace

MOST = 500  # of runs, of attempts


class Names:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def of(self, kind: str, given: Mapping[str, str] | None = None) -> list[str]:
        """All names of a ``kind``: test, service, run, job, attempt; ``name``: artifacts of the ``attempt`` given.

        The newest runs, jobs and attempts come first. Empty for another kind, and where nothing can be read.
        """
        try:
            if kind in {"test", "service"}:
                settings = self._place.settings().settings
                return [test.id for test in settings.tests] if kind == "test" else list(settings.services)
            if kind == "job":
                await self._place.open()
                return sorted(await anyio.to_thread.run_sync(job_ids, self._place.layout.jobs), reverse=True)
            return await self._place.run(partial(_stored, kind=kind, given=given or {}))
        except E2EError:
            return []


def _stored(con: Connection, kind: str, given: Mapping[str, str]) -> list[str]:
    if kind == "name":
        attempt = attempts.get(con, given.get("attempt", ""))
        return [artifact["name"] for artifact in attempt.evidence.get("artifacts", ())] if attempt else []
    if kind == "run":
        return names.latest_runs(con, MOST)
    return names.latest_attempts(con, MOST) if kind == "attempt" else []
