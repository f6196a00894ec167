"""Looking at an address is cheap: it is done every fifth of a second while a service boots."""

import ssl
from typing import Any

import pytest

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.adapters.tls import trusted
from mcp_e2e.model.work import Ready
from mcp_e2e.process import probes


async def test_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many looks and clients there are: reading them anew would take longer than all the rest of a look."""
    read: list[object] = []
    original = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, *args: Any, **more: Any) -> None:
        read.append(context)
        original(context, *args, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    trusted.cache_clear()
    url = f"http://127.0.0.1:{probes.free_port()}"
    for kind in ("comfyui", "command"):
        for _ in range(2):
            assert (await ADAPTERS[kind].look(url, Ready(http="/"))).stage == "port closed"
    async with ComfyUI(url):
        assert len(read) == 1
