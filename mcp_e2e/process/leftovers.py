"""What jobs whose keepers were killed have left running: nobody else would ever end it.

A command dies with its keeper, what it had started does not. Found by the job's marker (Linux), ended as ``stop`` does.
"""

import logging
from pathlib import Path

import anyio.to_thread

from mcp_e2e.errors import NotFound, ServiceUnavailable, StoreError
from mcp_e2e.process.keeping import facts
from mcp_e2e.process.records import job_ids, look, may_have_leftovers
from mcp_e2e.process.stop import stop

log = logging.getLogger(__name__)


class Leftovers:
    """``end`` may be called often: a job that is over for good is looked at once."""

    def __init__(self) -> None:
        self._over: set[str] = set()

    async def end(self, jobs_dir: Path) -> None:
        for job_id in await anyio.to_thread.run_sync(self._lost, jobs_dir):
            try:
                await stop(jobs_dir, job_id)
            except ServiceUnavailable as error:
                log.warning("left by a lost job: %s", error)
            self._over.add(job_id)

    def _lost(self, jobs_dir: Path) -> list[str]:
        """Jobs that are lost and of which something lives."""
        lost: set[str] = set()
        for name in set(job_ids(jobs_dir)) - self._over:
            try:
                job = look(jobs_dir, name)
            except (NotFound, StoreError):  # half made, half removed, or of another version
                continue
            if not job.live:
                (lost if may_have_leftovers(job) else self._over).add(name)
        living = facts.markers() if lost else set()
        self._over |= lost - living
        return sorted(lost & living)
