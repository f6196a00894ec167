"""The world of this project: what is fingerprinted, and what of it a test wrote itself."""

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Loaded
from mcp_e2e.store import ledger
from mcp_e2e.usecases.workplace import Workplace
from mcp_e2e.world import Fingerprint, Scope, World


class Worlds:
    """``last`` is the latest fingerprint seen by this process; None before the first."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._world = World()
        self.last: Fingerprint | None = None
        self._looks = 0

    async def now(self) -> str:
        """The world as rules compare it; empty without a configuration, and never equal where not all was seen."""
        seen = await self.look()
        if seen is None:
            return ""
        if seen.partial:
            self._looks += 1
            return f"{seen.id} partly, {self._place.here.lease.id} {self._looks}"
        return await self._place.run(lambda con: ledger.meaning(con, seen.id))

    async def look(self) -> Fingerprint | None:
        try:
            loaded = self._place.settings()
        except ConfigError:
            return None
        self.last = await self._world.look(_scope(loaded))
        return self.last

    async def after_test(self, before: Fingerprint | None) -> None:
        """A test has run since ``before``: files that are neither in git nor ignored are taken as written by it."""
        now = await self.look()
        if before is None or now is None or before.partial or now.partial or before.tracked != now.tracked:
            return
        old, new = before.id, now.id
        await self._place.run(lambda con: ledger.same_world(con, new, ledger.meaning(con, old)))


def _scope(loaded: Loaded) -> Scope:
    services = loaded.settings.services.values()
    outside = [loaded.folder(folder) for folder in loaded.settings.guard.watch]
    named = [loaded.file] if loaded.file else []
    workflows = [loaded.folder(test.workflow) for test in loaded.settings.tests if test.workflow]
    return Scope(
        project=loaded.project,
        excluded=(loaded.state_dir,),
        files=(*named, loaded.project / ".env", *workflows),
        globs=tuple((loaded.folder(each.cwd), pattern) for each in services for pattern in each.reload_on),
        watched=tuple(outside),
    )
