"""The MCP Inspector, a client we did not write, against ``mcp-e2e serve`` in both eras. Run by ``make interop``.

Needs Node and the network for npx. Exit code 0 only if every check passed; the last line counts them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSPECTOR = ["npx", "-y", "-p", "node@24", "-p", "@modelcontextprotocol/inspector@latest", "mcp-inspector", "--cli"]
SERVER = [sys.executable, "-m", "mcp_e2e", "serve"]
ERAS = {"2025-11-25": ["--protocol-era", "legacy"], "2026-07-28": ["--protocol-era", "modern"]}
IS_ERROR = 5  # the Inspector's exit code for a tool that answered isError
TIMEOUT_S = 180  # the first npx fetches Node and the Inspector

CONFIG = f"""
[[tests]]
id = "hello"
command = [{json.dumps(sys.executable)}, "-c", "print('hello')"]
"""


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


CHECKS = [
    Check("tools/list shows ten tools", ["--method", "tools/list"], lambda answer: len(answer["tools"]) == 10),
    Check(
        "every input schema is closed",
        ["--method", "tools/list"],
        lambda answer: all(tool["inputSchema"]["additionalProperties"] is False for tool in answer["tools"]),
    ),
    Check("the schemas are portable", ["--method", "tools/list", "--strict"], lambda answer: bool(answer["tools"])),
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
    call("run_test passes", "run_test", {"test": "hello"}, lambda answer: answer["verdict"] == "passed"),
    call("report counts it", "report", {}, lambda answer: bool(answer["run"])),
    call("a wrong argument is isError", "run_test", {"wait": 1}, lambda answer: answer["code"] == "usage", IS_ERROR),
    call("an unknown run is isError", "report", {"run": "r-x"}, lambda answer: answer["code"] == "not_found", IS_ERROR),
]


def main() -> int:
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-interop-") as scratch:
        for title, problem in results(Path(scratch)):
            passed, failed = passed + (problem is None), failed + (problem is not None)
            print(f"{'FAIL' if problem else 'ok  '} {title}{f': {problem}' if problem else ''}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def results(scratch: Path) -> Iterator[tuple[str, str | None]]:
    """Every check in every era: its title, and what is wrong."""
    for era, options in ERAS.items():
        project = scratch / era
        project.mkdir()
        (project / "mcp-e2e.toml").write_text(CONFIG, "utf-8")
        for check in CHECKS:
            yield f"{era} {check.title}", judge(check, options, project, scratch / "home")


def judge(check: Check, options: list[str], project: Path, home: Path) -> str | None:
    """What is wrong with the Inspector's answer, or None."""
    home.mkdir(exist_ok=True)
    words = [*INSPECTOR, *SERVER, *options, *check.arguments, "--format", "json", "-q"]
    environ = os.environ | {"HOME": str(home), "MCP_E2E_PROJECT": str(project), "NO_COLOR": "1"}
    environ.setdefault("npm_config_cache", str(Path.home() / ".npm"))
    words += ["-e", f"MCP_E2E_PROJECT={project}"]
    try:
        done = subprocess.run(
            words, check=False, env=environ, cwd=project, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != check.code:
        return f"exit code {done.returncode}, not {check.code}: {(done.stderr or done.stdout).strip()[-600:]}"
    try:
        return None if check.holds(json.loads(done.stdout)["result"]) else f"unexpected answer: {done.stdout[:300]}"
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"unreadable answer ({error!r}): {done.stdout[:300]}"


if __name__ == "__main__":
    sys.exit(main())
