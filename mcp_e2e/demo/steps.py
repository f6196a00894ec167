"""The steps of the demonstration. Each calls tools, checks the structured content, and shows a line for a person."""

import time
from collections.abc import Mapping
from typing import Any

from mcp_e2e.demo.agent import Agent, Reply, connected
from mcp_e2e.demo.project import BOOT_SECONDS, BROKEN, GOOD, NODE_ERROR, Project
from mcp_e2e.demo.screen import Screen
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import is_alive

SERVICE = "comfyui"
REDS = 3


class Steps:
    """One walk through; call ``walk`` once. ``reports`` and the times are filled on the way."""

    def __init__(self, screen: Screen, project: Project) -> None:
        self._screen = screen
        self._project = project
        self._session: dict[str, Any] = {}
        self._run = ""
        self._pids: set[int] = set()
        self.kept_alive_s = 0.0
        self.restarted_s = 0.0
        self.next_test_s = 0.0
        self.reports: dict[str, str] = {}

    async def walk(self) -> None:
        began = time.monotonic()
        async with connected(self._project) as agent:
            self._screen.step("A coding agent connects, as from an editor")
            told = f"server '{agent.server}' over stdio, protocol {agent.protocol}"
            self._screen.call("connect", told, time.monotonic() - began)
            began = time.monotonic()
            await self._boot(agent)
            await self._plan(agent)
            await self._run_three(agent)
            self.kept_alive_s = time.monotonic() - began
            await self._report(agent)
        began = time.monotonic()
        async with connected(self._project) as agent:
            self._screen.step("The editor is closed and opened again: a new server, the same session")
            self._screen.call("connect", "the old server has ended, a new one answers", time.monotonic() - began)
            await self._still_there(agent)
            await self._restart_every_time(agent)
            await self._three_reds(agent)
            await self._refused(agent)
            await self._stop(agent)

    async def _boot(self, agent: Agent) -> None:
        self._screen.step("Start the slow service once")
        early = await agent.ask("start_session", wait_seconds=1)
        early.holds("isError", expected=False, seen=early.is_error)
        early.must(service=SERVICE, state="starting", generation=1)
        last = str(early.data.get("log_tail", "")).strip().splitlines()[-1:] or [early.data["stage"]]
        self._screen.call("start_session", f"starting, which is no failure: {last[0]}", early.seconds)
        ready = await agent.do("start_session")
        ready.must(service=SERVICE, state="ready", generation=1)
        ready.holds("pid is known", expected=True, seen=isinstance(ready.data.get("pid"), int))
        took = float(ready.data.get("ready_after_s") or 0)
        ready.holds("the boot took its time", expected=True, seen=took >= BOOT_SECONDS)
        told = f"ready: pid {ready.data['pid']}, generation 1, booted in {took:.1f} s, {ready.data['version']}"
        self._screen.call("start_session", told, ready.seconds, "green")
        self._keep(ready)

    def _keep(self, ready: Reply) -> None:
        self._session = {name: ready.data[name] for name in ("pid", "generation")}
        self._pids.add(ready.data["pid"])

    async def _plan(self, agent: Agent) -> None:
        self._screen.step("Plan three tests")
        plan = await agent.do("plan_run", tests=list(GOOD))
        plan.must(total=len(GOOD), joined=False)
        self._run = plan.data["run"]
        self._screen.call("plan_run", f"{self._run}: {', '.join(plan.data['slots'])}", plan.seconds)

    async def _run_three(self, agent: Agent) -> None:
        self._screen.step("Run each on the live service; the verdict is the server's, the agent only confirms it")
        for slot, name in enumerate(GOOD, 1):
            attempt = await agent.do("run_test")
            attempt.must(test=name, state="done", verdict="passed")
            self._on_the_live_service(attempt)
            artifacts = attempt.data["evidence"].get("artifacts") or [{}]
            attempt.holds("an image was saved", expected=True, seen=str(artifacts[0].get("name")).endswith(".png"))
            place = f"{slot}/{len(GOOD)}"
            width, height = GOOD[name]
            told = f"passed: {artifacts[0]['name']}, at least {width} x {height}, not blank"
            self._screen.call(f"run_test {place}", told, attempt.seconds, "green")
            point = await agent.do("checkpoint", result="success", note=f"seen by the demo in slot {slot}")
            point.must(slot=slot, test=name, result="success", verdict="passed")
            _position(point, done=slot, passed=slot, failed=0, breaker="closed")
            self._screen.call(f"checkpoint {place}", f"success recorded, next: {_next(point)}", point.seconds)
            self.next_test_s = attempt.seconds + point.seconds

    def _on_the_live_service(self, attempt: Reply) -> None:
        seen = (attempt.data.get("evidence") or {}).get("generation")
        attempt.holds("evidence.generation", self._session["generation"], seen)

    async def _report(self, agent: Agent) -> None:
        self._screen.step("Report")
        report = await agent.do("report", format="markdown")
        report.must(run=self._run, overall="passed", success_rate=1.0, restarts=0, refusals=0)
        self.reports["three green tests"] = report.data["files"]["markdown"]
        told = f"3 of 3 passed, no restart; boot time saved: {report.data['boot_saved_s']:.1f} s"
        self._screen.call("report", told, report.seconds, "green")

    async def _still_there(self, agent: Agent) -> None:
        joined = await agent.do("start_session")
        joined.must(state="ready", **self._session)
        told = "joined, nothing started: pid {pid}, generation {generation} as before".format(**self._session)
        self._screen.call("start_session", told, joined.seconds, "green")
        report = await agent.do("report")
        report.must(run=self._run, overall="passed")
        self._screen.call("report", f"{self._run} is remembered: 3 of 3 passed", report.seconds)

    async def _restart_every_time(self, agent: Agent) -> None:
        self._screen.step("The usual way, measured once: a fresh service for one test")
        began = time.monotonic()
        stopped = await agent.do("stop_session")
        stopped.must(state="stopped")
        self._screen.call("stop_session", "stopped, verified gone", stopped.seconds)
        ready = await agent.do("start_session")
        ready.must(state="ready", generation=self._session["generation"] + 1)
        self._keep(ready)
        told = "ready: pid {pid}, generation {generation}".format(**self._session)
        self._screen.call("start_session", told, ready.seconds)
        attempt = await agent.do("run_test", test="portrait", checkpoint=True)
        attempt.must(test="portrait", verdict="passed", checkpointed="success")
        self._on_the_live_service(attempt)
        self._screen.call("run_test", "passed", attempt.seconds, "green")
        self.restarted_s = time.monotonic() - began

    async def _three_reds(self, agent: Agent) -> None:
        self._screen.step("Three red tests in a row: a node of this workflow fails")
        plan = await agent.do("plan_run", tests=[BROKEN], count=REDS)
        plan.must(total=REDS, joined=False)
        self._run = plan.data["run"]
        await self._red(agent, 1, slot=1, advised=False)
        await self._red(agent, 2, slot=1, advised=True)
        refused = await self._stopped(agent, rule="R2", state="closed")
        self._screen.call(f"run_test 1/{REDS}", "refused by rule R2: no file has changed", refused.seconds, "yellow")
        await self._recorded(agent, slot=1)
        await self._red(agent, 3, slot=2, advised=False)
        await self._recorded(agent, slot=2)
        self._screen.note(
            "the third stops all work, for every agent here, whatever they change now: the breaker is open"
        )

    async def _red(self, agent: Agent, red: int, *, slot: int, advised: bool) -> None:
        attempt = await agent.do("run_test")
        attempt.must(test=BROKEN, verdict="failed")
        failure = attempt.data.get("failure") or {}
        attempt.holds("failure.kind", "execution_error", failure.get("kind"))
        attempt.holds("the node's words are told", expected=True, seen=NODE_ERROR in failure.get("message", ""))
        attempt.holds("advice on R2", advised, "Rule R2" in str(attempt.data.get("advice")))
        _position(attempt, consecutive_failures=red, breaker="open" if red == REDS else "closed")
        told = "failed again: the one free retry" if advised else f"failed: {failure['message']}"
        self._screen.call(f"run_test {slot}/{REDS}", told, attempt.seconds, "red")

    async def _recorded(self, agent: Agent, *, slot: int) -> None:
        point = await agent.do("checkpoint", result="failure", note="fails on purpose")
        point.must(slot=slot, result="failure", verdict="failed")
        self._screen.call(f"checkpoint {slot}/{REDS}", f"failure recorded, next: {_next(point)}", point.seconds)

    async def _stopped(self, agent: Agent, *, rule: str, state: str, **arguments: Any) -> Reply:
        refused = await agent.ask("run_test", **arguments)
        refused.holds("isError", expected=True, seen=refused.is_error)
        refused.must(refused=True, code="refused", rule=rule, state=state, retryable=False)
        return refused

    async def _refused(self, agent: Agent) -> None:
        self._screen.step("From now on nothing runs, not even a test that is known to be good")
        refused = await self._stopped(agent, rule="R1", state="open", test="portrait")
        told = f"refused by rule R1, incident {refused.data['incident']}"
        self._screen.call("run_test", told, refused.seconds, "yellow")
        self._screen.quote(refused.text, "yellow")
        report = await agent.do("report", format="markdown")
        report.must(run=self._run, refusals=2)
        report.holds("counts.attempts", REDS, (report.data.get("counts") or {}).get("attempts"))
        self.reports["three red tests, two refusals"] = report.data["files"]["markdown"]
        self._screen.call("report", f"still works: {REDS} attempts, 2 refusals, nothing else ran", report.seconds)

    async def _stop(self, agent: Agent) -> None:
        self._screen.step("Stop, and see that nothing is left")
        stopped = await agent.do("stop_session")
        stopped.must(state="stopped")
        known = jobs.list_jobs(self._project.state.jobs)
        live = [job.id for job in known if job.live]
        stopped.holds("jobs that still live", [], live)
        seen = {job.process.pid for job in known if job.process}
        stopped.holds("the pids of all answers belong to known jobs", expected=True, seen=self._pids <= seen)
        alive = [job.process.pid for job in known if job.process and is_alive(job.process)]
        stopped.holds("processes that still live", [], alive)
        pids = " and ".join(map(str, sorted(self._pids)))
        self._screen.call("stop_session", f"stopped: pid {pids} gone, no job left", stopped.seconds, "green")


def _position(reply: Reply, **expected: Any) -> None:
    position: Mapping[str, Any] = reply.data.get("position") or {}
    for name, value in expected.items():
        reply.holds(f"position.{name}", value, position.get(name))


def _next(point: Reply) -> str:
    return str(point.data.get("next") or "none, the run is done")
