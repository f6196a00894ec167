"""Before a test: delete what earlier attempts left in the service's folders, if it is provably theirs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from mcp_e2e.adapters.cleaning import clean
from mcp_e2e.model.runs import Attempt
from mcp_e2e.model.services import Session
from mcp_e2e.store import attempts
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace


async def clean_outputs(place: Workplace, sights: Sights, session: Session) -> None:
    """Files of our attempts by name and content, and the configured globs; an attached service keeps all it has."""
    _, config = sights.config(session.service)
    if session.attached or session.outputs is None:
        return
    cwd, outputs = place.settings().folder(config.cwd), session.outputs
    earlier = await place.run(lambda con: attempts.produced_by(con, session.service))
    since = session.since or place.now()

    def work() -> None:
        clean(cwd, config.clean, since, _ours(earlier, (outputs, cwd / "output")), outputs)

    await anyio.to_thread.run_sync(work)


def _ours(earlier: Sequence[Attempt], roots: Sequence[Path]) -> list[Path]:
    """The files that still are what an attempt collected: another one of the same name is somebody else's."""
    found = []
    for attempt in earlier:
        hashes = {artifact["sha256"] for artifact in attempt.evidence.get("artifacts", ())}
        for file in attempt.evidence.get("outputs", ()):
            for root in roots:
                path = root / str(file["subfolder"]) / str(file["filename"])
                if file.get("type") == "output" and path.is_file() and _sha256(path) in hashes:
                    found.append(path)
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
