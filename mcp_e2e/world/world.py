"""The one door: looks never block the event loop, are shared where that is right, and end.

Laws:
- a call is answered by a look that began after the call did: whoever edited a file before calling sees the edit;
- no look outlives ``DEADLINE_S`` by more than ``GRACE_S`` and the reaping of git; a caller waits for one that runs
  already and then for its own;
- nothing that is found on disk raises: what could not be seen is said in ``partial``.
"""

import threading
import time
from collections.abc import Callable

import anyio
from anyio import to_thread

from mcp_e2e.world.contents import Contents
from mcp_e2e.world.fingerprint import Fingerprint, Scope
from mcp_e2e.world.looking import Budget, Look
from mcp_e2e.world.scope import see

DEADLINE_S = 10.0
GRACE_S = 1.0
LEAVE_S = 4.0  # longer than git takes to be killed and reaped
MAX_FILES = 50_000


class World:
    """One per process; keeps content hashes by stat."""

    def __init__(
        self,
        *,
        git: str = "git",
        deadline_s: float = DEADLINE_S,
        max_files: int = MAX_FILES,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """``now`` is the clock of the file systems, nanoseconds since the epoch."""
        self.contents = Contents(now)
        self._git, self._deadline_s, self._max_files = git, deadline_s, max_files
        self._turn = anyio.Lock()
        self._next: dict[Scope, _Shared] = {}
        self._threads = anyio.CapacityLimiter(4)  # a thread that a dead file system holds must not hold the server's

    async def look(self, scope: Scope) -> Fingerprint:
        """How that part of the world looks now; some milliseconds more than ``git status``."""
        shared = self._next.setdefault(scope, _Shared())
        async with self._turn:
            if shared.seen is None:  # nobody looked since we asked, or whoever did was cancelled
                if self._next.get(scope) is shared:
                    del self._next[scope]  # who asks from here on may have edited something
                shared.seen = await self._fresh(scope)
            return shared.seen

    async def _fresh(self, scope: Scope) -> Fingerprint:
        stop, ended = threading.Event(), threading.Event()
        look = Look(self.contents, Budget(self._deadline_s, stop), git=self._git, max_files=self._max_files)

        def work() -> None:
            try:
                see(scope, look)
            except (OSError, ValueError) as error:  # a tree stranger than any we thought of
                look.note(str(error))
            finally:
                ended.set()

        try:
            with anyio.move_on_after(self._deadline_s + GRACE_S):
                await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        finally:
            stop.set()
            await _left(ended)
        if not ended.is_set():
            look.note(f"the file system gave no answer within {self._deadline_s:g} s")
        return look.fingerprint()


async def _left(ended: threading.Event) -> None:
    """Until the thread is done with git, so that no process is left behind; also for a cancelled caller."""
    if not ended.is_set():
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(ended.wait, LEAVE_S)


class _Shared:
    """A look that has not begun, and then what it saw."""

    seen: Fingerprint | None = None
