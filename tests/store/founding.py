"""Opening a database for a test of the store alone: what the use-cases hand in, without a project."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection

from mcp_e2e.process.locks import FileLock
from mcp_e2e.store.database import Database, open_database
from mcp_e2e.store.opening import Founding


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    lock = FileLock(path.with_name("founding.lock"))
    await lock.acquire(30)
    try:
        yield
    finally:
        lock.release()


def opened(path: Path, first: Callable[[Connection], None] = lambda _: None) -> AbstractAsyncContextManager[Database]:
    return open_database(path, Founding(partial(alone, path), first))
