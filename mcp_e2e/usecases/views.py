"""What resources read: facts without judging, since looking changes nothing."""

from pathlib import Path
from typing import Any

import anyio.to_thread

from mcp_e2e.adapters.media import content_type
from mcp_e2e.errors import NotFound, UsageError
from mcp_e2e.formats import FORMATS
from mcp_e2e.process import jobs, output
from mcp_e2e.process.redaction import Redactor
from mcp_e2e.settings import shown
from mcp_e2e.store import attempts, events, runs, sessions
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.replies import attempt_facts, history
from mcp_e2e.usecases.reports import Reports, run_line
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.workplace import Workplace

LOG_BYTES = 262_144
MOST_RUNS = 50


class Views:
    def __init__(self, place: Workplace, runs_: Runs, reports: Reports) -> None:
        self._place = place
        self._runs = runs_
        self._reports = reports

    async def progress(self) -> dict[str, Any]:
        """Where the active run stands, and what happened last."""
        run = await self._place.run(runs.active)
        breaker = await self._place.run(breakers.load)
        lately = await self._place.run(lambda con: events.latest(con, 20))
        running = [attempt_facts(attempt, self._place.now()) for attempt in await self._place.run(attempts.unfinished)]
        return {
            "position": self._runs.position(run, breaker).shown() if run else None,
            "running": [{name: value for name, value in facts.items() if value is not None} for facts in running],
            "events": lately,
        }

    async def runs(self) -> list[dict[str, Any]]:
        return [run_line(run) for run in await self._place.run(lambda con: runs.latest(con, MOST_RUNS))]

    async def run(self, run_id: str) -> dict[str, Any]:
        run = await self._place.run(lambda con: runs.get(con, run_id))
        if run is None:
            raise NotFound(f"there is no run {run_id!r}")
        slots = [
            {"slot": slot.n, "test": slot.test, "attempts": history(slot)}
            | ({"result": slot.checkpoint.result, "note": slot.checkpoint.note} if slot.checkpoint else {})
            for slot in run.slots
        ]
        return run_line(run) | {"slots": slots}

    async def report_markdown(self, run_id: str) -> str:
        run = await self._place.run(lambda con: runs.get(con, run_id))
        if run is None:
            raise NotFound(f"there is no run {run_id!r}")
        return FORMATS["markdown"].render(await self._reports.build(run))

    async def session_log(self, service: str) -> str:
        """The last 256 KiB of the service's output."""
        row = await self._place.run(lambda con: sessions.get(con, service))
        if row is None or row.job is None:
            raise NotFound(f"service {service!r} has no session")
        return await self.job_log(row.job)

    async def job_log(self, job: str) -> str:
        await self._place.open()
        redactor = self._place.redactor()
        return redactor.text(output.tail(jobs.look(self._place.layout.jobs, job).log, LOG_BYTES, redactor=redactor))

    def redactor(self) -> Redactor:
        """What a door must blank that hands out output as it is read."""
        return self._place.redactor()

    async def artifact(self, attempt_id: str, name: str, most: int) -> tuple[bytes, str]:
        """A collected file and its media type; only files that the attempt's evidence lists.

        Raises:
            NotFound: there is none, or it cannot be read any more.
            UsageError: it has more than ``most`` bytes.
        """
        try:
            path = await self._artifact(attempt_id, name)
            return await anyio.to_thread.run_sync(_read, path, name, most), content_type(name)
        except OSError as error:
            raise NotFound(f"artifact {name!r} of {attempt_id} cannot be read: {error.strerror}") from error

    async def thumbnail(self, attempt_id: str, name: str) -> tuple[bytes, str]:
        """A small JPEG of a collected image. Raises UsageError for what is no image."""
        from mcp_e2e.adapters import pictures  # noqa: PLC0415  loaded when it is needed: a server starts without

        path = await self._artifact(attempt_id, name)
        return await anyio.to_thread.run_sync(pictures.thumbnail, path), "image/jpeg"

    async def _artifact(self, attempt_id: str, name: str) -> Path:
        attempt = await self._place.run(lambda con: attempts.get(con, attempt_id))
        listed = attempt.evidence.get("artifacts", ()) if attempt else ()
        found = next((each for each in listed if each["name"] == name), None)
        folder = self._place.layout.artifacts / attempt.run / attempt_id if attempt else None
        if found is None or folder is None:
            raise NotFound(f"attempt {attempt_id!r} has no artifact {name!r}")
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise NotFound(f"artifact {name!r} of {attempt_id} is gone")
        return path

    def config(self) -> dict[str, Any]:
        return shown(self._place.settings())


def _read(path: Path, name: str, most: int) -> bytes:
    if (size := path.stat().st_size) > most:
        remedy = "Read the file itself: its path stands in the attempt's evidence."
        raise UsageError(f"{name}: {size:,} bytes are too many to send", remedy=remedy)
    return path.read_bytes()
