"""The certificates that a service's address is trusted by, read once: reading them anew takes most of a look's time."""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """As httpx makes it for each client; 15 ms the first time, in which nothing else runs."""
    return httpx.create_ssl_context(trust_env=False)
