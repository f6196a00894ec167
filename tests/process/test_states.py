"""What readers make of a job's lock and files."""

import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import NotFound
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive, own_identity, send_signal
from mcp_e2e.process.locks import FileLock


async def test_what_the_files_and_the_lock_say_together(room):
    """The states without a process of their own: held or free lock, with and without a state file."""
    spec = room.spec("true")
    lock = jobs._prepare(room.dir, spec)
    assert jobs.look(room.dir, spec.id).state is JobState.STARTING
    os.close(lock)
    assert jobs.look(room.dir, spec.id).state is JobState.NEVER_STARTED
    for unknown in ("j-unknown", "", "..", "../jobs", ".new", "j-\0", "j" * 300, "\ud800"):
        with pytest.raises(NotFound):
            jobs.look(room.dir, unknown)


async def test_a_name_that_is_no_jobs_opens_no_file(room, monkeypatch):
    """Not even to look whether somebody holds its lock."""
    monkeypatch.setattr(FileLock, "is_held", lambda _: pytest.fail("a file was looked at"))
    for elsewhere in ("../../x", "..\\x", ".", "j\0"):
        with pytest.raises(NotFound):
            jobs.look(room.dir, elsewhere)


async def test_a_torn_or_foreign_file_does_not_hide_the_other_jobs(room):
    """A folder without a readable spec is no job; the list goes on."""
    job = await room.end(await room.command("true"))
    (room.dir / "j-broken").mkdir()
    (room.dir / "j-broken" / "spec.json").write_text('{"id": ')
    assert [found.id for found in jobs.list_jobs(room.dir)] == [job.id]


async def test_waiting_ends_with_the_job_or_with_the_time(room):
    """The wait answers the job either way and never ends it."""
    job = await room.command("sh", "-c", "until test -e go; do sleep 0.02; done")
    assert (await jobs.wait(room.dir, job.id, 0.1)).state is JobState.RUNNING
    async with anyio.create_task_group() as group:
        group.start_soon(room.end, job)
        (room.cwd / "go").touch()


def test_ids_sort_by_age_and_do_not_repeat():
    """A list of folders is a history."""
    made = [jobs.new_job_id() for _ in range(500)]
    assert len(set(made)) == 500
    assert made == sorted(made)
    assert Path(made[0]).name == made[0]


def test_a_process_is_only_itself():
    """One tick of difference, another boot or no signal to give: not the same process."""
    me = own_identity()
    assert is_alive(me)
    assert not is_alive(type(me)(me.boot_id, me.pid, me.start_ticks + 1))
    assert not is_alive(type(me)("another boot", me.pid, me.start_ticks))
    assert not send_signal(type(me)(me.boot_id, me.pid, me.start_ticks + 1), signal.SIGKILL)


def test_a_process_born_in_the_same_tick_under_the_same_pid_is_another():
    """Where the kernel gives processes inodes of their own, they tell apart what pid and ticks cannot."""
    me = identity(os.getpid())
    if not me.inode:
        pytest.skip("no inodes of processes here")
    assert is_alive(me)
    assert is_alive(replace(me, inode=0))
    assert not is_alive(replace(me, inode=me.inode + 1))


async def test_a_record_with_words_of_another_version_is_read_all_the_same(room):
    """A keeper newer than this server said more, an older one less: what both know is told."""
    job = await room.end(await room.command("sh", "-c", "exit 4"))
    for name in ("exit.json", "state.json"):
        stored = json.loads((job.folder / name).read_text())
        stored["new_word"] = 1
        stored.pop("suspended_s", None)
        stored.pop("layers", None)
        for life in stored.get("lives", ()):
            life["new_word"] = 1
            life.pop("ready_at")
        (job.folder / name).write_text(json.dumps(stored))
    again = room.look(job)
    assert (again.exit.exit_code, again.exit.suspended_s, len(again.lives)) == (4, 0.0, 1)


async def test_jobs_that_ended_long_ago_are_left_out(room):
    """By the time of their exit record; what runs, or ended without one, is never left out."""
    old, new, lost = [await room.command(*argv) for argv in (["true"], ["true"], ["sleep", "60"])]
    await room.end(old)
    await room.end(new)
    send_signal(lost.keeper, signal.SIGKILL)
    await room.end(lost)
    running = await room.command("sleep", "60")
    os.utime(old.folder / "exit.json", (1000, 1000))
    lately = jobs.list_jobs(room.dir, ended_since=time.time() - 600)
    assert [job.id for job in lately] == sorted([new.id, lost.id, running.id])
    assert [job.id for job in jobs.list_jobs(room.dir, ended_since=math.inf)] == sorted([lost.id, running.id])
    assert [job.id for job in jobs.list_jobs(room.dir, most_ended=1)] == sorted([new.id, lost.id, running.id])
    assert len(jobs.list_jobs(room.dir)) == 4
