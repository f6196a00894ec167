"""What stands at a ComfyUI's address: is it ready, which version, on which device, started by whom."""

import json

import anyio

from mcp_e2e.adapters.comfyui import booting
from mcp_e2e.adapters.tls import trusted
from mcp_e2e.model.services import Boot, Device, Health
from mcp_e2e.model.work import Ready

LOOK_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20


class ComfyUIAdapter:
    """Ready when ``/system_stats`` answers: the port opens last, after all nodes are loaded."""

    kind = "comfyui"

    async def look(self, url: str, ready: Ready) -> Health:  # noqa: ARG002  the kind has one rule of its own
        return await look(url)

    def read_boot(self, so_far: Boot, text: str) -> Boot:
        return booting.read_boot(so_far, text)

    def why_ended(self, tail: str) -> str | None:
        return booting.why_ended(tail)


async def look(url: str) -> Health:
    """What stands at ``url``, at most 5 s; ``argv`` tells whose server it is."""
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    try:
        with anyio.fail_after(LOOK_TIMEOUT_S):  # httpx's own limit is for each read
            status, body = await _asked(f"{url.rstrip('/')}/system_stats")
        stats = json.loads(body) if status == 200 else None
    except TimeoutError:
        return Health(False, "not answering", f"{url}: no whole answer within {LOOK_TIMEOUT_S:g} s")
    except httpx.ConnectError:
        return Health(False, "port closed", f"Nothing listens at {url}.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Health(False, "not answering", f"{url}: {type(error).__name__} {error}".rstrip())
    except (ValueError, RecursionError):
        stats = None
    system = stats.get("system") if isinstance(stats, dict) else None
    if not isinstance(stats, dict) or not isinstance(system, dict):
        return Health(False, "not ComfyUI", f"{url}/system_stats answered {status}, not like ComfyUI.")
    argv = system.get("argv")
    return Health(
        True,
        "ready",
        version=str(system.get("comfyui_version") or "unknown"),
        device=_device(stats.get("devices")),
        argv=tuple(map(str, argv)) if isinstance(argv, list) else None,
    )


async def _asked(url: str) -> tuple[int, bytes]:
    """Status and body of the answer, the body up to the read that brings it over ``_MOST_BYTES``."""
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    body = bytearray()
    async with (
        httpx.AsyncClient(verify=trusted(), trust_env=False, timeout=LOOK_TIMEOUT_S) as client,
        client.stream("GET", url) as reply,
    ):
        async for some in reply.aiter_bytes():
            body += some
            if len(body) > _MOST_BYTES:
                break
    return reply.status_code, bytes(body)


def _device(devices: object) -> Device | None:
    if not isinstance(devices, list) or not devices or not isinstance(devices[0], dict):
        return None
    first = devices[0]
    return Device(str(first.get("name", "?")), int(first.get("vram_total") or 0), int(first.get("vram_free") or 0))
