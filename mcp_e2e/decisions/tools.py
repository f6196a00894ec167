"""What each tool is to the guard: what selects its work, and what its result tells.

Everything else about a call (labels, waits, time limits, ids of requests, arguments that the tool does not know) takes
part in no ruling. A new tool is one row here.
"""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mcp_e2e.decisions.likeness import canonical, command_line, digest, program, without_noise, written
from mcp_e2e.model.calls import Fault, Result

Kind = Literal["test", "command", "control", "look", "record"]
Args = Mapping[str, Any]

RED = frozenset({"fail", "error", "timeout"})
BAD = RED | {"denied"}
UNDER_WAY = frozenset({"running", "starting", "queued", "pending", "booting", "loading", "in_progress", "waiting"})


@dataclass(frozen=True)
class Tool:
    """``selects``: the arguments that are the call's identity. ``tells``: the fields of a result that are compared."""

    kind: Kind
    selects: Callable[[Args], Args]
    tells: tuple[str, ...] = ()


def _only(*names: str, **defaults: Any) -> Callable[[Args], Args]:
    def selects(args: Args) -> Args:
        given = {name: args[name] for name in (*names, *defaults) if args.get(name) not in (None, {}, [])}
        return defaults | given

    return selects


def _command(args: Args) -> Args:
    found = _only("argv", "env")(args)
    if args.get("command") is not None:
        found = {**found, "command": command_line(str(args["command"]))}
    return {**found, "cwd": posixpath.normpath(str(args.get("cwd") or ".").replace("\\", "/"))}


_NO_WORK = re.compile(
    r"(?:^|_)(?:request|client|session|label|retry|retries|attempts?|timeout|wait|headed|slow|note|reason|approved)(?:_|$)"
    r"|_ts$"
)


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _unknown(args: Args) -> Args:
    return {name: value for name, value in args.items() if not _NO_WORK.search(_CAMEL.sub("_", name).lower())}


TOOLS: Mapping[str, Tool] = {
    "run_test": Tool("test", _only("test", "params", "seed", "case", "browser")),  # the last three of older clients
    "safe_exec": Tool("command", _command),
    "start_session": Tool("control", _only("service"), ("state", "cause")),
    "plan_run": Tool("control", _only("tests", "count", mode="strict"), ("count", "digest")),
    "reset_run": Tool("control", _only(), ("state",)),
    "drop_run": Tool("control", _only(), ("state",)),
    "stop_session": Tool("record", _only("service"), ("state",)),
    "checkpoint": Tool("record", _only("result", "note", "test"), ("slot", "result")),
    "status": Tool(
        "look",
        _only(),
        ("state", "done", "total", "step", "current", "breaker", "failed", "passed", "run", "jobs", "config"),
    ),
    "next_test": Tool("look", _only(), ("test", "slot", "remaining")),
    "report": Tool("look", _only("run", format="summary"), ("run", "overall", "done", "total", "passed", "failed")),
    "job": Tool("look", _only("action", "id", "offset", "grep"), ("state", "exit_code", "next_offset", "jobs")),
}
UNKNOWN = Tool("command", _unknown)
LONGEST_IDENTITY = 2000  # characters; what is longer is told by its digest


def tool(name: str) -> Tool:
    return TOOLS.get(name, UNKNOWN)


def identity(name: str, args: Args) -> str:
    """One text for calls that select the same work; the order of arguments and unknown ones do not matter."""
    text = written(tool(name).selects(args))
    return f"{name} {text if len(text) <= LONGEST_IDENTITY else digest(text)}"


def subject(name: str, args: Args) -> str:
    """What several identities have in common: a run_test's test, a command's program, a checkpoint's note."""
    match tool(name).kind:
        case "record":
            return digest(without_noise(str(args["note"]))) if args.get("note") else ""
        case "test":
            return str(args.get("test") or "")
        case "command":
            argv = args.get("argv")
            words = " ".join(map(str, argv)) if isinstance(argv, list | tuple) else ""  # wrong calls too
            return program(str(args.get("command") or words or name))
    return ""


