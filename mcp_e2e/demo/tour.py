"""``mcp-e2e demo``: a real MCP client, a real server, a SIMULATED ComfyUI, from the first boot to the refused call."""

import io
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio

from mcp_e2e.demo.agent import Unexpected
from mcp_e2e.demo.project import GOOD, SIMULATED, Project, write
from mcp_e2e.demo.screen import Screen
from mcp_e2e.demo.steps import Steps
from mcp_e2e.errors import E2EError
from mcp_e2e.process import jobs
from mcp_e2e.usecases.replies import program

_READER_GONE = 141  # as of a program that SIGPIPE ended
_LOG_LINES = 5


def main(keep: bool = False, *, service: Sequence[str] = SIMULATED) -> int:
    """Show it, and answer the exit code: 0 when every step did what it should, 1 when not, 128 + n after signal n.

    Works in a new folder of its own below the system's temporary one, never in the user's project, and stops what it
    started however it ends. Of the folder only the reports stay; with ``keep`` or after a failure all of it does.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    folder = Path(tempfile.mkdtemp(prefix="mcp-e2e-demo-")).resolve()
    tour = _Tour(Screen(sys.stdout), folder, write(folder / "project", service))
    code = anyio.run(tour.run)
    try:
        tour.conclude(code, keep=keep)
    except BrokenPipeError:
        return code or _READER_GONE
    return code


class _Tour:
    def __init__(self, screen: Screen, folder: Path, project: Project) -> None:
        self._screen = screen
        self._folder = folder
        self._project = project
        self._steps = Steps(screen, project)
        self._began = time.monotonic()

    async def run(self) -> int:
        """The steps, and whatever they leave running is stopped; answers the exit code."""
        code = 1
        try:
            async with anyio.create_task_group() as group:
                heed = _Heed()
                group.start_soon(heed.signals, group.cancel_scope)
                self._introduce()
                await self._steps.walk()
                code = 0
                group.cancel_scope.cancel()
            code = heed.number + 128 if heed.number else code
        except* BrokenPipeError:
            code = _READER_GONE
        except* Exception as failures:
            self._tell(_first(failures))
        finally:
            with anyio.CancelScope(shield=True):
                clean = await self._stop_what_is_left()
        return code if clean else 1

    def _introduce(self) -> None:
        self._screen.heading("mcp-e2e demo: a real MCP client and server, and a SIMULATED ComfyUI (no model, no GPU)")
        self._screen.note(f"in a project of its own, {self._project.root}; nothing of yours is touched")

    def _tell(self, failure: BaseException) -> None:
        """What was expected and what was seen; the server's own words where it left some."""
        if not isinstance(failure, Unexpected):
            failure = Unexpected("the demo itself", "no error", f"{type(failure).__name__}: {failure}")
        self._screen.failure(failure.what, repr(failure.expected), repr(failure.seen))
        if failure.reply:
            self._screen.note("the server's answer:")
            self._screen.quote(failure.reply, "red")
        log = self._project.server_log
        if log.exists() and (lines := log.read_text("utf-8", "replace").splitlines()):
            self._screen.note(f"the last lines of {log}:")
            self._screen.quote("\n".join(lines[-_LOG_LINES:]), "red")

    async def _stop_what_is_left(self) -> bool:
        """A failure or a signal leaves the service to its keeper, which ends it when asked; False when it does not."""
        state = self._project.state
        clean = True
        for job in jobs.list_jobs(state.jobs):
            try:
                if job.live:
                    await jobs.stop(state.jobs, job.id)
            except E2EError as error:
                clean = False
                self._screen.failure(f"stopping {job.id}", "nothing is left running", str(error))
        return clean

    def conclude(self, code: int, *, keep: bool) -> None:
        """The measured comparison and the reports, or what went wrong; and what stays on disk."""
        if code == 1:
            self._screen.line(f"The demo FAILED. All it made is kept in {self._folder}")
            return
        if code:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._screen.line("Interrupted: the service is stopped and the temporary project removed.")
            return
        self._compare()
        for title, path in self._steps.reports.items():
            kept = path if keep else self._keep_report(Path(path))
            self._screen.fact("report", f"{kept}  ({title})")
        if keep:
            self._screen.fact("project", f"kept: {self._project.root}")
        else:
            shutil.rmtree(self._project.root, ignore_errors=True)
        self._screen.fact("next", "in your project's folder, for claude, vscode, cursor or codex:")
        self._screen.line(f"   {shlex.join(program())} install claude")

    def _compare(self) -> None:
        steps, tests = self._steps, len(GOOD)
        usual = steps.restarted_s * tests
        self._screen.heading(f"Measured here, {tests} tests with the SIMULATED service")
        self._screen.fact("kept alive", f"{steps.kept_alive_s:.1f} s: one boot, {tests} tests, {tests} checkpoints")
        told = f"{usual:.1f} s: {steps.restarted_s:.1f} s for one test, measured once, times {tests}"
        self._screen.fact("restarted", told)
        further = f"{steps.next_test_s:.1f} s instead of {steps.restarted_s:.1f} s"
        self._screen.fact("each further test", further)
        self._screen.fact("whole demo", f"{time.monotonic() - self._began:.1f} s, every step did what it should")

    def _keep_report(self, path: Path) -> Path:
        kept = self._folder / path.name
        shutil.copyfile(path, kept)
        return kept


class _Heed:
    """Turns a signal into an orderly end; ``number`` is the signal that came, or 0."""

    def __init__(self) -> None:
        self.number = 0

    async def signals(self, scope: anyio.CancelScope) -> None:
        if sys.platform != "win32":
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
                async for number in received:
                    self.number = int(number)
                    scope.cancel()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The innermost first failure: task groups wrap what goes wrong inside them."""
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
