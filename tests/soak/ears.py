"""What subscribers hear, and the laws of it.

A subscriber does what the protocol asks of it: after it has subscribed it reads, and from then on it reads again only
when it was told that the resource has changed. So whatever happens has to be read by it soon, or a notice was lost.
"""

import json
import statistics
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.types import EmptyResult, ResourceUpdatedNotification, SubscribeRequest, SubscribeRequestParams

from tests.soak.doors import Door

STATUS, PROGRESS = "e2e://status", "e2e://progress"
READ_EVERY_S = 3.0
WITHIN_S = 10.0  # from a change until every subscriber has read it
QUIET_S = WITHIN_S + 2.0
CLOCK_S = 0.05


@dataclass
class Span:
    """A subscription's life; ``end`` is when it broke or was left."""

    begin: float
    end: float = float("inf")


@dataclass
class Ear:
    """One client's subscription to both resources, anew after each loss."""

    name: str
    door: Door
    spans: list[Span] = field(default_factory=list)
    heard: dict[str, list[float]] = field(default_factory=lambda: {STATUS: [], PROGRESS: []})
    read: list[tuple[float, int]] = field(default_factory=list)  # when a reading had come, and the last event in it
    wrong: list[str] = field(default_factory=list)
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def heed(self, message: Any) -> None:
        """The client's handler of what comes unasked."""
        if isinstance(message, ResourceUpdatedNotification):
            self._hear(str(message.params.uri))

    def _hear(self, uri: str) -> None:
        self.heard.setdefault(uri, []).append(time.time())
        if uri == PROGRESS:
            self._news.set()

    async def follow(self, client: Client) -> None:
        """Subscribe, read, and read again when told to, as long as the connection holds."""
        async with anyio.create_task_group() as tasks, self._subscribed(client, tasks):
            span = Span(time.time())
            self.spans.append(span)
            self._news.set()
            try:
                while True:
                    await self._news.wait()
                    self._news = anyio.Event()
                    await self._look(client)
                    await anyio.sleep(READ_EVERY_S)
            finally:
                span.end = min([time.time(), *(at for at in self.door.killed if at >= span.begin)])

    @asynccontextmanager
    async def _subscribed(self, client: Client, tasks: Any) -> AsyncIterator[None]:
        if client.protocol_version < "2026":
            for uri in (STATUS, PROGRESS):
                subscribe = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
                await client.session.send_request(subscribe, EmptyResult)
            yield
            return
        async with client.listen(resource_subscriptions=[STATUS, PROGRESS]) as stream:
            tasks.start_soon(self._hark, stream)
            yield

    async def _hark(self, stream: Any) -> None:
        async for event in stream:
            self._hear(event.uri)

    async def _look(self, client: Client) -> None:
        result = await client.read_resource(PROGRESS, cache_mode="bypass")
        events = json.loads(result.contents[0].text)["events"]  # type: ignore[union-attr]
        last = events[-1]["seq"] if events else 0
        if self.read and last < self.read[-1][1]:
            self.wrong.append(f"{self.name} read event {last} after event {self.read[-1][1]}")
        self.read.append((time.time(), last))

    def deadline(self, at: float) -> float | None:
        """Until when a change of this time has to be known; None when no subscription lived for long after it."""
        for span in self.spans:
            begin = max(at, span.begin)
            if span.end >= begin + WITHIN_S:
                return begin + WITHIN_S
        return None

    def knew(self, number: int) -> float | None:
        """When this event had been read."""
        found = bisect_left(self.read, number, key=lambda each: each[1])
        return self.read[found][0] if found < len(self.read) else None

    def covered(self, at: float) -> bool:
        return any(span.begin < at and at + WITHIN_S <= span.end for span in self.spans)

    def first(self, uri: str, at: float) -> float | None:
        """When it first heard of this resource at or after a time."""
        times = self.heard[uri]
        found = bisect_left(times, at - CLOCK_S)
        return times[found] if found < len(times) else None


@dataclass
class Laws:
    """``wrong`` yields each broken one; the rest is how much was looked at."""

    ears: Sequence[Ear]
    events: Sequence[tuple[int, float, str]]  # number, time, kind
    until: float  # subscriptions are judged up to here
    owed: int = 0
    lasts: int = 0
    lags: list[float] = field(default_factory=list)

    def wrong(self) -> Iterator[str]:
        for ear in self.ears:
            yield from ear.wrong
            yield from self._reads(ear)
            yield from self._silences(ear)
        if not self.owed or not self.lasts:
            yield f"nothing was judged: {self.owed} changes to read, {self.lasts} last ones to hear of"

    def _reads(self, ear: Ear) -> Iterator[str]:
        """Every change is read in time by everyone who follows, also over the loss of a server."""
        for number, at, kind in self.events:
            deadline = ear.deadline(at)
            if deadline is None or deadline > self.until:
                continue
            self.owed += 1
            knew = ear.knew(number)
            if knew is None or knew > deadline:
                late = "never" if knew is None else f"{knew - at:.1f} s later"
                yield f"{ear.name} read event {number} ({kind}) {late}"

    def _silences(self, ear: Ear) -> Iterator[str]:
        """The last change before a silence is told by a notice of its own: no later one stands for it."""
        following = [at for _, at, _ in self.events[1:]] + [self.until]
        for (number, at, kind), after in zip(self.events, following, strict=True):
            if after - at < WITHIN_S or not ear.covered(at):
                continue
            for uri in (STATUS, PROGRESS):
                self.lasts += 1
                told = ear.first(uri, at)
                if told is None or told > at + WITHIN_S:
                    yield f"{ear.name} was not told of {uri} after event {number} ({kind}), the last before a silence"
                else:
                    self.lags.append(told - at)

    def shown(self) -> str:
        lags = sorted(self.lags) or [0.0]
        return (
            f"{len(self.ears)} subscribers, {sum(len(ear.spans) for ear in self.ears)} subscriptions; "
            f"{len(self.events)} changes, {self.owed} readings owed; {sum(map(self._told, self.ears))} notices; "
            f"{self.lasts} owed for last changes, heard after {statistics.median(lags):.2f} s (median), "
            f"{lags[-1]:.2f} s (longest)"
        )

    @staticmethod
    def _told(ear: Ear) -> int:
        return sum(map(len, ear.heard.values()))
