"""Ports and addresses, asked of real sockets."""

import os
import socket
import sys

import psutil
import pytest

from mcp_e2e.process.identity import own_identity
from mcp_e2e.process.probes import free_port, listeners, owns_port, port_is_free, port_owner, strangers_on
from mcp_e2e.process.sandbox import Sandbox, level

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204 if self.path == "/ok" else 500)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


async def test_a_port_of_a_job_belongs_to_its_tree(room):
    """Behind a shell too, and to nobody else."""
    job = await room.service("sh", "-c", '"$0" -c "$1"; true', sys.executable, SERVER)
    port = int(await room.line(job))
    assert not port_is_free(port)
    assert owns_port(job.process, port)
    assert owns_port(job.keeper, port)
    assert not owns_port(job.process, free_port())
    owner = port_owner(port)
    assert owner.pid != job.process.pid
    assert SERVER in owner.cmdline


def test_a_port_nobody_listens_on():
    """Free, and owned by nobody."""
    port = free_port()
    assert port_is_free(port)
    assert port_owner(port) is None


def test_a_server_that_never_answers_owns_its_port_all_the_same():
    """A hung service is in the way like any other."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert port_owner(port).pid == os.getpid()
        assert owns_port(own_identity(), port)


async def test_listeners_are_found_where_a_user_may_not_ask_for_all_at_once(room, monkeypatch):
    """As on macOS: each process is asked by itself, and one that may not be asked is passed over."""
    job = await room.service(sys.executable, "-c", SERVER)
    port = int(await room.line(job))
    asked = psutil.Process.net_connections

    def denied(*_):
        raise psutil.AccessDenied

    def of_one(process, kind):
        return denied() if process.pid == os.getppid() else asked(process, kind)

    monkeypatch.setattr(psutil, "net_connections", denied)
    monkeypatch.setattr(psutil.Process, "net_connections", of_one)
    assert port_owner(port).pid == job.process.pid
    assert (job.process.pid, port) in [(owner.pid, owner.port) for owner in listeners()]
    with socket.create_server(("127.0.0.1", 0)) as ours:
        at = ours.getsockname()[1]
        assert [owner.pid for owner in strangers_on(job.process, at)] == [os.getpid()]
    assert strangers_on(job.process, port) == []
    assert port_owner(free_port()) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_a_port_is_taken_whichever_address_it_is_taken_on(host):
    """A listener on every address, or only on the IPv6 loopback, is in the way too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    with server:
        assert not port_is_free(server.getsockname()[1])


def test_the_sandbox_says_what_it_is():
    """No level is claimed that was not reached."""
    assert level(()) == Sandbox("process", ())
    assert level(("seccomp", "landlock")).level == "process+landlock+seccomp"
