"""Many attempts at a ComfyUI whose WebSockets are cut again and again; what came of them is reckoned up.

    python -m tests.soak.sockets --attempts 500 --cuts 20
    python -m tests.soak.sockets --attempts 20 --cuts 3 --command "…main.py --cpu --port {port} …"

A real client on a real server over stdio; between that server and ComfyUI stands a relay, which cuts every event socket
while a prompt runs. Without ``--command`` ComfyUI is the SIMULATED one. Ends with status 1 when an attempt was lost,
doubled, cached or left open, an event is missing, or the server has grown.
"""

import argparse
import json
import os
import shlex
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import psutil
from anyio.abc import ByteStream, SocketStream

from mcp_e2e.demo.agent import connected
from mcp_e2e.demo.project import Project, simulated
from mcp_e2e.process.probes import free_port
from mcp_e2e.settings.discover import FILE_NAME
from tests.soak.memory import MOST_GROWTH, MOST_MIB

WAIT_S = 60.0
CONFIG = """
[services.comfyui]
kind = "comfyui"
command = {command}
port = 0
stop_grace_s = 2

[services.relayed]
kind = "comfyui"
url = "http://127.0.0.1:{port}"

[guard]
mode = "observe"

[[tests]]
id = "picture"
workflow = "picture.json"
service = "relayed"
expect = {{ images = 1 }}
"""


@dataclass
class Relay:
    """Passes bytes on to ``target``, and knows the event sockets by their request."""

    target: int = 0
    sockets: set[SocketStream] = field(default_factory=set)
    cut: int = 0
    opened: int = 0

    async def serve(self, port: int, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
            task_status.started()
            await listener.serve(self._pass_on)

    async def cut_sockets(self) -> None:
        """End every event socket at once, without a word."""
        for socket in list(self.sockets):
            self.cut += 1
            await socket.aclose()

    async def _pass_on(self, near: SocketStream) -> None:
        gone = (OSError, anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
        try:
            far = await anyio.connect_tcp("127.0.0.1", self.target)
            async with near, far, anyio.create_task_group() as both:
                both.start_soon(self._ask, near, far)
                both.start_soon(_copy, far, near)
        except* gone:
            pass

    async def _ask(self, near: SocketStream, far: SocketStream) -> None:
        """A connection that was used for other requests may become an event socket."""
        try:
            while True:
                said = await near.receive()
                if said.startswith(b"GET /ws"):
                    self.opened += 1
                    self.sockets |= {near, far}
                await far.send(said)
        finally:
            self.sockets -= {near, far}


async def _copy(source: ByteStream, target: ByteStream) -> None:
    """Raises when either end is closed, which ends the copying the other way too."""
    while True:
        await target.send(await source.receive())


def graph(*, real: bool) -> dict[str, Any]:
    """Work for some tenths of a second, so that there is something to cut."""
    save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "soak"}}
    if not real:
        slow = {"seed": 1, "steps": 10, "seconds": 0.3, "width": 64, "height": 64}
        return {"1": {"class_type": "SimulatedSlow", "inputs": slow}, "9": save}
    empty = {"width": 768, "height": 768, "batch_size": 1, "color": 7}
    blur = {"image": ["0", 0], "blur_radius": 31, "sigma": 10.0}
    return {
        "0": {"class_type": "EmptyImage", "inputs": empty},
        "1": {"class_type": "ImageBlur", "inputs": blur},
        "9": save,
    }


def write(root: Path, command: list[str], port: int, *, real: bool) -> Project:
    (root / ".server").mkdir(parents=True)
    (root / "picture.json").write_text(json.dumps(graph(real=real)))
    (root / FILE_NAME).write_text(CONFIG.format(command=json.dumps(command), port=port))
    return Project(root)


