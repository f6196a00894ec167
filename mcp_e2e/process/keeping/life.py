"""One job from its first process to its exit record: lives, restarts, time limit, stop."""

from __future__ import annotations

import os
import time

from . import child, facts, files
from .backoff import Backoff
from .capture import Direct, Pipes
from .events import Events
from .limits import Limits
from .quiet import TYPE_CHECKING
from .readiness import Readiness
from .tree import UNKNOWN, Tree
from .upkeep import Upkeep

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any
else:
    import _signal as signal

DRAIN_S = 0.2  # after the main process: for output still in the pipe and for children that are about to end
LIVES_KEPT = 50
Ladder = list[tuple[float, tuple[int, ...]]]  # seconds to wait after each rung's signals


def identity(pid: int) -> dict[str, Any] | None:
    born = facts.birth(pid)
    if born is None:
        return None
    return {"boot_id": facts.boot_id(), "pid": pid, "start_ticks": born.ticks, "inode": facts.inode(pid)}


class Life:
    """One generation, watched until its whole tree is gone; ``reason`` is set when it did not end by itself."""

    def __init__(
        self, spec: Mapping[str, Any], events: Events, tree: Tree, output: Pipes | Direct, readiness: Readiness
    ) -> None:
        self._readiness = readiness
        self._spec, self._events, self._tree, self._output = spec, events, tree, output
        self._upkeep = Upkeep(spec)
        self.reason: str | None = None
        self.escalated = False
        self._ladder: Ladder = []
        self._next_rung = 0.0
        self._dead_since: float | None = None

    def watch(self, limits: Limits, stopping: Callable[[], None]) -> dict[str, Any]:
        """Returns the end of this life as fields of the exit record."""
        while not self._over(now := time.monotonic()):
            if self.reason is None and self._tree.status is None:
                self.reason = "stopped" if self._events.down else limits.exceeded(now) or self._upkeep.look(now)
                if self.reason:
                    stopping()
                    self._ladder = self._rungs()
            if self._ladder and now >= self._next_rung:
                self._climb(now)
            if self.reason is None and self._tree.status is None:
                self._readiness.look(now)
            for fd in self._events.wait([*self._output.fds, *self._tree.fds], self._next_timer(now, limits)):
                self._output.read(fd)
        suspended = {"suspended_s": limits.awake.suspended_s}
        strays, survivors = self._tree.kill_rest()
        return {**self._output.finish(), **self._result(), **suspended, "strays": strays, "error": _stuck(survivors)}

    def _rungs(self) -> Ladder:
        grace = self._spec["stop_grace_s"]
        if self.reason in ("memory", "processes"):  # whoever outgrows its limit is not asked
            return [(DRAIN_S, (signal.SIGSTOP, signal.SIGKILL))]
        if self._spec["kind"] == "service":
            return [(grace, (signal.SIGTERM, signal.SIGCONT)), (DRAIN_S, (signal.SIGKILL,))]
        hard: Ladder = [(2.0, (signal.SIGTERM, signal.SIGCONT)), (DRAIN_S, (signal.SIGKILL,))]
        return [(1.0, (signal.SIGINT, signal.SIGCONT)), *hard]

    def _climb(self, now: float) -> None:
        pause, numbers = self._ladder.pop(0)
        self._next_rung = now + pause
        self.escalated = self.escalated or signal.SIGKILL in numbers
        self._tree.signal(*numbers)

    def _over(self, now: float) -> bool:
        """The tree is gone and its output read, or the time left to what the main process left behind is up."""
        self._tree.reap()
        if self._tree.status is None:
            return False
        self._readiness.dismiss()
        self._dead_since = now if self._dead_since is None else self._dead_since
        give_up = self._dead_since + DRAIN_S
        if self._tree.gone:
            return not self._output.fds or now >= give_up
        # a stop gives its grace to the whole tree, not only to the main process
        return not self._ladder and now >= max(give_up, self._next_rung)

    def _next_timer(self, now: float, limits: Limits) -> float | None:
        times = [self._next_rung] if self.reason else []
        if self._dead_since is not None:
            times.append(self._dead_since + DRAIN_S)
        elif not self.reason:
            wards = (limits, self._upkeep, self._readiness)
            return min(filter(None, (ward.next_look(now) for ward in wards)), default=None)
        return min((time for time in times if time > now), default=None)

    def _result(self) -> dict[str, Any]:
        if self._tree.status is None or self._tree.status == UNKNOWN:
            return {"exit_code": None, "signal": None}
        code = os.waitstatus_to_exitcode(self._tree.status)
        return {"exit_code": None if code < 0 else code, "signal": -code if code < 0 else None}


def _stuck(pids: list[int]) -> str | None:
    return f"could not be killed: {', '.join(map(str, pids))}" if pids else None


