"""What a ComfyUI's log tells of its start: how far it is, which custom nodes failed, why it ended. Pure.

Wording, prefixes and verbosity differ by version and flags, so a line that is known is taken and nothing is missed
when there is none: the port, opened last, tells the rest.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from mcp_e2e.adapters.comfyui.flags import flags_of_usage, nearest_flag
from mcp_e2e.model.services import Boot

NODES = "loading custom nodes"
REST_CHARS = 4096  # of a line without an end
LINE_CHARS = 80
END_LINES = 15  # a start script may say something after the reason
_PREFIX = re.compile(r"^\[[A-Z]+\] ")  # newer versions begin each line with its level
_STAGES = (
    (re.compile(r"^(Setting \w+ directory to|Checkpoint files|Total VRAM|pytorch version|Device:)"), "importing"),
    (re.compile(r"^\[Prompt Server\] web root"), NODES),
    (re.compile(r"^Import times for custom nodes"), "custom nodes loaded"),
    (re.compile(r"^Context impl SQLiteImpl"), "preparing the database"),
    (re.compile(r"^(Starting server|To see the GUI go to)"), "listening"),
)
_ORDER = [stage for _, stage in _STAGES]
_CANNOT = re.compile(
    r"^(?:Cannot import (.+?) module for custom nodes:|Failed to execute startup-script: (.+)[\\/][^\\/]+ /) ?(.*)"
)
_FAILED = re.compile(r"(?:IMPORT|PRESTARTUP) FAILED\)?: (.+)")
_GUI = re.compile(r"^To see the GUI go to: \w+://.*:(\d+)")


def read_boot(boot: Boot, text: str) -> Boot:
    """``boot`` with what the next part of its log, free of ANSI codes, tells."""
    *lines, rest = (boot.rest + text).split("\n")
    for line in lines:
        if not boot.over:
            boot = _with_line(boot, _PREFIX.sub("", line))
    return replace(boot, rest=rest[-REST_CHARS:])


def _with_line(boot: Boot, line: str) -> Boot:
    boot = replace(boot, stage=_stage(boot.stage, line))
    if cannot := _CANNOT.search(line):
        return _with_failure(boot, cannot[1] or cannot[2], cannot[3])
    if failed := _FAILED.search(line):
        return _with_failure(boot, failed[1], "")
    if gui := _GUI.search(line):
        return replace(boot, port=int(gui[1]), over=True)
    return boot


def _stage(before: str | None, line: str) -> str | None:
    """The stage that ``line`` begins, unless it is one that is over; while nodes load, with what they say."""
    known = next((stage for pattern, stage in _STAGES if pattern.search(line)), None)
    stage = before.partition(": ")[0] if before else None
    if known is not None and (stage is None or _ORDER.index(known) >= _ORDER.index(stage)):
        return known
    talks = stage == NODES and line.strip() and not line.startswith((" ", "Traceback")) and not _CANNOT.search(line)
    return f"{NODES}: {line.strip()[:LINE_CHARS]}" if talks else before


def _with_failure(boot: Boot, path: str, why: str) -> Boot:
    name = re.split(r"[\\/]", path.strip())[-1]
    if any(known.partition(": ")[0] == name for known in boot.failed):
        return boot
    return replace(boot, failed=(*boot.failed, f"{name}: {why.strip()[:200]}" if why.strip() else name))


def why_ended(tail: str) -> str | None:
    """Why a start failed and what to change, from the end of its log; None where that does not tell."""
    lines = [_PREFIX.sub("", line) for line in tail.splitlines()]
    end = "\n".join(lines[-END_LINES:])
    if unknown := re.search(r"error: unrecognized arguments: (.+)", end):
        return _unknown_flags(unknown[1].split(), flags_of_usage("\n".join(lines)))
    for pattern, told in _ENDS:
        if found := re.search(pattern, end):
            return told.format(*(group or "" for group in found.groups()), port="{port}")
    raised = _RAISED.findall(end.rpartition("module for custom nodes:")[2])  # a failed node ends no start
    return _exception(raised[-1]) if raised else None


def _exception(line: str) -> str:
    if missing := re.match(r"ModuleNotFoundError: No module named '([^']+)'", line):
        return f"the Python module {missing[1]} is missing; install ComfyUI's requirements.txt with its interpreter"
    return f"its log ends with {line[:300]}"


def _unknown_flags(words: Sequence[str], known: frozenset[str]) -> str:
    wrong = [word for word in words if word.startswith("-")] or list(words)
    near = {flag: nearest_flag(flag.partition("=")[0], known) for flag in wrong}
    shown = ", ".join(f"{flag} (nearest: {other})" if other else flag for flag, other in near.items())
    return f"this version does not know {shown}; correct the service's command"


_RAISED = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception)(?::.*)?)$", re.MULTILINE)
_DATABASE = "add --database-url sqlite:///PATH with a file of its own to the command"
# What stands near the end of the log, and a sentence with its groups; the first that is found counts.
_ENDS = (
    (r"error: argument (--[\w-]+).*?: (.+?)\.?(?:\n|$)", "{0}: {1}; correct it in the service's command"),
    (r"can't open file '?(.+?)'?: \[Errno", "there is no {0}; correct the service's command or cwd"),
    (
        r"Port (\d+) is already in use|\[Errno (?:98|48|10048)\].*?', (\d+)",
        "port {0}{1} was taken by another program when it came to listen; end that one, or set another port",
    ),
    (
        r"\[Errno (?:99|49|10049)\].*?\('([^']*)'",
        "this machine has no address {0} to listen on; correct --listen in the command",
    ),
    (r"bind\(\): port must be", "its --port is no port number; write --port {port}"),
    (
        r"FileNotFoundError: .*'([^'\n]*custom_nodes)'",
        "the folder {0} is missing; make it, or add --disable-all-custom-nodes",
    ),
    (
        r"ASSETS_STARTUP_FAILED: ?(\w+)",
        f"its assets database could not be used ({{0}}); {_DATABASE}, or --disable-assets",
    ),
    (
        r"lock on database '([^'\n]+)'.*(?s:.*)requires a working database",
        f"its database {{0}} is in use by another ComfyUI; {_DATABASE}",
    ),
    (r"OperationalError.*database is locked", f"its database is in use by another program; {_DATABASE}"),
    (
        r"comfyui-frontend-package is not installed",
        "its web interface is missing; install ComfyUI's requirements.txt, or add --front-end-root with any folder",
    ),
    (
        r"not compiled with CUDA enabled|Found no NVIDIA driver|No (?:CUDA|HIP) GPUs are available",
        "its torch finds no GPU; add --cpu, or install the torch that fits this machine",
    ),
)
