"""``MCP_E2E_*``: variables that override single settings, those that mean something elsewhere, and misspelt ones."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mcp_e2e.settings.discover import CONFIG_VARIABLE
from mcp_e2e.settings.faults import Key

PREFIX = "MCP_E2E_"
PARAM_PREFIX = "MCP_E2E_PARAM_"

_FLAGS = {"true": True, "1": True, "false": False, "0": False}
OVERRIDES: dict[str, tuple[Key, Callable[[str], Any]]] = {
    "MCP_E2E_STATE_DIR": (("project", "state_dir"), str),
    "MCP_E2E_GOLDEN_DIR": (("project", "golden_dir"), str),
    "MCP_E2E_RUN_MAX_ATTEMPTS_WITHOUT_CHECKPOINT": (("run", "max_attempts_without_checkpoint"), int),
    "MCP_E2E_BREAKER_CONSECUTIVE_FAILURES": (("breaker", "consecutive_failures"), int),
    "MCP_E2E_BREAKER_ELICITATION": (("breaker", "elicitation"), lambda text: _FLAGS.get(text.lower(), text)),
    "MCP_E2E_GUARD_MODE": (("guard", "mode"), str),
    "MCP_E2E_EXEC_SANDBOX": (("exec", "sandbox"), str),
    "MCP_E2E_EXEC_TIMEOUT_S": (("exec", "timeout_s"), float),
    "MCP_E2E_EXEC_POLICY": (("exec", "policy"), str),
    "MCP_E2E_EXEC_PROCESSES": (("exec", "processes"), int),
}

BEFORE_THE_FILE = ("MCP_E2E_PROJECT", CONFIG_VARIABLE)
"""Needed to find ``.env`` itself, so they work only in the real environment."""

SET_BY_PEOPLE = (
    *BEFORE_THE_FILE,
    "MCP_E2E_HTTP_TOKEN",
    "MCP_E2E_HTTP_ALLOWED_HOSTS",
    "MCP_E2E_COMFYUI_CMD",
    "MCP_E2E_COMFYUI_DIR",
    *OVERRIDES,
)
SET_FOR_TESTS = ("MCP_E2E_JOB", "MCP_E2E_SERVICE_URL", "MCP_E2E_RUN", "MCP_E2E_ATTEMPT", "MCP_E2E_OUTPUT_DIR")


def apply_overrides(raw: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Key, str]]:
    """The document with every override put in, and which variable each such key came from.

    An empty variable overrides nothing. Text that is no number stays text, so that validation names it.
    """
    merged, origins = dict(raw), {}
    for name, (key, convert) in OVERRIDES.items():
        table, setting = str(key[0]), str(key[1])
        before = merged.get(table, {})
        if environ.get(name) and isinstance(before, dict):
            merged[table] = before | {setting: _converted(convert, environ[name])}
            origins[key] = name
    return merged, origins


def variable_warnings(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each ``MCP_E2E_*`` name that nothing reads where it stands."""
    known = {*SET_BY_PEOPLE, *SET_FOR_TESTS}
    for name in sorted({*environ, *dotenv}):
        if name in BEFORE_THE_FILE and name in dotenv:
            yield f"{name} has no effect in .env: set it in the real environment."
        elif name.startswith(PREFIX) and name not in known and not name.startswith(PARAM_PREFIX):
            near = get_close_matches(name, SET_BY_PEOPLE, 1)
            hint = f"did you mean {near[0]}?" if near else "see .env.example for those that are."
            yield f"{name} is not a known variable: {hint}"


def _converted(convert: Callable[[str], Any], text: str) -> Any:
    try:
        return convert(text.strip())
    except ValueError:
        return text