class Keeper:
    """The job as a whole; ``state`` is what ``state.json`` holds."""

    _adopts = False  # a life runs that another keeper began: told to stop, it has to be ended all the same

    def __init__(self, spec: Mapping[str, Any], env: Mapping[str, str], events: Events) -> None:
        self._spec, self._env, self._events = spec, env, events
        self._backoff = Backoff(spec["restart"])
        self._began: tuple[float, float] | None = None  # wall clock, monotonic
        self._lives: list[dict[str, Any]] = []
        self._state: dict[str, Any] = {
            "schema": 1,
            "keeper": identity(os.getpid()),
            "process": None,
            "phase": "starting",
            "generation": spec["first_generation"],
            "lives": self._lives,
            "retry_at": None,
            "layers": list(spec["confinement"]["layers"]),
        }
        files.put("state.json", self._state)

    def run(self, running: Callable[[], None]) -> dict[str, Any]:
        """The exit record; ``running`` is called when the first process has been executed."""
        while True:
            if self._events.check() and not self._adopts:
                return self._record("stopped", {})
            began = time.monotonic()
            end = self._live(running)
            reason = end.pop("reason") or self._reason(end["exit_code"])
            delay = None if reason else self._backoff.delay(time.monotonic(), time.monotonic() - began, _jitter())
            if reason or delay is None:
                return self._record(reason or "crash_loop", end)
            self._rest(delay)
            self._state["generation"] += 1

    def _reason(self, code: int | None) -> str | None:
        if self._spec["kind"] == "command":
            return "exited"
        return "stopped" if self._events.check() else self._backoff.end_reason(code)

    def _rest(self, delay: float) -> None:
        self._save(phase="backoff", process=None, retry_at=time.time() + delay)
        until = time.monotonic() + delay
        while not self._events.down and time.monotonic() < until:
            self._events.wait([], until)

    def _live(self, running: Callable[[], None]) -> dict[str, Any]:
        service = self._spec["kind"] == "service"
        try:
            log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            life = _life(self._state["generation"], os.fstat(log).st_size)
            output = Direct(log) if service else Pipes(log, merge=self._spec["merge_streams"])
            pid, error = self._start(output, life, bound=not service)
        except OSError as refused:
            return {"reason": "exec_failed", "exit_code": None, "signal": None, "error": str(refused.strerror)}
        output.handed_over()
        if error is None:
            self._began = self._began or (life["started_at"], time.monotonic())
            self._save(phase="running")
            running()
        end = self._watched(life, Tree(pid), output)
        return {**end, "reason": "exec_failed", "error": error} if error else end

    def _watched(self, life: dict[str, Any], tree: Tree, output: Pipes | Direct) -> dict[str, Any]:
        """The end of a life that runs; ``life`` is told it too."""
        began = time.monotonic()
        rule = None if life["ready_at"] else self._spec["ready"]
        readiness = Readiness(rule, self._program(), tree, life["log_offset"], began, lambda: self._ready(life))
        watcher = Life(self._spec, self._events, tree, output, readiness)
        end = watcher.watch(Limits(self._spec, began), lambda: self._save(phase="stopping"))
        life |= {"ended_at": time.time(), "exit_code": end["exit_code"], "signal": end["signal"]}
        return {**end, "reason": watcher.reason, "escalated": watcher.escalated}

    def _start(self, output: Pipes | Direct, life: dict[str, Any], *, bound: bool) -> tuple[int, str | None]:
        def record(pid: int) -> None:
            self._lives.append(life)
            del self._lives[:-LIVES_KEPT]
            self._state |= {"phase": "starting", "process": identity(pid), "retry_at": None}
            files.put("state.json", self._state)

        spec = self._spec
        pid, error, missing = child.start(self._program(), (output.out, output.err), bound=bound, record=record)
        for layer, why in missing.items():
            files.note(f"not confined by {layer}: {why}")
        self._state["layers"] = [layer for layer in spec["confinement"]["layers"] if layer not in missing]
        return pid, error

    def _program(self) -> child.Program:
        spec = self._spec
        return child.Program(spec["argv"], spec["cwd"], self._env, spec["confinement"], spec["limits"]["file_bytes"])

    def _ready(self, life: dict[str, Any]) -> None:
        life["ready_at"] = time.time()
        self._save(phase="running")

    def _save(self, **changes: Any) -> None:
        """Not vital once the process runs: a full disk or a deleted folder must not end the keeper."""
        self._state |= {"retry_at": None, **changes}
        try:
            files.put("state.json", self._state)
        except OSError as error:
            files.note(f"state not written: {error}")

    def _record(self, reason: str, end: dict[str, Any]) -> dict[str, Any]:
        self._save(phase="ended")
        wall, mono = self._began or (time.time(), time.monotonic())
        blank = {"exit_code": None, "signal": None, "strays": 0, "escalated": False, "error": None}
        sizes = {"log_dropped": 0, "suspended_s": 0.0}
        now = {"started_at": wall, "ended_at": time.time(), "duration_s": round(time.monotonic() - mono, 6)}
        return {"stdout": None, "stderr": None, **blank, **sizes, **end, "reason": reason, **now}


def _life(generation: int, log_offset: int) -> dict[str, Any]:
    """As ``model.jobs.Life``."""
    began = {"generation": generation, "started_at": time.time(), "log_offset": log_offset}
    return {**began, "ready_at": None, "ended_at": None, "exit_code": None, "signal": None}


def _jitter() -> float:
    return os.urandom(1)[0] / 255
