"""safe_exec and job: commands as jobs of their own, and looking at or ending whatever still runs."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_e2e.contracts import Progress
from mcp_e2e.decisions.likeness import digest
from mcp_e2e.errors import NotFound, UsageError
from mcp_e2e.model.answers import ExecAnswer, JobAnswer
from mcp_e2e.model.jobs import Job, JobSpec
from mcp_e2e.model.runs import Caller
from mcp_e2e.process import jobs, output, sandbox
from mcp_e2e.process.environment import DEFAULT_ENV_ALLOW, child_environment
from mcp_e2e.store import attempts, sessions
from mcp_e2e.usecases.command_lines import folder_inside, words
from mcp_e2e.usecases.endings import ended, lost, told
from mcp_e2e.usecases.gate import Gate, Passage
from mcp_e2e.usecases.rail import Rail, limits
from mcp_e2e.usecases.replies import attempt_facts, job_line
from mcp_e2e.usecases.workplace import Workplace

SLICE_BYTES = 6144
MOST_LINES = 60
MOST_JOBS = 30
ENDED_SHOWN_S = 3600.0


class Execs:
    def __init__(self, place: Workplace, gate: Gate) -> None:
        self._place = place
        self._gate = gate
        self._rail = Rail(place)

    async def run(
        self,
        caller: Caller,
        *,
        command: str | None = None,
        argv: list[str] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        confirm: bool = False,
        wait_seconds: float = 45.0,
        progress: Progress | None = None,
    ) -> ExecAnswer:
        """Run a command as a new job and wait for its end at most ``wait_seconds``; it goes on without us.

        Raises:
            UsageError: not exactly one of ``command`` and ``argv``, or ``cwd`` lies outside the project.
            NeedsConfirmation, Forbidden: what ``[exec] policy`` says of the command.
            Unsupported: the sandbox is required, and does not hold here.
            LaunchError: the program cannot be started.
        """
        shown = {"command": command, "argv": argv, "cwd": cwd, "env": sorted(env) if env else None}
        noted = {"timeout_s": timeout_s, "confirm": confirm or None}  # of no account for what the work is
        work = shown | {"env": {name: digest(value) for name, value in env.items()} if env else None}
        async with self._gate.enter(caller, "safe_exec", shown | noted, work=work) as passage:
            caller = self._place.identified(caller)
            argv_, shell = words(command, argv)
            folder = folder_inside(self._place.settings().project, cwd)
            if not caller.person:
                await self._rail.check(command, argv, folder, confirmed=confirm)
            spec = await anyio.to_thread.run_sync(self._spec, argv_, folder, env or {}, timeout_s)
            title, now = self._place.masked(command or " ".join(argv_), env)[:200], self._place.now()
            await self._place.run(lambda con: sessions.add_job(con, spec.id, "safe_exec", title, caller.shown, now))
            await jobs.launch(self._place.layout.jobs, spec, self._place.spare)
            if self._place.spare.wanted:
                self._place.tasks.start_soon(anyio.to_thread.run_sync, self._place.spare.prepare)
            job = await self._wait(spec.id, wait_seconds, progress, env)
            redactor = self._place.redactor(env)
            passage.outcome, passage.told = told(job, redactor)
        answer = self._place.masked(ended(job, shell, self._place.now(), redactor), env)
        return answer.model_copy(update={"advice": passage.advice})

    async def outcome(self, job_id: str) -> ExecAnswer:
        """What ``run`` would answer now to whoever began this job; runs nothing. Raises NotFound."""
        await self._place.open()
        job = await self._wait(job_id, 0, None)
        return self._place.masked(ended(job, None, self._place.now(), self._place.redactor()))

    def _spec(self, argv: list[str], cwd: Path, env: Mapping[str, str], timeout_s: float | None) -> JobSpec:
        settings = self._place.settings().settings.exec
        allow = DEFAULT_ENV_ALLOW if settings.env_allow is None else settings.env_allow
        job_id = jobs.new_job_id()
        return JobSpec(
            id=job_id,
            kind="command",
            argv=tuple(argv),
            cwd=cwd,
            env=child_environment(self._place.environ, allow, env, job_id),
            labels={"tool": "safe_exec"},
            timeout_s=timeout_s or settings.timeout_s,
            confinement=sandbox.confinement(settings.sandbox, self._place.layout.private),
            limits=limits(settings),
        )

    async def _wait(
        self, job_id: str, wait_seconds: float, progress: Progress | None, env: Mapping[str, str] | None = None
    ) -> Job:
        folder, begun = self._place.layout.jobs, anyio.current_time()
        while True:
            waited = anyio.current_time() - begun
            job = await jobs.wait(folder, job_id, min(1.0, max(0.0, wait_seconds - waited)))
            if not job.live or anyio.current_time() - begun >= wait_seconds:
                return await jobs.end_strays(folder, job)
            if progress is not None:
                last = output.last_line(job.log, redactor=self._place.redactor(env))
                await progress(anyio.current_time() - begun, None, last or "no output yet")

    async def job(
        self,
        caller: Caller,
        *,
        action: str = "list",
        id: str | None = None,  # noqa: A002  the contract's name
        offset: int | None = None,
        grep: str | None = None,
        wait_seconds: float = 0.0,
    ) -> JobAnswer:
        """List, wait for, read or end work by the id of a job, an attempt or a service."""
        if action != "list" and id is None:
            raise UsageError(f"job(action={action!r}) needs an id", remedy="Take one from job(action='list').")
        args = {"action": action, "id": id, "offset": offset, "grep": grep}

        async def work(passage: Passage) -> JobAnswer:
            answer = await self._act(caller, action, id or "", offset, grep, wait_seconds)
            passage.told = {"state": answer.state, "exit_code": answer.exit_code, "next_offset": answer.next_offset}
            passage.told["jobs"] = [[line.job, line.state] for line in answer.jobs] if answer.jobs else None
            return answer

        return await self._gate.look(caller, "job", args, work)

    async def _act(
        self, caller: Caller, action: str, name: str, offset: int | None, grep: str | None, wait_seconds: float
    ) -> JobAnswer:
        if action == "list":
            return await self._list()
        if name.startswith("a-"):
            return await self._attempt(caller, action, name, offset, grep, wait_seconds)
        job = await self._find(name)
        if action == "cancel":
            if job.kind == "service":
                raise UsageError(f"{name} is a service", remedy="Use stop_session for services.")
            job = await jobs.stop(self._place.layout.jobs, job.id)
        if action == "wait":
            job = await self._wait(job.id, wait_seconds, None)
        return await self._looked(job, offset, grep)

    async def _list(self) -> JobAnswer:
        now = self._place.now()
        look = partial(jobs.list_jobs, ended_since=now - ENDED_SHOWN_S, most_ended=MOST_JOBS)
        found = await anyio.to_thread.run_sync(look, self._place.layout.jobs)
        lately = [job for job in found if job.live or now - _over_since(job) < ENDED_SHOWN_S]
        shown = sorted(lately, key=lambda job: (not job.live, -job.created_at))[:MOST_JOBS]
        index = await self._place.run(partial(sessions.job_index, jobs=[job.id for job in shown]))
        live = sum(job.live for job in found)
        return JobAnswer(
            jobs=[job_line(job, index, now) for job in shown],
            next_step=f"Still running: {live}. Give an id to wait, output or cancel.",
        )

    async def _find(self, name: str) -> Job:
        """A job by its own id, or the latest of a service."""
        row = await self._place.run(lambda con: sessions.get(con, name))
        job_id = row.job if row is not None and row.job else name
        try:
            return jobs.look(self._place.layout.jobs, job_id)
        except NotFound as error:
            raise NotFound(f"there is no job, attempt or running service {name!r}") from error

    async def _attempt(
        self, caller: Caller, action: str, attempt_id: str, offset: int | None, grep: str | None, wait_seconds: float
    ) -> JobAnswer:
        deadline = anyio.current_time() + wait_seconds
        attempt = await self._place.run(lambda con: attempts.get(con, attempt_id))
        if attempt is None:
            raise NotFound(f"there is no attempt {attempt_id!r}")
        if action == "cancel" and attempt.open:
            await self._place.run(lambda con: attempts.cancel(con, attempt_id, caller.shown))
            deadline = anyio.current_time() + 30.0
        while action in {"wait", "cancel"} and attempt.open and anyio.current_time() < deadline:
            await anyio.sleep(0.1)
            now = await self._place.run(lambda con: attempts.get(con, attempt_id))
            if now is None:
                raise NotFound(f"attempt {attempt_id} could not start", remedy="run_test says why.")
            attempt = now
        facts = {name: value for name, value in attempt_facts(attempt, self._place.now()).items() if value is not None}
        step = "Repeat run_test to wait for it." if attempt.open else "run_test hands over its verdict."
        if attempt.job is None or action != "output":
            return JobAnswer(attempt=facts, state=attempt.state.value, next_step=step)
        return await self._looked(jobs.look(self._place.layout.jobs, attempt.job), offset, grep)

    async def _looked(self, job: Job, offset: int | None, grep: str | None) -> JobAnswer:
        text, at, following, lines = None, None, None, None
        redactor = self._place.redactor()
        if grep is not None:
            matches = await anyio.to_thread.run_sync(output.grep, job.log, grep, MOST_LINES, offset or 0, redactor)
            lines = [f"{match.offset}: {match.line}" for match in matches.found]
            following = matches.next_offset
        else:
            found = output.slice_at(job.log, offset if offset is not None else -SLICE_BYTES, SLICE_BYTES, redactor)
            text, following = found.text, found.next_offset
            at = found.begin if offset is not None and offset >= 0 else None
        answer = JobAnswer(
            job=job.id,
            state=job.state.value,
            exit_code=job.exit.exit_code if job.exit else None,
            signal=job.exit.signal if job.exit else None,
            reason=job.exit.reason if job.exit else job.lost_to,
            log=str(job.log),
            output=text,
            offset=at,
            next_offset=following,
            lines=lines,
            next_step=f"Still running: job(action='wait', id='{job.id}') waits for it; offset={following} reads on."
            if job.live
            else ("It has ended; this is its output." if job.exit else lost(job)),
        )
        return self._place.masked(answer)


def _over_since(job: Job) -> float:
    """When it ended; of one without a record only its beginning is known."""
    return job.exit.ended_at if job.exit else job.created_at
