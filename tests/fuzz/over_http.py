"""A life of ``mcp-e2e serve --http``: each input on a connection of its own, with proper questions in between."""

import re
import signal
import subprocess
import time
from pathlib import Path

from tests.fuzz.answers import Wrong
from tests.fuzz.lives import LOOK, Plan, Tally, Watch, life
from tests.fuzz.port import Client, exchange, judge
from tests.fuzz.project import GUARDS, Project
from tests.fuzz.sendings import sending

ASK = 5
START_S = 30.0
STOP_S = 5.0


def live(tally: Tally, kept: Path, seed: int, plan: Plan, python: str) -> None:
    project = Project.made(kept / f"http-{plan.number}", GUARDS[plan.number % 2])
    process = project.serve(python, "--http", "127.0.0.1:0")
    try:
        with life(tally, project, process.pid, kept, "http") as watch:
            port = listening(project, process)
            client = Client(port)
            client.ask()
            for place, number in enumerate(plan.inputs):
                _feed(tally, watch, client, port, seed, number)
                if place % ASK == ASK - 1:
                    client.ask()
                if place % LOOK == 0:
                    watch.look()
            client.ask()
            stop(process)
    finally:
        project.leave(process)


def _feed(tally: Tally, watch: Watch, client: Client, port: int, seed: int, number: int) -> None:
    given = sending(seed, number, port, client.session)
    watch.number, watch.data = number, given.data
    tally.kinds[given.kind] += 1
    got = exchange(port, given)
    judge(given, got, watch.seen)
    for each in got:
        opened = each.headers.get("mcp-session-id")
        if opened and opened != client.session:
            client.close(opened)


def listening(project: Project, process: subprocess.Popen[bytes]) -> int:
    """The port, as soon as the server has told it."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(
            r"MCP at http://127\.0\.0\.1:(\d+)/mcp", project.complaints.read_text("utf-8", "replace")
        ):
            return int(found[1])
        time.sleep(0.05)
    raise Wrong("the server does not listen")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise Wrong(f"the server did not end within {STOP_S:g} s") from None
    if code != 128 + signal.SIGTERM:
        raise Wrong(f"the server ended with {code}")
