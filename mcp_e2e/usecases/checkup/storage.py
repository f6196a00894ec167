"""The state folder: where it lies, whether it can be written, its database, the breaker, who else works there."""

import os
import shlex
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from mcp_e2e.model.calls import BreakerState
from mcp_e2e.process import jobs, locks
from mcp_e2e.store.examining import examine
from mcp_e2e.store.layout import Layout, shared_file_system
from mcp_e2e.usecases.checkup.finding import Finding, note, ok, problem, warning

LITTLE, TOO_LITTLE = 2 << 30, 100 << 20
_MIB = 1 << 20


def check_storage(state_dir: Path) -> list[Finding]:
    """Reads only; a folder that is not there yet is judged by what it would be made in. Blocks."""
    layout = Layout(state_dir)
    found = [*_folder(layout), *_space(layout)]
    if layout.private.is_dir():
        found += [*_database(layout), *_jobs(layout), *_others(layout)]
    return found


def _folder(layout: Layout) -> Iterator[Finding]:
    root = layout.root
    there = _nearest(root)
    if kind := shared_file_system(there):
        yield problem(
            f"the state folder {root} lies on {kind}, where locks and SQLite's WAL are not safe",
            "Set [project] state_dir (or MCP_E2E_STATE_DIR) to a folder on a local disk.",
        )
    if os.path.lexists(layout.private) and not layout.private.is_dir():
        yield problem(f"{layout.private} is no folder", f"Move it away: {root} is to hold a folder of that name.")
    unwritable = [folder for folder in (there, layout.private) if folder.is_dir() and not os.access(folder, os.W_OK)]
    for folder in unwritable:
        yield problem(f"{folder} cannot be written", "Correct its rights, or set another [project] state_dir.")
    mode = stat.S_IMODE(layout.private.stat().st_mode) if layout.private.is_dir() and sys.platform != "win32" else 0
    if mode & 0o077:
        yield warning(
            f"{layout.private} is open to other users (mode {mode:04o})",
            f"chmod 700 {shlex.quote(str(layout.private))}",
        )
    if not unwritable:
        yield ok(f"state folder {root}" if root.is_dir() else f"state folder {root}: made at the first run")


def _nearest(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor))


def _space(layout: Layout) -> Iterator[Finding]:
    """Of the state folder, and of the artifacts where those lie on another disk."""
    places = {_nearest(folder).stat().st_dev: _nearest(folder) for folder in (layout.artifacts, layout.root)}
    for place in places.values():
        free = shutil.disk_usage(place).free
        told = f"{free // _MIB:,} MiB are free in {place}"
        fix = "Free some space there: outputs and artifacts of tests are kept in it."
        yield problem(told, fix) if free < TOO_LITTLE else warning(told, fix) if free < LITTLE else ok(told)


def _database(layout: Layout) -> Iterator[Finding]:
    path = layout.database
    if not path.exists():
        if layout.founded.exists():
            yield warning(
                f"the database {path} is gone",
                "The next command makes a new one from the jobs' folders; the breaker is open until a person looks.",
            )
        return
    try:
        seen = examine(path)
    except sqlite3.Error as error:
        yield warning(f"{path} cannot be looked at: {error}", "Look again; mcp-e2e status names who works here.")
        return
    if seen.damage is not None:
        yield problem(
            f"the database {path} is damaged: {seen.damage[:200]}",
            "The next command (mcp-e2e status) sets it aside and makes a new one from the jobs' folders: sessions go "
            "on, runs and verdicts are gone, the breaker is open until a person looks. Copy it before to keep it.",
        )
    elif seen.schema > seen.known:
        yield problem(
            f"the database has schema {seen.schema}, this mcp-e2e knows {seen.known}: a newer version wrote it",
            "Upgrade mcp-e2e, or set another [project] state_dir.",
        )
    else:
        yield ok(f"the database is sound, schema {seen.schema} of {seen.known}")
    if seen.breaker is not None and seen.breaker.state is not BreakerState.CLOSED:
        told = f"the breaker is {seen.breaker.state.value}: incident {seen.breaker.incident}"
        yield warning(told, "Look at what was stopped, and why: mcp-e2e breaker status")


def _jobs(layout: Layout) -> Iterator[Finding]:
    for told in jobs.strange_jobs(layout.jobs):
        yield warning(told, "mcp-e2e status tells more.")


def _others(layout: Layout) -> Iterator[Finding]:
    alive = [lease for lease in locks.leases(layout.leases, sweep=False) if lease.alive]
    if alive:
        shown = ", ".join(f"{each.description.get('client', '?')} (pid {each.id.split('-')[0]})" for each in alive)
        yield note(f"at work on this project: {shown}")
