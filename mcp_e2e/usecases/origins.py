"""Whose answer is it that came from a service's port: that of our own process, or a stranger's."""

from collections.abc import Sequence

import anyio.to_thread

from mcp_e2e.model.jobs import Job, ProcessIdentity
from mcp_e2e.model.services import Health
from mcp_e2e.process import probes
from mcp_e2e.process.probes import PortOwner

_Proven = tuple[int, tuple[str, ...] | None]  # the generation, and what it said it was started with


class Origins:
    """What has been proven stays so while the same generation gives the same answer."""

    def __init__(self) -> None:
        self._proven: dict[str, _Proven] = {}
        self._strangers: dict[str, tuple[int, str]] = {}

    async def stranger(self, job: Job, port: int, health: Health, *, was_ready: bool) -> str | None:
        """Who answered instead of our process, in a sentence; None: it was ours.

        ``was_ready``: this generation has owned the port before, so only what it answers is looked at.
        """
        root = job.keeper or job.process  # below its keeper a daemon that left the process's tree is still found
        if root is not None and self._proven.get(job.id) == (job.generation, health.argv):
            return None
        if root is not None and await anyio.to_thread.run_sync(_ours, root, port, health.argv, was_ready):
            self._proven[job.id] = (job.generation, health.argv)
            return None
        generation, told = self._strangers.get(job.id, (0, ""))
        if generation != job.generation:
            told = await anyio.to_thread.run_sync(_who, root, port, health)
            self._strangers[job.id] = (job.generation, told)
        return told


def _ours(root: ProcessIdentity, port: int, argv: tuple[str, ...] | None, was_ready: bool) -> bool:
    """The port is our tree's, and the answer is that of a process in it.

    A custom node may have changed ``sys.argv``: then it counts that nobody else listens there.
    """
    if not was_ready and not probes.owns_port(root, port):
        return False
    if argv is None or any(started_as(words, argv) for words in probes.command_lines(root)):
        return True
    return not probes.strangers_on(root, port)


def started_as(words: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether a process with the command line ``words`` has ``argv``: a script, which may be written otherwise."""
    flags = tuple(argv[1:])
    return len(words) > len(flags) and (tuple(words[-len(flags) :]) == flags if flags else words[-1][:1] != "-")


def _who(root: ProcessIdentity | None, port: int, health: Health) -> str:
    others = probes.strangers_on(root, port) if root is not None else probes.listeners(port)
    what = f"ComfyUI {health.version} of " if health.version else ""
    who = described(others[0]) if others else "another program"
    return f"port {port} is answered by {what}{who}, not by our process; end that one, or set another port."


def described(owner: PortOwner) -> str:
    return f"{owner.name} (pid {owner.pid or 'unknown'}{f', in {owner.cwd}' if owner.cwd else ''})"
