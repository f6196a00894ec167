"""Clients of the HTTP door that want nothing but to stay: slow ones, and sessions that are left open.

While 300 connections send a byte now and then a proper client is served as ever; they are hung up on in the end. After
1,000 idle sessions the next one is turned away, and everybody else is served.
"""

import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.answers import Wrong
from tests.fuzz.lives import Tally, Watch, life
from tests.fuzz.over_http import listening, stop
from tests.fuzz.params import HELLO
from tests.fuzz.port import Client, connect
from tests.fuzz.project import TOKEN, Project

ROUND_S = 1.0
HANG_UP_S = 40.0  # the server's own bound is 15
SOON_S = 3.0  # a proper client's answer, on a busy machine
MIB_A_SESSION = 0.1
BEGINNINGS = (
    b"",
    b"POST",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
    b"Accept: application/json, text/event-stream\r\nContent-Length: 9999\r\n\r\n{" % TOKEN.encode(),
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n"
    b"MCP-Protocol-Version: 2026-07-28\r\nAccept: application/json, text/event-stream\r\n\r\n1\r\n{\r\n"
    % TOKEN.encode(),
)


@dataclass
class Idle:
    """``slow`` connections and ``sessions``; what came of them is told in ``said``."""

    slow: int
    sessions: int

    def live(self, tally: Tally, kept: Path, python: str) -> list[str]:
        project = Project.made(kept / "idle", "observe")
        process = project.serve(python, "--http", "127.0.0.1:0")
        said = list[str]()
        try:
            with life(tally, project, process.pid, kept, "idle") as watch:
                port = listening(project, process)
                client = Client(port)
                client.ask()
                if self.slow:
                    said.append(self._dawdle(port, client))
                said.append(self._stay(client, watch))
                stop(process)
        finally:
            project.leave(process)
        return said

    def _dawdle(self, port: int, client: Client) -> str:
        """Slow connections, until the last of them has been hung up on."""
        begun, worst, asked = time.monotonic(), 0.0, 0
        with contextlib.ExitStack() as all_of_them:
            links = [all_of_them.enter_context(connect(port)) for _ in range(self.slow)]
            for place, link in enumerate(links):
                link.sendall(BEGINNINGS[place % len(BEGINNINGS)])
                link.setblocking(False)
            while links and time.monotonic() < begun + HANG_UP_S:
                turn = time.monotonic()
                links = [link for link in links if _dripped(link)]
                while time.monotonic() < turn + ROUND_S:
                    began = time.monotonic()
                    client.ask()
                    worst, asked = max(worst, time.monotonic() - began), asked + 1
        if links:
            raise Wrong(f"{len(links)} of {self.slow} slow connections are open after {HANG_UP_S:g} s")
        if worst > SOON_S:
            raise Wrong(f"beside slow clients a proper one waited {worst:.1f} s")
        took = f"{self.slow} slow connections hung up on within {time.monotonic() - begun:.0f} s"
        return f"{took}; {asked} times proper questions beside them, {worst:.2f} s at most"

    def _stay(self, client: Client, watch: Watch) -> str:
        """Sessions that are opened and left, one more than there may be."""
        watch.look()
        opened = [client.session]
        while len(opened) < self.sessions:
            client.open()
            opened.append(client.session)
        watch.look()
        one_more = client.send("initialize", HELLO, {}).status
        if one_more != 503:
            raise Wrong(f"after {self.sessions} sessions one more was answered with {one_more}")
        for session in (opened[0], opened[-1]):
            client.session = session
            client.ask()
            if client.session != session:
                raise Wrong(f"of {self.sessions} idle sessions one is lost")
        client.close(opened.pop())
        client.open()
        client.ask()
        before, after = watch.sizes
        if after - before > MIB_A_SESSION * self.sessions:
            raise Wrong(f"{self.sessions} sessions took {after - before:.0f} MiB")
        return f"{self.sessions} idle sessions, {before:.1f} -> {after:.1f} MiB; one more: 503"


def _dripped(link: socket.socket) -> bool:
    """Whether the connection still takes a byte; what it is told is left."""
    try:
        while link.recv(4096):
            pass
        return False
    except BlockingIOError:
        pass
    except OSError:
        return False
    try:
        link.send(b"a")
    except OSError:
        return False
    return True
