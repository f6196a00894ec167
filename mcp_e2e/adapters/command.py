"""Services of kind ``command``: any program that listens on a port."""

from dataclasses import replace
from urllib.parse import urlsplit

import anyio

from mcp_e2e.adapters.tls import trusted
from mcp_e2e.errors import Unsupported
from mcp_e2e.model.services import Boot, Health
from mcp_e2e.model.work import Ready

LOOK_TIMEOUT_S = 5.0


class CommandAdapter:
    """Ready when an HTTP path answers below 500 and not 404, or when the port accepts (the default)."""

    kind = "command"

    async def look(self, url: str, ready: Ready) -> Health:
        for name, wanted in (("log", ready.log), ("exec", ready.exec)):
            if wanted:
                raise Unsupported(
                    f"ready = {{ {name} = ... }} can be seen only of a service that is started here.",
                    remedy='Use ready = { http = "/path" } or ready = { tcp = true }.',
                )
        return await (_look_http(url, ready.http) if ready.http else _look_tcp(url))

    def read_boot(self, so_far: Boot, text: str) -> Boot:  # noqa: ARG002  any program: its log is its own
        return replace(so_far, over=True)

    def why_ended(self, tail: str) -> str | None:  # noqa: ARG002
        return None


async def _look_http(url: str, path: str) -> Health:
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    target = f"{url.rstrip('/')}/{path.lstrip('/')}"
    try:
        async with httpx.AsyncClient(verify=trusted(), trust_env=False, timeout=LOOK_TIMEOUT_S) as client:
            status = (await client.get(target)).status_code
    except httpx.ConnectError:
        return Health(False, "port closed", f"Nothing listens at {url}.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Health(False, "not answering", f"{target}: {type(error).__name__} {error}".rstrip())
    if status < 500 and status != 404:
        return Health(True, "ready")
    return Health(False, "answers, not ready", f"{target} answered {status}.")


async def _look_tcp(url: str) -> Health:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with anyio.fail_after(LOOK_TIMEOUT_S):
            stream = await anyio.connect_tcp(parts.hostname or "127.0.0.1", port)
    except TimeoutError:
        return Health(False, "not answering", f"No connection to {url} within {LOOK_TIMEOUT_S:g} s.")
    except OSError:
        return Health(False, "port closed", f"Nothing listens at {url}.")
    await stream.aclose()
    return Health(True, "ready")
