"""Services' logs read on as far as their starts go: each byte once, however often somebody looks."""

from dataclasses import replace

import anyio.to_thread

from mcp_e2e.contracts import ServiceAdapter
from mcp_e2e.model.jobs import Job
from mcp_e2e.model.services import Boot
from mcp_e2e.process import output

READ_BYTES = 1 << 17  # at a time
LOOK_BYTES = 1 << 20  # in one look
START_BYTES = 1 << 23  # a start that writes more than this is not read to its end
TAIL_BYTES = 1 << 14


class BootLogs:
    """What the logs have told this process; of each service the latest generation."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, int, int, Boot]] = {}  # service: job, generation, next byte, what it told

    async def boot(self, adapter: ServiceAdapter, service: str, job: Job, *, ready: bool) -> Boot:
        """What the log of the present generation has told so far; once ``ready`` no more is read than there is."""
        if not job.lives:
            return Boot()
        begin = job.lives[-1].log_offset
        last, generation, at, boot = self._read.get(service, ("", 0, 0, Boot()))
        if (last, generation) != (job.id, job.generation):
            at, boot = begin, Boot()
        if not boot.over:
            at, boot = await anyio.to_thread.run_sync(_read_on, adapter, job, at, boot)
            boot = replace(boot, over=boot.over or ready or at - begin > START_BYTES)
            self._read[service] = (job.id, job.generation, at, boot)
        return boot


def _read_on(adapter: ServiceAdapter, job: Job, at: int, boot: Boot) -> tuple[int, Boot]:
    limit = at + LOOK_BYTES
    while at < limit and not boot.over:
        found = output.slice_at(job.log, at, READ_BYTES)
        if found.next_offset <= at:
            break
        at, boot = found.next_offset, adapter.read_boot(boot, found.text)
    return at, boot


def why_ended(adapter: ServiceAdapter, job: Job) -> str | None:
    """What the log of the last life tells of its end; None when that was a stop, or it tells nothing."""
    ended = [life for life in job.lives if life.ended_at is not None][-1:]
    if not ended or ended[0].cause:
        return None
    return adapter.why_ended(output.tail(job.log, TAIL_BYTES, ended[0].log_offset))
