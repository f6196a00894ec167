"""An older client, the TypeScript SDK 1.32: it waits 60 s at most, and validates what tools answer, errors too.

``client.mjs`` talks; here what it was told is judged.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.interop import packages
from tests.interop.outcome import Outcome, judged
from tests.interop.server import SERVE, HttpServer, environment, make_project

SCRIPT = Path(__file__).with_name("client.mjs")
CLIENT_WAITS_S = 60
TESTS = {"slow": "import time; time.sleep(70)"} | {f"red_{n}": "raise SystemExit(1)" for n in (1, 2, 3)}
TIMEOUT_S = 240

Told = dict[str, Any]


def over_stdio(scratch: Path) -> Iterator[Outcome]:
    """Against a server that the client starts."""
    project = make_project(scratch / "ts-stdio", **TESTS)
    env = {"MCP_E2E_PROJECT": str(project), "HOME": environment(project)["HOME"]}
    yield from _talk("stdio", {"command": SERVE[0], "args": SERVE[1:], "env": env, "cwd": str(project)}, project)


def over_http(scratch: Path) -> Iterator[Outcome]:
    """Against a server that asks for its token."""
    server = HttpServer(make_project(scratch / "ts-http", **TESTS))
    with server.running() as endpoint:
        yield from _talk("HTTP", {"url": endpoint.url, "token": endpoint.token}, server.project)
    yield server.end("TypeScript 1.32 HTTP")


def _talk(door: str, target: dict[str, object], project: Path) -> Iterator[Outcome]:
    done = subprocess.run(
        [*packages.node(SCRIPT), json.dumps(target)],
        check=False,
        env=environment(project),
        cwd=packages.FOLDER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        yield judged(f"TypeScript 1.32 {door}: the client ends well", (done.stderr or done.stdout).strip()[-800:])
        return
    told = json.loads(done.stdout)
    for title, check in CHECKS.items():
        yield judged(f"TypeScript 1.32 {door}: {title}", _problem(check, told))


def _problem(check: Callable[[Told], bool], told: Told) -> str | None:
    try:
        return None if check(told) else f"not so: {json.dumps(told)[:3000]}"
    except (KeyError, IndexError, TypeError) as error:
        return f"unreadable ({error!r}): {json.dumps(told)[:3000]}"


def _content(call: Told, *, is_error: bool = False) -> Told:
    """The structured content of an answer that is an error, or is none; KeyError else, and when the client threw."""
    if bool(call["answer"].get("isError")) is not is_error:
        raise KeyError("isError")
    content: Told = call["answer"]["structuredContent"]
    return content


def _knows_tests(told: Told) -> bool:
    return bool(told["completion"]["completion"]["values"] == ["red-1", "red-2", "red-3"])


def _is_running(told: Told) -> bool:
    first = _content(told["first"])
    return bool(first["state"] == "running" and first["next_step"] and "verdict" not in first)


def _is_joined(told: Told) -> bool:
    first, second = _content(told["first"]), _content(told["second"])
    same = first["attempt"] == second["attempt"]
    return bool(same and second["verdict"] == "passed" and second["duration_s"] > CLIENT_WAITS_S)


def _is_refused(told: Told) -> bool:
    refusal = _content(told["refused"], is_error=True)
    named = all(refusal[name] for name in ("incident", "evidence", "allowed_tools", "next_step"))
    why = (refusal["refused"], refusal["code"], refusal["rule"], refusal["retryable"])
    text: str = told["refused"]["answer"]["content"][0]["text"]
    return named and text.startswith("REFUSED: run_test was not run") and why == (True, "refused", "R1", False)


CHECKS: dict[str, Callable[[Told], bool]] = {
    "it knows the output schema of every tool": lambda told: len(told["validated"]) == 10,
    "a prompt's argument is completed": _knows_tests,
    "a test of 70 s is told as running before the client gives up": _is_running,
    "progress arrives meanwhile": lambda told: len(told["first"]["progress"]) >= 3,
    "the same call joins and brings the verdict": _is_joined,
    "three red tests are answers with a verdict": lambda told: (
        [_content(red)["verdict"] for red in told["reds"]] == ["failed"] * 3
    ),
    "the fourth call arrives as the refusal": _is_refused,
    "a report is answered all the same": lambda told: bool(_content(told["report"])["run"]),
    "a wrong argument arrives as the error": lambda told: _content(told["usage"], is_error=True)["code"] == "usage",
}
