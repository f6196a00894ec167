"""What resources read of an attempt: only what can be sent, and plain errors for the rest."""

import threading
from pathlib import Path

import pytest

from mcp_e2e.errors import NotFound, UsageError
from tests.usecases.conftest import Servers

WRITES = """
[[tests]]
id = "writes"
command = ["sh", "-c", "printf data > $MCP_E2E_OUTPUT_DIR/a.txt"]
"""


async def test_an_artifact_is_sent_when_it_can_be(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read beside the other calls; one that is too large is not read at all, one that cannot be read is not found."""
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(WRITES)
    threads, reads = [], Path.read_bytes

    def read(path: Path) -> bytes:
        threads.append(threading.current_thread())
        return reads(path)

    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    async with server() as app:
        attempt = (await app.attempts.run(app.caller, test="writes", wait_seconds=60)).attempt
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", read)
            assert await app.views.artifact(attempt, "a.txt", 4) == (b"data", "text/plain")
            patch.setattr(Path, "read_bytes", fail)
            with pytest.raises(UsageError, match="4 bytes are too many to send"):
                await app.views.artifact(attempt, "a.txt", 3)
            with pytest.raises(NotFound, match="cannot be read: Permission denied"):
                await app.views.artifact(attempt, "a.txt", 4)
    assert len(threads) == 1
    assert threading.current_thread() not in threads
