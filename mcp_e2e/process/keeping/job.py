"""One job from its first process to its exit record: lives, restarts, and what its state file says."""

from __future__ import annotations

import os
import time

from . import facts, files
from .backoff import Backoff
from .direct import Direct
from .life import Life
from .limits import Limits
from .liveness import LIVENESS, Liveness
from .look import LIMIT_S, Look
from .quiet import TYPE_CHECKING
from .readiness import Readiness
from .system import Pipes, open_log, start
from .target import GROUP, Program
from .versions import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .system import Events, Tree

LIVES_KEPT = 50


def identity(pid: int) -> dict[str, Any] | None:
    born = facts.birth(pid)
    if born is None:
        return None
    return {"boot_id": facts.boot_id(), "pid": pid, "start_ticks": born.ticks, "inode": facts.inode(pid)}


class Keeper:
    """The job as a whole; ``state`` is what ``state.json`` holds."""

    def __init__(
        self, spec: Mapping[str, Any], env: Mapping[str, str], events: Events, before: Mapping[str, Any] | None = None
    ) -> None:
        """``before``: the state of a predecessor whose life goes on; nobody may see it forgotten for a moment."""
        self._spec, self._env, self._events = spec, env, events
        self._backoff = Backoff(spec["restart"])
        self._adopts = before is not None  # the process of the next life runs already
        self._began: tuple[float, float] | None = None  # wall clock, monotonic
        self._lives: list[dict[str, Any]] = []
        self._state: dict[str, Any] = {
            "schema": SCHEMA,
            "keeper": identity(os.getpid()),
            "process": None,
            "phase": "starting",
            "generation": spec["first_generation"],
            "lives": self._lives,
            "retry_at": None,
            "layers": list(spec["confinement"]["layers"]),
        }
        if before is not None:
            self._lives += before["lives"]
            self._state |= {name: before[name] for name in ("process", "generation", "layers")} | {"phase": "running"}
        files.put("state.json", self._state)

    def run(self, running: Callable[[], None]) -> dict[str, Any]:
        """The exit record; ``running`` is called when the first process has been executed."""
        while True:
            if self._events.check() and not self._adopts:
                return self._record("stopped", {})
            began = time.monotonic()
            end = self._live(running)
            reason = self._reason(end.pop("reason"), end["exit_code"])
            delay = None if reason else self._backoff.delay(time.monotonic(), time.monotonic() - began, _jitter())
            if reason or delay is None:
                return self._record(reason or "crash_loop", end)
            self._rest(delay)
            self._state["generation"] += 1

    def _reason(self, ended_for: str | None, code: int | None) -> str | None:
        """Why a life that ended with ``code``, by itself unless it was ``ended_for`` something, is the last one."""
        if ended_for not in (None, LIVENESS):
            return ended_for
        if self._spec["kind"] == "command":
            return "exited"
        if self._events.check():
            return "stopped"
        if ended_for == LIVENESS:  # how its end went tells nothing
            return LIVENESS if self._spec["restart"]["mode"] == "never" else None
        return self._backoff.end_reason(code)

    def _rest(self, delay: float) -> None:
        self._save(phase="backoff", process=None, retry_at=time.time() + delay)
        until = time.monotonic() + delay
        while not self._events.down and time.monotonic() < until:
            self._events.wait([], until)

    def _live(self, running: Callable[[], None]) -> dict[str, Any]:
        service = self._spec["kind"] == "service"
        try:
            log = open_log()
            life = _life(self._state["generation"], os.fstat(log).st_size)
            output = Direct(log) if service else Pipes(log, merge=self._spec["merge_streams"])
            tree, error = self._start(output, life, bound=not service)
        except OSError as refused:
            return {"reason": "exec_failed", "exit_code": None, "signal": None, "error": str(refused.strerror)}
        output.handed_over()
        if error is None:
            self._began = self._began or (life["started_at"], time.monotonic())
            self._save(phase="running")
            running()
        end = self._watched(life, tree, output)
        return {**end, "reason": "exec_failed", "error": error} if error else end

    def _watched(self, life: dict[str, Any], tree: Tree, output: Pipes | Direct) -> dict[str, Any]:
        """The end of a life that runs; ``life`` is told it too."""
        began = time.monotonic()
        looks = (self._readiness(life, tree, began), self._liveness(life, tree))
        watcher = Life(self._spec, self._events, tree, output, looks)
        end = watcher.watch(Limits(self._spec, began, tree.group), lambda: self._save(phase="stopping"))
        life |= {"ended_at": time.time(), "exit_code": end["exit_code"], "signal": end["signal"]}
        life["cause"] = LIVENESS if watcher.reason == LIVENESS else None
        return {**end, "reason": watcher.reason, "escalated": watcher.escalated}

    def _readiness(self, life: dict[str, Any], tree: Tree, began: float) -> Readiness:
        rule = None if life["ready_at"] else self._spec["ready"]
        look = Look(rule, self._program(), tree) if rule else None
        offset = life["log_offset"] if rule and rule["log"] else None
        return Readiness(look, offset, began, lambda at: self._ready(life, at))

    def _liveness(self, life: dict[str, Any], tree: Tree) -> Liveness:
        rule, every_s = self._spec["liveness"], self._spec["liveness_every_s"]
        limit_s = min(LIMIT_S, max(1.0, every_s))
        look = Look(rule, self._program(), tree, limit_s) if rule else None
        return Liveness(look, every_s, lambda: self._spec["ready"] is None or life["ready_at"] is not None)

    def _start(self, output: Pipes | Direct, life: dict[str, Any], *, bound: bool) -> tuple[Tree, str | None]:
        def record(pid: int) -> None:
            self._lives.append(life)
            del self._lives[:-LIVES_KEPT]
            self._state |= {"phase": "starting", "process": identity(pid), "retry_at": None}
            files.put("state.json", self._state)

        spec = self._spec
        tree, error, missing = start(self._program(), (output.out, output.err), bound=bound, record=record)
        for layer, why in missing.items():
            files.note(f"not confined by {layer}: {why}")
        self._state["layers"] = [layer for layer in spec["confinement"]["layers"] if layer not in missing]
        self._state["layers"] += [GROUP] if tree.group is not None else []
        return tree, error

    def _program(self) -> Program:
        spec = self._spec
        return Program(spec["argv"], spec["cwd"], self._env, spec["confinement"], spec["limits"])

    def _ready(self, life: dict[str, Any], at: float) -> None:
        life["ready_at"] = at
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
    return {**began, "ready_at": None, "ended_at": None, "exit_code": None, "signal": None, "cause": None}


def _jitter() -> float:
    return os.urandom(1)[0] / 255
