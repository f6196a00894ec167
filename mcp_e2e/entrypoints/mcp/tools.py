"""The ten tools, one table: what an agent reads, what it may pass, what comes back, and the one call inwards."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp.types import Tool as ListedTool
from mcp.types import ToolAnnotations

from mcp_e2e.entrypoints.mcp import arguments as given
from mcp_e2e.entrypoints.mcp import handlers as do
from mcp_e2e.entrypoints.mcp.schemas import input_schema, output_schema
from mcp_e2e.model import answers


@dataclass(frozen=True)
class Tool:
    """A row of the table. ``example`` is a correct call, shown to whoever got one wrong."""

    name: str
    title: str
    description: str
    arguments: type[given.Arguments]
    answer: type[answers.Answer]
    hints: ToolAnnotations
    example: Mapping[str, Any]
    run: Callable[[do.Visit, Any], Awaitable[answers.Answer]]

    def listed(self) -> ListedTool:
        return ListedTool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=input_schema(self.arguments),
            output_schema=output_schema(self.answer),
            annotations=self.hints,
        )


def _hints(
    *, reads: bool = False, destroys: bool = False, repeats: bool = False, world: bool = False
) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=repeats, open_world_hint=world
    )


_TABLE = (
    Tool(
        "start_session",
        "Start the service",
        "Start the long-lived service under test (ComfyUI, an API) and keep it alive, or join the one already up; "
        "never restarts a healthy one. Optional: run_test does this itself. starting is normal for minutes: repeat "
        "the same call. failed: read log_tail and fix the cause first. After changing code the service has loaded: "
        "stop_session, then this.",
        given.StartSession,
        answers.SessionAnswer,
        _hints(repeats=True, world=True),
        {"service": "comfyui", "wait_seconds": 45},
        do.start_session,
    ),
    Tool(
        "stop_session",
        "Stop the service",
        "Stop the service and its whole process tree, and verify it is gone. For the end of the work, or before "
        "start_session to load changed service code. Not needed between tests. A service this project did not "
        "start is let go, never killed.",
        given.StopSession,
        answers.StopAnswer,
        _hints(destroys=True, repeats=True),
        {"service": "comfyui"},
        do.stop_session,
    ),
    Tool(
        "status",
        "Where are we?",
        'One answer for "where are we?": services, tests that can be run, current run and slot, jobs, breaker, who '
        "else works here, configuration errors. Call it first in a new conversation. Not for polling: idle repeats get "
        "the last answer; to wait, repeat the call that said running.",
        given.Nothing,
        answers.StatusAnswer,
        _hints(reads=True, repeats=True),
        {},
        do.status,
    ),
    Tool(
        "plan_run",
        "Plan a run",
        "Choose which end-to-end tests to do; checks files and programs before anything runs. No arguments: all. "
        'tests=["portrait"], count=10: that test ten times. mode="survey": run all however many fail, as one '
        "outcome. Resumes an unfinished run unless new=true with a reason; that clears no refusal and no count.",
        given.PlanRun,
        answers.PlanAnswer,
        _hints(destroys=True),
        {"tests": ["portrait"], "count": 10},
        do.plan_run,
    ),
    Tool(
        "next_test",
        "Which test is due",
        "Which slot is due, how often it was tried, its last failure, why it is due. Starts nothing. Usually "
        "unnecessary: replies carry position and next_step. Useful when resuming.",
        given.Nothing,
        answers.NextAnswer,
        _hints(reads=True, repeats=True),
        {},
        do.next_test,
    ),
    Tool(
        "run_test",
        "Run one test",
        "Run one attempt of an end-to-end test (default: the one due) on the live service, started if needed. "
        "Minutes are normal. running or queued: repeat the same call to join it. A failing verdict is an answer, "
        "not an error: read evidence, change something, run again; unchanged, one retry is free. Not for unit tests.",
        given.RunTest,
        answers.AttemptAnswer,
        _hints(destroys=True, world=True),
        {"test": "portrait", "wait_seconds": 45},
        do.run_test,
    ),
    Tool(
        "checkpoint",
        "Record a result",
        "Record the result of a finished test and move on; answers with the next one. The server's own verdict "
        "decides: success over a failing verdict is refused. Put what you learned in note: it survives your context, "
        "and a new one allows one more attempt on unchanged files. skipped passes over a test that cannot run.",
        given.Checkpoint,
        answers.CheckpointAnswer,
        _hints(repeats=True),
        {"result": "success", "note": "seed 7 needs 6 GB"},
        do.checkpoint,
    ),
    Tool(
        "report",
        "Report on a run",
        "What happened in a run: counts, verdicts, failures with evidence, restarts, refusals, recommendation. "
        'run="list": recent runs. Formats junit, markdown, json write a file. Works also while the breaker '
        "is open.",
        given.Report,
        answers.ReportAnswer,
        _hints(repeats=True),
        {"format": "markdown"},
        do.report,
    ),
    Tool(
        "safe_exec",
        "Run a command safely",
        "Run a command that is slow, may hang, or must survive your terminal and this server: own process tree, no "
        "stdin, output capped, log on disk up to 64 MiB. Each call starts it anew; to follow one that runs, use job. "
        "Not for starting the service, not for a test that was refused.",
        given.SafeExec,
        answers.ExecAnswer,
        _hints(destroys=True, world=True),
        {"command": "python tools/fetch_models.py", "wait_seconds": 0},
        do.safe_exec,
    ),
    Tool(
        "job",
        "Look at running work",
        "Look at or end work that still runs. id: a job, attempt or service. list; wait; output (from offset, or "
        "lines matching grep); cancel (kills that work's whole tree, for everyone waiting on it; a service ends by "
        "stop_session). Works always.",
        given.Job,
        answers.JobAnswer,
        _hints(destroys=True, repeats=True),
        {"action": "output", "id": "comfyui", "grep": "Error"},
        do.job,
    ),
)

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _TABLE}
