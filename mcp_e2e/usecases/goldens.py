"""Golden images: what an attempt offers to be accepted, and its acceptance, which is a person's."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from mcp_e2e.adapters import goldens
from mcp_e2e.errors import NotFound, StoreError, UsageError
from mcp_e2e.model.runs import Attempt, Caller, Verdict
from mcp_e2e.model.work import Artifact
from mcp_e2e.store import attempts, events
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.workplace import Workplace

COMPARED = frozenset({"golden", "similar_to"})
_TELLS_NOTHING = frozenset({Verdict.LOST, Verdict.CANCELLED, Verdict.SKIPPED})


@dataclass(frozen=True)
class Candidate:
    """One image that may become golden as ``golden``, and how it differs from the one there; None: there is none."""

    image: Path
    sha256: str
    golden: Path
    differs: str | None


@dataclass(frozen=True)
class Offer:
    """The images of one attempt, run with ``params``; ``dropped``: golden ones that have no image any more."""

    test: str
    attempt: str
    run: str
    params: Mapping[str, Any]
    folder: Path
    candidates: tuple[Candidate, ...]
    dropped: tuple[Path, ...]

    def shown(self) -> dict[str, Any]:
        images = [
            {"image": str(each.image), "becomes": str(each.golden), "replaces": each.differs or "nothing, it is new"}
            for each in self.candidates
        ]
        facts: dict[str, Any] = {"test": self.test, "attempt": self.attempt}
        facts |= {"params": dict(self.params)} if self.params else {}
        return facts | {"images": images} | ({"dropped": [str(path) for path in self.dropped]} if self.dropped else {})


class Goldens:
    def __init__(self, place: Workplace, catalogue: Catalogue) -> None:
        self._place = place
        self._catalogue = catalogue

    async def known(self) -> list[dict[str, Any]]:
        """Every test that compares its images, or has golden ones: where they are, and what it last measured."""
        loaded = self._catalogue.loaded()
        listed = []
        for test in loaded.settings.tests:
            folder = goldens.folder_of(loaded, test.id)
            compares, images = goldens.reference(loaded, test), goldens.kept(folder)
            if compares is None and not images:
                continue
            last = await self._place.run(partial(attempts.ended, test=test.id, limit=1))
            line: dict[str, Any] = {"test": test.id, "compared_with": str(compares or "nothing")}
            line |= {"golden": [str(path) for path in images.values()], "problems": goldens.missing(loaded, test)}
            listed.append(line | ({"last": _measured(last[0])} if last else {}))
        return listed

    async def offer(self, test: str | None = None, attempt: str | None = None) -> Offer:
        """What the latest attempt of ``test``, or ``attempt``, would put in place of the golden images.

        Raises:
            NotFound: there is no such attempt.
            UsageError: it is not to be accepted: red for another reason, without images, or changed since.
        """
        chosen = await self._chosen(test, attempt)
        unmet = set(chosen.evidence.get("unmet", ()))
        if chosen.verdict is not Verdict.PASSED and not (unmet and unmet <= COMPARED):
            why = chosen.failure.message if chosen.failure else "it has not ended"
            raise UsageError(
                f"{chosen.id} of {chosen.test} cannot become golden: {why}",
                remedy="Run it until it passes but for the comparison, or name another one with --attempt.",
            )
        return await anyio.to_thread.run_sync(self._offered, chosen)

    async def _chosen(self, test: str | None, attempt_id: str | None) -> Attempt:
        if attempt_id is not None:
            found = await self._place.run(partial(attempts.get, attempt_id=attempt_id))
            if found is None or test not in (None, found.test):
                raise NotFound(f"there is no attempt {attempt_id!r}" + (f" of {test}" if test else ""))
            self._catalogue.test(found.test)
            return found
        name = self._catalogue.test(test or self._only_test()).id
        ended = await self._place.run(partial(attempts.ended, test=name))
        telling = [each for each in ended if each.verdict not in _TELLS_NOTHING]
        if not telling:
            raise UsageError(f"{name} has not been run yet", remedy=f"Run it first: run_test(test={name!r}).")
        return telling[0]

    def _only_test(self) -> str:
        tests = [test.id for test in self._catalogue.loaded().settings.tests if test.workflow is not None]
        if len(tests) == 1:
            return tests[0]
        raise UsageError("no test was named", remedy=f"Name one of: {', '.join(tests) or 'none has a workflow'}.")

    def _offered(self, attempt: Attempt) -> Offer:
        folder = goldens.folder_of(self._catalogue.loaded(), attempt.test)
        keys: Mapping[str, str] = attempt.evidence.get("keys", {})
        listed = {each["name"]: each for each in attempt.evidence.get("artifacts", ())}
        found = [
            self._candidate(attempt, listed[name], folder / f"{key}{goldens.SUFFIX}") for name, key in keys.items()
        ]
        if not found:
            raise UsageError(f"{attempt.id} of {attempt.test} has no images", remedy="Only images can become golden.")
        dropped = [path for key, path in goldens.kept(folder).items() if key not in keys.values()]
        params = self._place.masked(attempt.params)
        return Offer(attempt.test, attempt.id, attempt.run, params, folder, tuple(found), tuple(dropped))

    def _candidate(self, attempt: Attempt, listed: Mapping[str, Any], golden: Path) -> Candidate:
        path = self._catalogue.folder(attempt) / listed["name"]
        _unchanged(path, listed["sha256"])
        if not golden.exists():
            return Candidate(path, listed["sha256"], golden, None)
        image = Artifact(path.name, path, listed["sha256"], listed["bytes"], "image/png")
        seen = goldens.compared(image, golden, limit=float("inf"))
        differs = seen.problem
        if seen.difference is not None:
            differs = f"{seen.golden}, from which it differs by {seen.difference:.4f}"
        return Candidate(path, listed["sha256"], golden, differs)

    async def accept(self, caller: Caller, offer: Offer, actor: Mapping[str, Any]) -> None:
        """Write the images as golden ones, each whole or not at all; ``actor`` is who says so, for the record.

        Raises:
            StoreError: the folder cannot be written.
        """
        await anyio.to_thread.run_sync(_written, offer)
        record = partial(
            events.record,
            kind="golden.accepted",
            at=self._place.now(),
            run=offer.run,
            attempt=offer.attempt,
            test=offer.test,
            by=caller.shown,
            actor=dict(actor),
        )
        await self._place.run(record)


def _measured(attempt: Attempt) -> dict[str, Any]:
    verdict = attempt.verdict.value if attempt.verdict else None
    return {"attempt": attempt.id, "verdict": verdict, "compared": attempt.evidence.get("compared")}


def _unchanged(path: Path, sha256: str) -> None:
    """Raises UsageError when the file is not the one that was judged: its folder is open to commands."""
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        same = False
    if not same:
        raise UsageError(f"{path} is not any more what was judged", remedy="Run the test again, then accept that.")


def _written(offer: Offer) -> None:
    from mcp_e2e.adapters import pictures  # noqa: PLC0415  loaded when it is needed: a server starts without

    for each in offer.candidates:  # a person has looked at them meanwhile
        _unchanged(each.image, each.sha256)
    try:
        offer.folder.mkdir(parents=True, exist_ok=True)
        for each in offer.candidates:
            pictures.write_png(pictures.decoded(each.image), each.golden)
        for path in offer.dropped:
            path.unlink(missing_ok=True)
    except pictures.Unreadable as why:
        raise UsageError(f"{offer.attempt}: an image {why}", remedy="Only what can be read can be golden.") from None
    except OSError as error:
        remedy = "Make it writable, or set [project] golden_dir."
        raise StoreError(f"{offer.folder} cannot be written: {error.strerror}", remedy=remedy) from error
