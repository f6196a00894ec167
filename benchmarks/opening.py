"""What a client waits for: the first answer, the first tool call, every further one; beside a bare SDK server.

    python benchmarks/opening.py --rounds 15 --calls 300

Starts and calls of all take turns, so that a busy machine is busy for all. First answer: from the spawn to the result
of ``initialize``, over a bare ``python -c pass``. First call: from the spawn to the result of ``status`` (of one test,
in a new state folder: the database is made on the way), over that of a bare ``MCPServer`` with one tool that does
nothing. Further calls: ``job`` with ``list``, which does least of all ours, as it only looks and here has nothing to
list; each with another ``offset``, for equal idle ones are throttled. Ends with status 1 when a target is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIRST_ANSWER = 4.0  # times python -c pass
FIRST_CALL = 1.3  # times the bare server's
FURTHER_MS = 2.0  # more than the bare server's
BARE = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("bare", log_level="WARNING")

@server.tool()
async def nothing() -> str:
    return "nothing"

server.run()
"""
CONFIG = '[[tests]]\nid = "passes"\ncommand = ["true"]\n'
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
PYTHON = [sys.executable, "-c", "pass"]
MODULE = [sys.executable, "-m", "mcp_e2e", "serve", "--project"]
SCRIPT = [str(Path(sys.executable).with_name("mcp-e2e")), "serve", "--project"]


class Server:
    """One server process and its client, a line at a time."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._last = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._last += 1
        said = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        self.process.stdin.write(json.dumps(said).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self._last:
                return dict(answer["result"])

    def call(self, tool: str, **arguments: Any) -> None:
        result = self.ask("tools/call", name=tool, arguments=arguments)
        if result.get("isError"):
            raise SystemExit(f"{tool}: {result}")


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    server = Server(command)
    try:
        yield server
    finally:
        server.process.communicate()


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def opened(command: list[str], *call: str) -> float:
    """From the spawn to the answer of ``initialize``, or of the call that follows it."""
    began = time.perf_counter()
    with serving(command) as server:
        server.ask("initialize", **HELLO)
        for tool in call:
            server.call(tool)
        return (time.perf_counter() - began) * 1000


def starts(project: Callable[[], str], bare: list[str], rounds: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        spent["python -c pass"].append(milliseconds(lambda: subprocess.run(PYTHON, check=True)))
        spent["python -m mcp_e2e serve"].append(opened([*MODULE, project()]))
        spent["mcp-e2e serve"].append(opened([*SCRIPT, project()]))
        spent["bare server, nothing"].append(opened(bare, "nothing"))
        spent["mcp-e2e serve, status"].append(opened([*SCRIPT, project()], "status"))
    return spent


def calls(project: str, bare: list[str], number: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = defaultdict(list)
    with serving(bare) as theirs, serving([*SCRIPT, project]) as ours:
        for server in (theirs, ours):
            server.ask("initialize", **HELLO)
        ours.call("status")
        for turn in range(1, number + 1):
            spent["bare tool"].append(milliseconds(lambda: theirs.call("nothing")))
            spent["job list"].append(milliseconds(lambda at=turn: ours.call("job", action="list", offset=at)))
    return spent


def told(name: str, times: list[float]) -> float:
    median = statistics.median(times)
    print(f"  {name:26} {median:8.2f} ms   min {min(times):8.2f}")
    return median


def judged(what: str, found: float, most: float) -> bool:
    print(f"  {what:44} {found:5.2f}, at most {most:.1f}   {'met' if found <= most else 'MISSED'}", flush=True)
    return found <= most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:

        def project() -> str:
            made = Path(tempfile.mkdtemp(dir=folder))
            (made / "mcp-e2e.toml").write_text(CONFIG)
            return str(made)

        script = Path(folder, "bare.py")
        script.write_text(BARE)
        bare = [sys.executable, str(script)]
        opened(bare, "nothing")  # the disk's cache is warm for all that is measured
        print(f"{options.rounds} starts and {options.calls} calls of each, medians")
        begun = {name: told(name, times) for name, times in starts(project, bare, options.rounds).items()}
        spent = {name: told(name, times) for name, times in calls(project(), bare, options.calls).items()}
    python, call = begun["python -c pass"], begun["bare server, nothing"]
    met = [
        judged("first answer, python -m, over bare python", begun["python -m mcp_e2e serve"] / python, FIRST_ANSWER),
        judged("first answer, mcp-e2e, over bare python", begun["mcp-e2e serve"] / python, FIRST_ANSWER),
        judged("first call over the bare server's", begun["mcp-e2e serve, status"] / call, FIRST_CALL),
        judged("further calls, ms more than a bare tool's", spent["job list"] - spent["bare tool"], FURTHER_MS),
    ]
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
