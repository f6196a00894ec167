"""What happened lately: the track record of each test. Looking changes nothing, so nothing is judged."""

from contextlib import suppress
from difflib import get_close_matches
from functools import partial

from mcp_e2e.decisions.track_record import track_records
from mcp_e2e.errors import ConfigError, NotFound
from mcp_e2e.model.track_record import TrackRecord
from mcp_e2e.store import past
from mcp_e2e.usecases.workplace import Workplace


class Histories:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def show(
        self, *, test: str | None = None, last: int, lately_s: float | None = None
    ) -> tuple[float, list[TrackRecord]]:
        """The time it is, and the ``last`` attempts of each test, or of ``test``, that ended within ``lately_s``.

        Raises:
            NotFound: no test of that name is configured or has ever run.
        """
        await self._place.open()
        now = self._place.now()
        since = now - lately_s if lately_s is not None else 0.0
        records = track_records(await self._place.run(partial(past.lately, last=last, since=since, test=test)))
        if test is not None and not records:
            await self._expect(test)
        return now, records

    async def _expect(self, test: str) -> None:
        known = [each.test for each in track_records(await self._place.run(partial(past.lately, last=1)))]
        with suppress(ConfigError):  # what has run can be looked at all the same
            known += [each.id for each in self._place.settings().settings.tests]
        if test not in known:
            near = get_close_matches(test, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(sorted(set(known))) or 'none'}."
            raise NotFound(f"there is no test {test!r}", remedy=hint)
