"""What joining a running session costs, beside a bare call of the same way, and beside booting the service instead.

    python benchmarks/join.py --rounds 100 --boot-seconds 3

``start_session`` on a session that runs: through the use-case, beside a bare INSERT and COMMIT in the same database;
and over stdio, beside a tool that does nothing of a server made of the same SDK. Calls take turns, so that all meet the
same machine. The guard only watches: one that enforces refuses the fifth equal start, and judges the others alike. The
service is the SIMULATED ComfyUI, so its boot is a setting; the milliseconds are ours. Ends with status 1 when joining
over stdio takes more than so many times what a call that does nothing takes.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.demo.agent import Agent, connected
from mcp_e2e.demo.project import Project, simulated, write
from mcp_e2e.settings.discover import FILE_NAME
from mcp_e2e.store.database import Database, open_database
from mcp_e2e.store.opening import Founding
from mcp_e2e.usecases.rebuilding import alone

MOST = 15.0
OBSERVE = '\n[guard]\nmode = "observe"\n'
NOTHING = """
import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

TOOL = types.Tool(name="nothing", input_schema={"type": "object"}, output_schema={"type": "object"})

async def tools(ctx, params):
    return types.ListToolsResult(tools=[TOOL])

async def call(ctx, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text="{}")], structured_content={})

async def main():
    server = Server("nothing", on_list_tools=tools, on_call_tool=call)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""

Times = dict[str, list[float]]


async def took(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return 1000 * (time.perf_counter() - began)


@asynccontextmanager
async def nothing() -> AsyncIterator[Agent]:
    """A server whose one tool answers at once."""
    server = StdioServerParameters(command=sys.executable, args=["-c", NOTHING])
    async with Client(stdio_client(server)) as client:
        yield Agent(client)


@asynccontextmanager
async def bare(project: Project) -> AsyncIterator[Database]:
    async with open_database(
        project.state.database, Founding(partial(alone, project.state), lambda _: None)
    ) as database:
        await database.run(
            lambda con: con.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT) STRICT")
        )
        yield database


async def _start(app: App) -> None:
    answer = await app.sessions.start(app.caller)
    if answer.state != "ready":
        raise SystemExit(f"the session was to be ready, not {answer.state}")


async def _join(agent: Agent) -> None:
    (await agent.ask("start_session")).must(state="ready", generation=1)


async def measure(project: Project, rounds: int) -> Times:
    """Milliseconds of each call; of the boot one."""
    found: Times = {name: [] for name in ("insert", "use-case", "nothing", "stdio", "boot")}
    async with connected(project) as agent, nothing() as idle, open_app(Options(project.root), os.environ) as app:
        try:
            found["boot"].append(await took(lambda: agent.do("start_session")))
            async with bare(project) as database:
                for _ in range(rounds):
                    row = (time.time(), "x" * 400)
                    insert = database.run(
                        lambda con, row=row: con.execute("INSERT INTO bare (at, body) VALUES (?, ?)", row)
                    )
                    found["insert"].append(await took(lambda insert=insert: insert))
                    found["use-case"].append(await took(lambda: _start(app)))
                    found["nothing"].append(await took(lambda: idle.ask("nothing")))
                    found["stdio"].append(await took(lambda: _join(agent)))
        finally:
            with anyio.CancelScope(shield=True):
                await agent.ask("stop_session")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--boot-seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        project = write(Path(folder).resolve() / "project", simulated(options.boot_seconds))
        with (project.root / FILE_NAME).open("a", encoding="utf-8") as config:
            config.write(OBSERVE)
        found = anyio.run(measure, project, options.rounds)
    medians = {name: statistics.median(times) for name, times in found.items()}
    print(f"start_session on a session that runs, {options.rounds} rounds, ms; two servers are on the project")
    print(f"  {'':34} median     p95  ratio to")
    for name, text, base in (
        ("insert", "a bare INSERT and COMMIT", None),
        ("use-case", "joined through the use-case", "insert"),
        ("nothing", "a tool that does nothing, stdio", None),
        ("stdio", "joined over stdio", "nothing"),
    ):
        p95 = statistics.quantiles(found[name], n=20)[-1]
        ratio = f"{medians[name] / medians[base]:6.1f} {base}" if base else ""
        print(f"  {text:34} {medians[name]:6.1f} {p95:7.1f} {ratio}")
    ratio, told = medians["boot"] / medians["stdio"], f"booted instead, {options.boot_seconds:g} s its own"
    print(f"  {told:34} {medians['boot']:6.0f}         {ratio:6.1f} joined over stdio")
    met = medians["stdio"] <= MOST * medians["nothing"]
    print(f"  {'joined over stdio, at most':34} {'':15} {MOST:6.1f} nothing   {'met' if met else 'MISSED'}", flush=True)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
