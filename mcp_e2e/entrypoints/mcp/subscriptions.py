"""Notices that a resource reads otherwise than before, whoever changed it, to clients of both protocol eras.

On 2026-07-28 a client opens a stream by ``subscriptions/listen``; before that it sends ``resources/subscribe``. While
nobody does, nothing is looked at. Tools, prompts and the list of resources never change under a running server, so
no client is promised notices of them.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskGroup
from mcp import types
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated

from mcp_e2e.bootstrap import App
from mcp_e2e.decisions.notices import Marks
from mcp_e2e.entrypoints.mcp.handlers import Context
from mcp_e2e.entrypoints.mcp.resources import SCHEME
from mcp_e2e.entrypoints.mcp.sdk import connection_of

logger = logging.getLogger(__name__)

LOOK_S = 0.5  # so no resource is announced more often


class _Postbox:
    """What a client of the handshake era has still to be told. One that does not read keeps nobody else waiting."""

    def __init__(self, connection: Connection) -> None:
        self.uris: set[str] = set()
        self.missed = False  # something may have been said while nobody could hear it
        self._connection = connection
        self._news: dict[str, None] = {}
        self._arrived = anyio.Event()
        self._open = anyio.CancelScope()

    def put(self, uri: str) -> None:
        if uri in self.uris:
            self._news[uri] = None
            self._arrived.set()

    async def deliver(self) -> None:
        with self._open:
            while True:
                await self._arrived.wait()
                self._arrived, news, self._news = anyio.Event(), self._news, {}
                for uri in news:
                    await self._connection.notify("notifications/resources/updated", {"uri": uri})

    def close(self) -> None:
        self._open.cancel()


class Subscriptions:
    """Who wants to hear of which resource; of one server, any number of clients."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)
        self._listening = 0
        self._boxes: dict[Connection, _Postbox] = {}
        self._marks: Marks | None = None  # how things stood when it was looked last; None while nobody asks
        self._looking = anyio.Lock()
        self._asked = anyio.Event()
        self._tasks: TaskGroup | None = None

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """One stream of notices (2026-07-28), until its client leaves or ``close``."""
        wanted = types.SubscriptionFilter(resource_subscriptions=params.notifications.resource_subscriptions)
        self._listening += 1
        try:
            await self._begin(ctx.lifespan_context)
            return await self._streams(ctx, params.model_copy(update={"notifications": wanted}))
        finally:
            self._listening -= 1

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Up to 2025-11-25: this client is told of ``uri`` until it unsubscribes or leaves."""
        connection = connection_of(ctx.session)
        if connection not in self._boxes:
            self._boxes[connection] = box = _Postbox(connection)
            connection.exit_stack.callback(self._forget, connection)
            self._group.start_soon(box.deliver)
        self._boxes[connection].uris.add(str(params.uri))
        await self._begin(ctx.lifespan_context)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Its box stays until it leaves: it may subscribe again, and is forgotten once."""
        if box := self._boxes.get(connection_of(ctx.session)):
            box.uris.discard(str(params.uri))
        return types.EmptyResult()

    def opened(self, session: str) -> None:
        """A client of the handshake era has opened its stream over HTTP: what was said before it had one is lost.

        So it is told of all that it has subscribed to, once, and reads.
        """
        for connection, box in self._boxes.items():
            box.missed = box.missed or connection.session_id == session

    def close(self) -> None:
        """End all streams as the protocol wants it: with a result, so that clients know it was meant."""
        self._streams.close()

    @asynccontextmanager
    async def told(self, app: App) -> AsyncIterator[None]:
        """While the block runs, whoever asks is told."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(partial(self._tell, app))
            yield
            self._tasks.cancel_scope.cancel()

    @property
    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("subscriptions are served inside `told` only")
        return self._tasks

    async def _begin(self, app: App) -> None:
        """Before a client hears that it is subscribed: what changes from here on is told."""
        async with self._looking:
            if self._marks is None:
                self._marks = await app.notices.marks()
        self._asked.set()

    async def _tell(self, app: App) -> None:
        while True:
            if not self._listening and not any(box.uris for box in self._boxes.values()):
                self._marks, self._asked = None, anyio.Event()
                await self._asked.wait()
            await anyio.sleep(LOOK_S)
            try:
                await self._look(app)
            except Exception:  # a defect here must not end the server that others wait on
                logger.exception("looking for changes failed")

    async def _look(self, app: App) -> None:
        async with self._looking:
            if self._marks is None:
                return
            self._marks, told = await app.notices.since(self._marks)
        for address in sorted(told):
            await self._bus.publish(ResourceUpdated(uri=SCHEME + address))
        for box in self._boxes.values():
            for uri in sorted(box.uris) if box.missed else [SCHEME + address for address in sorted(told)]:
                box.put(uri)
            box.missed = False

    def _forget(self, connection: Connection) -> None:
        box = self._boxes.pop(connection, None)
        if box is not None:
            box.close()