def result(name: str, same_work: str, outcome: str, shown: Mapping[str, Any] | None) -> Result:
    """What a call of ``name`` with identity ``same_work`` told, from its outcome and the raw facts ``shown``."""
    facts = shown or {}
    outcome = _normal(name, outcome, facts)
    fault = _fault(name, outcome, facts)
    signature = None
    if outcome in BAD and (words := _words(facts)):
        where = canonical(str(facts.get("test") or name)) if fault == "test" else name
        signature = f"{where}|{fault if fault in {'infra', 'misuse'} else outcome}|{without_noise(words)[:400]}"
    free = outcome == "running" and tool(name).kind != "command"  # each command is new work
    return Result(outcome, _print(name, same_work, outcome, facts, signature), fault, signature, free)


_VERDICTS = {"passed": "pass", "failed": "fail", "errored": "error", "timed_out": "timeout", "skipped": "skip"}


def _normal(name: str, outcome: str, facts: Mapping[str, Any]) -> str:
    """A command that ended badly is an error whatever the call came to; work that goes on has no verdict yet."""
    kind = tool(name).kind
    said = str(facts.get("status") or facts.get("state") or "").lower()
    if kind == "command" and (outcome == "fail" or (outcome == "ok" and facts.get("exit_code"))):
        return "error"
    if outcome != "ok":
        return outcome
    if kind in {"test", "command", "control"} and said in UNDER_WAY:
        return "running"
    return _VERDICTS.get(said, said if said in RED | {"pass"} else outcome) if kind == "test" else outcome


NOTHING_SAID = "-"
"""Last character of the print of a command that said nothing."""


def command_digest(facts: Mapping[str, Any]) -> str | None:
    """What a command's exit code and output come to; None without evidence, which makes the same work tell the same."""
    output = without_noise(str(facts.get("output") or facts.get("stdout") or ""), hashes=not facts.get("exit_code"))
    if not output and "exit_code" not in facts:
        return None
    return digest(f"{facts.get('exit_code')} {output}") if output else f"{facts.get('exit_code')} {NOTHING_SAID}"


def _print(name: str, same_work: str, outcome: str, facts: Mapping[str, Any], signature: str | None) -> str:
    entry = tool(name)
    if entry.kind == "command":
        told = facts.get("digest") or command_digest(facts)  # of an output that was not kept whole
        return f"{name}|{outcome}|{told or digest(same_work)}"
    if entry.kind == "test":
        return f"{digest(same_work)}|{outcome}|{digest(signature or '')}"
    told = written({key: facts[key] for key in entry.tells if key in facts})
    return f"{digest(same_work)}|{outcome}|{digest(told + (signature or ''))}"


def _words(facts: Mapping[str, Any]) -> str:
    failure = facts.get("failure")
    inner = failure.get("message") if isinstance(failure, Mapping) else None
    for words in (inner, facts.get("error"), facts.get("message"), facts.get("cause"), facts.get("output")):
        if words:
            return str(words.get("message") or words) if isinstance(words, Mapping) else str(words)
    return str(facts.get("stderr") or facts.get("stdout") or "")


_INFRA = frozenset({"infra", "lost", "service_died", "suspended", "service_unavailable"})
_MISUSE = frozenset({"usage", "setup", "config", "schema", "schema_error", "misuse", "invalid", "invalid_arguments"})
_SAYS_MISUSE = re.compile(
    r"schema|(invalid|unknown|unexpected|missing|required).{0,20}\b(arg\w*|param\w*|field|property|tool|keyword)",
    re.IGNORECASE,
)


def _fault(name: str, outcome: str, facts: Mapping[str, Any]) -> Fault | None:
    """Whose failure it was. A test that never began has no duration and complains about the call."""
    if outcome not in BAD:
        return None
    said = {str(facts.get(key) or "").lower() for key in ("kind", "code", "status")}
    if said & _INFRA:
        return "infra"
    if said & _MISUSE or (outcome == "error" and not facts.get("duration_s") and _SAYS_MISUSE.search(_words(facts))):
        return "misuse"
    match tool(name).kind:
        case "test":
            return "test" if outcome in RED else "misuse"
        case "command":
            return "command"
        case "control" if name == "start_session":
            return "infra"
    return "misuse"
