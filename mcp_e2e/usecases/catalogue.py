"""The configured tests: which there are, what keeps one from running, and the order that runs one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from mcp_e2e.adapters import goldens
from mcp_e2e.adapters.comfyui import wiring, workflow
from mcp_e2e.adapters.spec import fill_python, missing_program
from mcp_e2e.errors import ConfigError, NothingSelected, SetupError, UsageError
from mcp_e2e.executors.orders import CommandWork, JudgeWork, WorkflowWork
from mcp_e2e.model.jobs import JobSpec
from mcp_e2e.model.runs import Attempt
from mcp_e2e.model.services import Session
from mcp_e2e.model.work import Usage
from mcp_e2e.process import jobs
from mcp_e2e.process.environment import DEFAULT_ENV_ALLOW, child_environment
from mcp_e2e.process.sandbox import confinement
from mcp_e2e.settings import ExpectConfig, Loaded, TestConfig, expand, unset_names, wishes
from mcp_e2e.store import attempts
from mcp_e2e.usecases.rail import limits
from mcp_e2e.usecases.workplace import Workplace


class Catalogue:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    def loaded(self) -> Loaded:
        """The configuration, which must have a file: there are no tests without one."""
        loaded = self._place.settings()
        loaded.needs_file()
        return loaded

    def ids(self) -> list[str]:
        tests = [test.id for test in self.loaded().settings.tests]
        if not tests:
            raise NothingSelected("no test is configured", remedy="Add [[tests]] tables to mcp-e2e.toml.")
        return tests

    def test(self, test_id: str) -> TestConfig:
        known = {test.id: test for test in self.loaded().settings.tests}
        if test_id in known:
            return known[test_id]
        near = get_close_matches(test_id, known, n=1)
        raise UsageError(
            f"there is no test {test_id!r}",
            remedy=f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known) or 'none'}.",
        )

    def service_of(self, test: TestConfig) -> str | None:
        """The service a test runs against: its own, else the first one; None where none is configured."""
        return test.service or next(iter(self.loaded().settings.services), None)

    def problem(self, test: TestConfig) -> str | None:
        """The first thing that keeps the test from starting, in a sentence."""
        return next(iter(self._problems(test)), None)

    def check(self, tests: Iterable[str], params: Mapping[str, Any] | None = None) -> None:
        """Look at files, programs and variables of the tests before anything runs.

        Raises:
            SetupError: with all problems at once.
        """
        chosen = [self.test(test) for test in dict.fromkeys(tests)]
        problems = [f"{test.id}: {problem}" for test in chosen for problem in self._problems(test)]
        if problems:
            raise SetupError("; ".join(problems), problems=problems)
        for test in chosen:
            if test.workflow is not None and params:
                workflow.apply(self._graph(test), params)

    def _problems(self, test: TestConfig) -> list[str]:
        name = self.service_of(test)
        return [*self.test_problems(test), *(self.service_problems(name) if name is not None else ())]

    def test_problems(self, test: TestConfig) -> list[str]:
        """What of the test itself keeps it from starting."""
        loaded = self.loaded()
        environ = loaded.environment(self._place.environ)
        problems = [
            f"${{{name}}} is not set: set it in the environment or .env" for name in unset_names(test.env, environ)
        ]
        if test.workflow is not None:
            problems += self._workflow_problems(test)
            problems += goldens.missing(loaded, test)
        command = test.command or (test.expect.command if test.expect else None)
        if command is not None and not loaded.folder(test.cwd).is_dir():
            problems.append(f"its cwd {loaded.folder(test.cwd)} is no folder")
        elif command is not None:
            program = missing_program(tuple(command), loaded.folder(test.cwd), environ.get("PATH"))
            problems += [program] if program else []
        return problems

    def service_problems(self, name: str) -> list[str]:
        """What keeps a configured service from starting."""
        loaded = self.loaded()
        config, environ = loaded.settings.services[name], loaded.environment(self._place.environ)
        unset = unset_names(config.env, environ)
        problems = [f"service {name} needs ${{{each}}}, which is not set" for each in unset]
        if config.command is not None:
            argv, cwd = tuple(fill_python(config.command)), loaded.folder(config.cwd)
            program = missing_program(argv, cwd, environ.get("PATH"))
            problems += [f"service {name}: {program}"] if program else []
        return problems

    def _workflow_problems(self, test: TestConfig) -> list[str]:
        try:
            return list(wiring.surely_broken(self._graph(test)))
        except (SetupError, ConfigError) as error:
            return [error.message if error.advice == SetupError.remedy else f"{error.message} {error.advice}"]

    def _graph(self, test: TestConfig) -> workflow.Graph:
        path = self.loaded().folder(test.workflow or "")
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise SetupError(f"the workflow file {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SetupError(f"the workflow file {path} is not UTF-8 text") from error
        return workflow.load(text, path.name)

    def folder(self, attempt: Attempt) -> Path:
        """Where the attempt's artifacts are kept."""
        return self._place.layout.artifacts / attempt.run / attempt.id

    def command_work(self, attempt: Attempt) -> CommandWork:
        """From the attempt's row alone."""
        return CommandWork(attempt.id, attempt.test, self._place.layout.jobs, attempt.job or "", self.folder(attempt))

    def command_spec(self, attempt: Attempt, session: Session | None) -> JobSpec:
        """The job that runs the attempt's command; needs the configuration and its secrets."""
        test, url = self.test(attempt.test), session.url if session is not None else None
        return self._spec(attempt, attempt.job or "", tuple(test.command or ()), attempt.timeout_s, url)

    def _judge_spec(self, attempt: Attempt) -> JobSpec:
        """The job whose command judges the outputs of the attempt, confined as a test's command is."""
        expect = self.test(attempt.test).expect or ExpectConfig()
        argv = tuple(attempt.carried["expect"]["command"])
        return self._spec(attempt, attempt.carried["judge"], argv, expect.command_timeout_s, attempt.carried["url"])

    def _spec(self, attempt: Attempt, job_id: str, argv: tuple[str, ...], timeout_s: float, url: str | None) -> JobSpec:
        test, loaded = self.test(attempt.test), self.loaded()
        environ = loaded.environment(self._place.environ)
        told = {
            "MCP_E2E_RUN": attempt.run,
            "MCP_E2E_ATTEMPT": attempt.id,
            "MCP_E2E_OUTPUT_DIR": str(self.folder(attempt)),
            **({"MCP_E2E_SERVICE_URL": url} if url else {}),
            **{f"MCP_E2E_PARAM_{variable(name)}": str(value) for name, value in attempt.params.items()},
        }
        allow = loaded.settings.exec.env_allow
        trace = {} if "TRACEPARENT" in test.env else attempt.carried.get("trace", {})
        own = trace | expand(test.env, environ) | told
        return JobSpec(
            id=job_id,
            kind="command",
            argv=argv,
            cwd=loaded.folder(test.cwd),
            env=child_environment(environ, DEFAULT_ENV_ALLOW if allow is None else allow, own, job_id),
            labels={"attempt": attempt.id, "test": test.id},
            timeout_s=timeout_s,
            merge_streams=True,
            confinement=confinement(
                loaded.settings.exec.sandbox, self._place.layout.private, may_signal_service=test.may_signal_service
            ),
            limits=limits(loaded.settings.exec),
        )

    def workflow_work(self, attempt: Attempt) -> WorkflowWork:
        """From the attempt's row alone; ``attempt.carried`` is what ``workflow_carried`` gave."""
        carried = attempt.carried
        job, outputs, reference = carried.get("judge"), carried.get("outputs"), carried.get("reference")
        return WorkflowWork(
            attempt=attempt.id,
            test=attempt.test,
            name=str(carried.get("workflow", "")),
            url=str(carried.get("url", "")),
            prompt_id=attempt.prompt_id or "",
            timeout_s=attempt.timeout_s,
            expect=carried.get("expect", {}),
            folder=self.folder(attempt),
            running_since=attempt.started_at,
            owned=bool(attempt.carried.get("owned")),
            clean_process=bool(attempt.carried.get("clean_process", True)),
            failed_nodes=attempt.carried.get("failed_nodes", ()),
            loads=attempt.carried.get("loads", ()),
            memory_before=tuple(Usage(*each) for each in attempt.carried.get("memory", ())),
            outputs=Path(outputs) if outputs else None,
            reference=Path(reference) if reference else None,
            previous=carried.get("previous"),
            judge=JudgeWork(self._place.layout.jobs, job, partial(self._judge_spec, attempt)) if job else None,
        )

    async def workflow_carried(self, attempt: Attempt, session: Session) -> dict[str, Any]:
        """What is stored in the attempt's row so that any process can go on with it."""
        test, loaded = self.test(attempt.test), self.loaded()
        expect = test.expect or ExpectConfig()
        reference = goldens.reference(loaded, test)
        before = await self._place.run(partial(attempts.passed_before, test=test.id)) if expect.different else None
        carried = {
            "workflow": Path(test.workflow or "").name,
            "url": session.url or "",
            "expect": wishes(expect),
            "owned": not session.attached,
            "failed_nodes": [name.partition(":")[0] for name in session.failed_nodes] or None,
            "outputs": str(session.outputs) if session.outputs and not session.attached else None,
            "reference": str(reference) if reference else None,
            "previous": dict(before.evidence.get("contents", {})) if before else None,
            "judge": jobs.new_job_id() if expect.command else None,
        }
        return {name: value for name, value in carried.items() if value is not None}

    def graph(self, attempt: Attempt) -> workflow.Graph:
        """The attempt's workflow with its params, made to execute anew."""
        graph = workflow.apply(self._graph(self.test(attempt.test)), attempt.params)
        return workflow.freshen(graph, attempt.id)


def variable(name: str) -> str:
    """A parameter's name as part of an environment variable's."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).upper()


def work(test: str, params: Mapping[str, Any] | None) -> Sequence[Any]:
    """What selects the work of an attempt, in a canonical order."""
    return [test, sorted((params or {}).items())]
