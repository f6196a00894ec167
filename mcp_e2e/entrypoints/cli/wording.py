"""The use-cases speak of MCP tools; a person types commands."""

import re

_COMMANDS = {
    "start_session": ("start", "service"),
    "stop_session": ("stop", "service"),
    "plan_run": ("plan", "tests"),
    "next_test": ("next", ""),
    "run_test": ("run", "test"),
    "safe_exec": ("exec --", ""),
    "checkpoint": ("checkpoint", "result"),
    "report": ("report", "run"),
    "status": ("status", ""),
}
_JOB = {"list": "jobs", "wait": "logs -f", "output": "logs", "cancel": "jobs --cancel"}
_CLEAR = "start_session|stop_session|plan_run|next_test|run_test|safe_exec"
_ALSO_ENGLISH = "checkpoint|report|status|job"  # tools only after "call" or before their arguments
_TOOL = re.compile(
    rf"\b(?P<tool>{_CLEAR})\b(?:\((?P<args>[^)]*)\))?"
    rf"|\b(?P<tool2>{_ALSO_ENGLISH})\((?P<args2>[^)]*)\)"
    rf"|(?<=[Cc]all )(?P<tool3>{_ALSO_ENGLISH})\b"
)
_LOG = "Read log_tail, "  # nothing of that name is on the screen where an error is all there is
_ARGUMENT = re.compile(r"(\w+)=('[^']*'|\"[^\"]*\"|\[[^\]]*\]|[^,\s]+)")


def in_commands(text: str) -> str:
    """``text`` with every tool call written as the command that does the same."""
    return _TOOL.sub(_command, text.replace(_LOG, "Read its log (`mcp-e2e logs`), "))


def _command(found: re.Match[str]) -> str:
    tool = found["tool"] or found["tool2"] or found["tool3"]
    given = dict(_ARGUMENT.findall(found["args"] or found["args2"] or ""))
    if tool == "job":
        action = _JOB.get(given.get("action", "").strip("'\""), "jobs")
        return _quoted([action, given.get("id", "").strip("'\"")])
    name, positional = _COMMANDS[tool]
    words = [name]
    for key, value in given.items():
        if key == positional:
            words.append(value.strip("'\""))
        else:
            words += [f"--{key.removesuffix('_s')}"] + ([] if value == "true" else [value])
    return _quoted(words)


def _quoted(words: list[str]) -> str:
    return f"`mcp-e2e {' '.join(word for word in words if word)}`"
