"""Before a test: delete what earlier attempts left in the service's folders, if it is provably theirs.

ComfyUI numbers its files from the highest that is there, so deleted names are used again; its cache may name deleted
files, which is why each attempt is made to execute anew.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from sqlite3 import Connection

import anyio.to_thread

from mcp_e2e.adapters.cleaning import Produced, clean_matching, clean_produced
from mcp_e2e.adapters.comfyui.command_line import output_folder
from mcp_e2e.model.runs import Attempt, AttemptState
from mcp_e2e.model.services import Health, Session
from mcp_e2e.store import attempts
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace


async def clean_outputs(place: Workplace, sights: Sights, session: Session) -> None:
    """Files of our attempts by name, content and age, and the configured globs; an attached service keeps all."""
    _, config = sights.config(session.service)
    if session.attached or session.outputs is None:
        return
    loaded = place.settings()
    cwd, spare = loaded.folder(config.cwd), [place.layout.root, loaded.folder(loaded.settings.project.golden_dir)]
    folders = output_folders(session.health, session.outputs, cwd)
    since = session.since or place.now()

    def asked(con: Connection) -> tuple[list[Attempt], list[Attempt]]:
        return attempts.produced_by(con, session.service), attempts.unfinished(con)

    earlier, unfinished = await place.run(asked)

    def work() -> None:
        for folder in folders:
            clean_produced(folder, list(_produced(earlier)))
        # What an attempt on another service writes at this moment is no leftover, also where a glob names it.
        clean_matching(cwd, config.clean, since, until=_first_start(unfinished), spare=spare)

    await anyio.to_thread.run_sync(work)


def output_folders(health: Health | None, outputs: Path, cwd: Path) -> list[Path]:
    """Where a server writes, as it tells, or ``outputs`` and the usual folder: in a container its paths are others."""
    told = output_folder(health.argv, cwd) if health and health.argv else None
    try:
        return [told] if told and told.is_dir() else [outputs, cwd / "output"]
    except OSError:  # a path of a container that is not to be looked at here
        return [outputs, cwd / "output"]


def _produced(earlier: Sequence[Attempt]) -> Iterator[Produced]:
    for attempt in earlier:
        collected = attempt.evidence.get("artifacts", ())
        contents = frozenset((str(each["sha256"]), int(each["bytes"])) for each in collected)
        since, until = attempt.started_at or attempt.created_at, attempt.ended_at or attempt.created_at
        for file in attempt.evidence.get("outputs", ()) if contents else ():
            if file.get("type") == "output":
                yield Produced(str(file["subfolder"]), str(file["filename"]), contents, since, until)


def _first_start(unfinished: Sequence[Attempt]) -> float:
    running = [each for each in unfinished if each.state is AttemptState.RUNNING]
    return min((each.started_at or each.created_at for each in running), default=math.inf)
