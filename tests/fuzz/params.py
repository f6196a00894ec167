"""What each method takes, right and complete, in both protocol eras; nothing of it does any harm."""

import base64
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.values import anything, mutated, text, written

PREFIX = "io.modelcontextprotocol/"
VERSION, CAPABILITIES = f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities"
TASKS = f"{PREFIX}tasks"
MODERN, LATEST = "2026-07-28", "2025-11-25"
META: dict[str, Any] = {VERSION: MODERN, CAPABILITIES: {}}
HELLO: dict[str, Any] = {
    "protocolVersion": LATEST,
    "capabilities": {},
    "clientInfo": {"name": "fuzz", "version": "1"},
}
ERAS = ("legacy", "modern")
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
URIS = (
    *("e2e://status", "e2e://progress", "e2e://runs", "e2e://config", "e2e://runs/1", "e2e://runs/latest/report"),
    *(
        "e2e://sessions/api/log",
        "e2e://jobs/x/log",
        "e2e://attempts/a/artifacts/b.png",
        "e2e://attempts/a/artifacts/%2e",
    ),
    *(
        "e2e://jobs/../../x/log",
        "e2e://jobs/%2e%2e%2fx/log",
        "e2e://jobs/%00/log",
        "e2e://attempts/a/artifacts/../../b",
    ),
    *(
        "e2e://",
        "e2e://status/",
        "E2E://STATUS",
        "e2e:status",
        "file:///etc/hostname",
        "http://127.0.0.1:9/",
        "",
        "\x00",
    ),
    *("e2e://attempts/a/artifacts//b/thumbnail", "e2e://runs/%F0%9F%A7%AA", "e2e://runs/%ff%fe", "e2e://runs/\ud800"),
)
TOOLS: dict[str, tuple[dict[str, Any], ...]] = {
    "status": ({},),
    "next_test": ({},),
    "plan_run": ({}, {"tests": ["passes"], "count": 2}, {"new": True, "reason": "fuzz"}, {"mode": "survey"}),
    "run_test": ({"wait_seconds": 2}, {"test": "passes", "params": {"seed": 7}, "checkpoint": True, "wait_seconds": 2}),
    "checkpoint": ({"result": "success"}, {"result": "skipped", "note": "n", "test": "passes"}),
    "report": ({}, {"run": "list"}, {"format": "junit"}, {"run": "latest", "format": "markdown"}),
    "job": ({}, {"action": "output", "id": "x", "grep": "a", "offset": 3}, {"action": "cancel", "id": "x"}),
    "start_session": ({"service": "api", "wait_seconds": 3},),
    "stop_session": ({"service": "api"},),
    "safe_exec": (
        {"argv": ["true"], "wait_seconds": 3},
        {"argv": ["false"], "cwd": ".", "env": {"A": "b"}, "timeout_s": 5, "wait_seconds": 0},
        {"command": "echo said", "wait_seconds": 3},
    ),
}
_DEAR = {"run_test", "safe_exec", "start_session", "stop_session"}  # they start processes
_OFTEN = [name for name in TOOLS for _ in range(1 if name in _DEAR else 12)]


def _call(rng: random.Random) -> dict[str, Any]:
    name = rng.choice(_OFTEN)
    return {"name": name, "arguments": dict(rng.choice(TOOLS[name]))}


def _completion(rng: random.Random) -> dict[str, Any]:
    prompt = {"type": "ref/prompt", "name": rng.choice(("run-e2e", "resume-run", "nothing"))}
    template = {"type": "ref/resource", "uri": rng.choice(("e2e://runs/{run}", "e2e://jobs/{job}/log", "e2e://{x}"))}
    argument = {"name": rng.choice(("tests", "run", "job", "x")), "value": text(rng)}
    return {"ref": rng.choice((prompt, template)), "argument": argument}


def _uri(rng: random.Random) -> dict[str, Any]:
    return {"uri": rng.choice(URIS)}


def _task(rng: random.Random) -> dict[str, Any]:
    """The id of a task that nobody has given out; inside it is JSON."""
    tool, subject = (
        rng.choice(("run_test", "safe_exec", "start_session", "status")),
        rng.choice(("x", "api", text(rng))),
    )
    told = [tool, subject, rng.choice((1.5, 1e12, anything(rng))), rng.choice((True, False, anything(rng)))]
    forged = base64.urlsafe_b64encode(written(mutated(rng, told) if rng.random() < 0.3 else told).encode())
    return {"taskId": forged.decode().rstrip("=") if rng.random() < 0.9 else text(rng)}


PARAMS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "tools/call": _call,
    "resources/read": _uri,
    "resources/subscribe": _uri,
    "resources/unsubscribe": _uri,
    "subscriptions/listen": lambda rng: {"notifications": {"resourceSubscriptions": [rng.choice(URIS)]}},
    "prompts/get": lambda rng: {"name": rng.choice(("run-e2e", "debug-failure", "resume-run", "x")), "arguments": {}},
    "completion/complete": _completion,
    "logging/setLevel": lambda rng: {"level": rng.choice(("debug", "x"))},
    "initialize": lambda rng: HELLO | {"protocolVersion": rng.choice((LATEST, "2024-11-05", MODERN, "x"))},
    "server/discover": lambda _: {},
    "ping": lambda _: {},
    **dict.fromkeys(("tasks/get", "tasks/cancel", "tasks/update"), _task),
    **{method: lambda _: {} for method in LISTS},
}