@dataclass
class Tally:
    verdicts: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    cached: int = 0
    mib: list[float] = field(default_factory=list)

    def note(self, answer: dict[str, Any], server: psutil.Process) -> None:
        evidence = answer.get("evidence") or {}
        self.verdicts.append(str(answer.get("verdict")))
        self.files |= {f"{answer['attempt']} {artifact['name']}" for artifact in evidence.get("artifacts", ())}
        self.cached += bool(evidence.get("cached"))
        self.mib.append(server.memory_info().rss / 2**20)


async def soak(project: Project, relay: Relay, port: int, attempts: int, cuts: int) -> Tally:
    tally = Tally()
    cut_at = {round((n + 1) * attempts / (cuts + 1)) for n in range(cuts)}
    async with anyio.create_task_group() as tasks, connected(project) as agent:
        (server,) = [each for each in psutil.Process().children() if "serve" in each.cmdline()]
        session = await agent.do("start_session", service="comfyui")
        relay.target = int(session.data["url"].rsplit(":", 1)[1])
        await tasks.start(relay.serve, port)
        try:
            await agent.do("plan_run", tests=["picture"], count=attempts)
            for n in range(attempts):
                if n in cut_at:
                    await agent.ask("run_test", wait_seconds=0)
                    with anyio.fail_after(WAIT_S):
                        while not relay.sockets:
                            await anyio.sleep(0.005)
                    await relay.cut_sockets()
                done = await agent.do("run_test", checkpoint=True)
                tally.note(done.data, server)
        finally:
            with anyio.CancelScope(shield=True):
                await agent.ask("stop_session", service="comfyui")
            tasks.cancel_scope.cancel()
    return tally


def wrong(project: Project, tally: Tally, relay: Relay, attempts: int, cuts: int) -> list[str]:
    """What should not be, a line each."""
    found = [
        f"{n} attempts ended as {verdict}"
        for verdict in set(tally.verdicts) - {"passed"}
        if (n := tally.verdicts.count(verdict))
    ]
    with closing(sqlite3.connect(project.state.database)) as con:
        rows = con.execute(
            "SELECT kind, count(*), count(DISTINCT json_extract(body, '$.attempt')) FROM events"
            " WHERE kind LIKE 'attempt.%' GROUP BY kind"
        ).fetchall()
        (made, still_open) = con.execute("SELECT count(*), sum(state <> 'done') FROM attempts").fetchone()
    for kind, count, distinct in rows:
        if (count, distinct) != (attempts, attempts):
            found.append(f"{count} events {kind} of {distinct} attempts, not {attempts}")
    facts = {"attempts made": made, "files": len(tally.files)}
    found += [f"{count} {what}, not {attempts}" for what, count in facts.items() if count != attempts]
    found += [f"{still_open} attempts are open"] if still_open else []
    found += [f"{tally.cached} came from the cache"] if tally.cached else []
    found += [f"only {relay.cut} sockets were cut"] if relay.cut < cuts else []
    third = len(tally.mib) // 3
    first, last = sorted(tally.mib[:third])[third // 2], sorted(tally.mib[-third:])[third // 2]
    print(f"server: {first:.1f} MiB in the first third, {last:.1f} MiB in the last")
    if last > first * MOST_GROWTH and last > first + MOST_MIB:
        found.append(f"the server grew from {first:.1f} to {last:.1f} MiB")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=500)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--command", default=os.environ.get("MCP_E2E_COMFYUI_CMD"))
    options = parser.parse_args()
    command = shlex.split(options.command) if options.command else list(simulated(0.3))
    port, relay = free_port(), Relay()
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-soak-") as folder:
        project = write(Path(folder).resolve() / "project", command, port, real=options.command is not None)
        tally = anyio.run(soak, project, relay, port, options.attempts, options.cuts)
        found = wrong(project, tally, relay, options.attempts, options.cuts)
    print(f"{len(tally.verdicts)} attempts, {relay.opened} event sockets, {relay.cut} ends of them cut")
    print("\n".join(found) or "nothing lost, doubled, cached or left open")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
