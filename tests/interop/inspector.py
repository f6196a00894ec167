"""The MCP Inspector's command line in both eras, over stdio and over HTTP: lists, calls, errors and a load."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import packages
from tests.interop.outcome import Outcome, judged
from tests.interop.server import SERVE, Endpoint, HttpServer, environment, make_project

ERAS = {"2025-11-25": "legacy", "2026-07-28": "modern"}
IS_ERROR = 5  # the Inspector's exit code for a tool that answered isError
NO_ENTRY = 3  # and for a server that wants a token
TIMEOUT_S = 180
LOAD = {"--load-requests": 1000, "--load-concurrency": 10}


@dataclass(frozen=True)
class Check:
    """One run of the Inspector: what it must answer, and with which exit code."""

    title: str
    arguments: list[str]
    holds: Callable[[Any], bool]
    code: int = 0


def call(title: str, tool: str, arguments: Mapping[str, Any], holds: Callable[[Any], bool], code: int = 0) -> Check:
    """A tool call, judged by its structured content."""
    words = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
    return Check(title, words, lambda answer: holds(answer["structuredContent"]), code)


def load(tool: str) -> Check:
    """A thousand calls of a tool, ten at a time. A look that shows nothing new is throttled, which is no error."""
    words = ["--method", "tools/call", "--tool-name", tool, "--load"]
    words += [str(word) for option in LOAD.items() for word in option]
    title = f"1,000 calls of {tool}, ten at a time, without an error"
    return Check(title, words, lambda told: (told["ok"], told["toolErrors"], told["errors"]) == (1000, 0, 0))


CHECKS = [
    Check(
        "tools/list --strict: ten tools, closed input schemas, nothing that is not portable",
        ["--method", "tools/list", "--strict"],
        lambda answer: [tool["inputSchema"]["additionalProperties"] for tool in answer["tools"]] == [False] * 10,
    ),
    Check("prompts/list shows four", ["--method", "prompts/list"], lambda answer: len(answer["prompts"]) == 4),
    Check(
        "prompts/get fills in the argument",
        ["--method", "prompts/get", "--prompt-name", "debug-failure", "--prompt-args", "test=portrait"],
        lambda answer: "portrait" in answer["messages"][0]["content"]["text"],
    ),
    Check("resources/list shows four", ["--method", "resources/list"], lambda answer: len(answer["resources"]) == 4),
    Check(
        "resources/templates/list shows six",
        ["--method", "resources/templates/list"],
        lambda answer: len(answer["resourceTemplates"]) == 6,
    ),
    Check(
        "resources/read of the status",
        ["--method", "resources/read", "--uri", "e2e://status"],
        lambda answer: "hello" in answer["contents"][0]["text"],
    ),
    call("status knows the test", "status", {}, lambda answer: answer["tests"][0]["id"] == "hello"),
    load("status"),
    call("after it the breaker is closed", "status", {}, lambda answer: answer["breaker"]["state"] == "closed"),
    call("run_test passes", "run_test", {"test": "hello"}, lambda answer: answer["verdict"] == "passed"),
    call("report counts it", "report", {}, lambda answer: bool(answer["run"])),
    call("a wrong argument is isError", "run_test", {"wait": 1}, lambda answer: answer["code"] == "usage", IS_ERROR),
    call("an unknown run is isError", "report", {"run": "r-x"}, lambda answer: answer["code"] == "not_found", IS_ERROR),
]


def over_stdio(era: str, scratch: Path) -> Iterator[Outcome]:
    """Every check, each with a server of its own, which the Inspector starts."""
    project = make_project(scratch / f"stdio-{era}", hello="print('hello')")
    target = [*SERVE, "-e", f"MCP_E2E_PROJECT={project}"]
    for check in CHECKS:
        yield judged(f"Inspector {era} stdio: {check.title}", _problem(check, target, era, project))


def over_http(era: str, scratch: Path) -> Iterator[Outcome]:
    """Every check against one server that asks for its token, and one call without the token."""
    project = make_project(scratch / f"http-{era}", hello="print('hello')")
    server = HttpServer(project)
    with server.running() as endpoint:
        target = ["--server-url", endpoint.url, "--header", f"Authorization: Bearer {endpoint.token}"]
        for check in CHECKS:
            yield judged(f"Inspector {era} HTTP: {check.title}", _problem(check, target, era, project))
        yield judged(f"Inspector {era} HTTP: no token, no answer", _let_in(endpoint, era, project))
    yield server.end(f"Inspector {era} HTTP")


def _problem(check: Check, target: list[str], era: str, project: Path) -> str | None:
    """What is wrong with the Inspector's answer, or None."""
    try:
        done = _run([*target, *check.arguments], era, project)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != check.code:
        return f"exit code {done.returncode}, not {check.code}: {(done.stderr or done.stdout).strip()[-600:]}"
    if not check.code and done.stderr.strip():  # what --strict warns of is no error to it
        return f"said on stderr: {done.stderr.strip()[:600]}"
    try:
        return None if check.holds(json.loads(done.stdout)["result"]) else f"unexpected answer: {done.stdout[:400]}"
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"unreadable answer ({error!r}): {done.stdout[:300]}"


def _let_in(endpoint: Endpoint, era: str, project: Path) -> str | None:
    """What is wrong with the answer to a call without the token."""
    done = _run(["--server-url", endpoint.url, "--stored-auth-only", "--method", "tools/list"], era, project)
    told = (done.stderr + done.stdout).strip()
    refused = done.returncode == NO_ENTRY and "auth_required" in told
    return None if refused else f"exit code {done.returncode}: {told[-600:]}"


def _run(words: list[str], era: str, project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*packages.inspector(), *words, "--protocol-era", ERAS[era], "--format", "json", "-q"],
        check=False,
        env=environment(project),
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
