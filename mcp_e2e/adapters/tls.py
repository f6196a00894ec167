"""The certificates that a service's address is trusted by, read once: reading them anew takes most of a look's time."""

import functools
import ssl


@functools.cache
def trusted() -> ssl.SSLContext:
    """As httpx makes it for each client; 15 ms the first time, in which nothing else runs."""
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    return httpx.create_ssl_context(trust_env=False)
