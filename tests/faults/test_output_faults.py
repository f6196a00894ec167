"""Faults 26 to 31: floods, bytes that are no text, secrets, and logs that are cut, removed or emptied."""

import json
import re
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.model.answers import JobAnswer
from mcp_e2e.model.jobs import JobState, RestartPolicy
from mcp_e2e.process import jobs, output
from mcp_e2e.process.identity import send_signal
from tests.usecases.conftest import Servers

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs holes in files")
GB = 1_000_000_000
MIB = 1 << 20
CAP, RING = 64 * MIB, 64 << 10
SECRET = "correct-horse-battery-staple"
TOKEN = "ghp_" + "a1B2c3" * 6


async def flooded(room, code):
    """The job that printed it all, when it has ended, and the most memory its keeper ever had."""
    job = await room.python(f"import sys\nw = sys.stdout.buffer.write\n{code}")
    peak = 0
    while room.look(job).live:
        peak = max(peak, memory_kib(job.keeper.pid))
        await jobs.wait(room.dir, job.id, 0.05)
    return room.look(job), peak


def memory_kib(pid):
    """The most the process ever had in memory; 0 where the system does not say, or no longer."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


async def test_fault_26_a_gigabyte_of_lines_is_counted_exactly_and_bounded(room):
    """The log has its first 64 MiB and its last lines, the record says how much is missing, memory stays flat."""
    wide, many = 512, GB // 512
    block = f"b''.join(b'%0{wide - 1}d\\n' % n for n in range(at, at + 3_125))"
    job, peak = await flooded(room, f"for at in range(0, {many}, 3_125): w({block})")
    assert (job.exit.exit_code, job.exit.stdout.bytes) == (0, GB)
    assert job.exit.log_dropped == GB - CAP - RING
    assert job.exit.stdout.tail.endswith(f"{many - 1:0511d}\n")
    log = job.log.read_bytes()
    gap = f"\n[mcp_e2e: {job.exit.log_dropped} bytes of output omitted here]\n".encode()
    assert log[CAP : CAP + len(gap)] == gap
    kept = [int(line) for part in (log[:CAP], log[CAP + len(gap) :]) for line in part.split()]
    assert kept == [*range(CAP // wide), *range(many - RING // wide, many)]
    assert peak < 25_000, peak


async def test_fault_27_a_gigabyte_without_a_line_end_is_counted_exactly_and_bounded(room):
    """One single line: the log stays at its cap, head and tail and sizes are right, memory stays flat."""
    flood = f"for _ in range({GB} // 100_000): w(b'x' * 100_000)"
    job, peak = await flooded(room, f"w(b'BEGIN')\n{flood}\nw(b'END')")
    end = job.exit
    assert end.stdout.bytes == GB + 8
    assert end.stdout.head.startswith("BEGINxx")
    assert end.stdout.tail.endswith("xxEND")
    assert end.stdout.omitted == GB + 8 - len(end.stdout.head) - len(end.stdout.tail)
    assert CAP < job.log.stat().st_size < CAP + 2 * RING
    assert end.log_dropped == GB + 8 - CAP - RING
    with job.log.open("rb") as log:
        log.seek(-2, 2)
        assert log.read() == b"ND"
    assert peak < 25_000, peak


RAW = b"bad \xff\xfe utf\n nul \0 here\n\x1b[1;31mred\x1b[0m \x1b]0;title\x07\n10%\r50%\r100%\ncut \xe2\x9c"


async def test_fault_28_bytes_that_are_no_text_stay_raw_on_disk_and_are_valid_json_in_answers(
    server: Servers, project: Path
) -> None:
    """No control character reaches the model; nothing of what was printed is lost."""
    (project / "raw").write_bytes(RAW)
    async with server() as app:
        done = await app.execs.run(app.caller, argv=["cat", "raw"])
        seen = await app.execs.job(app.caller, action="output", id=done.job, offset=0)

    shown = "bad \ufffd\ufffd utf\n nul  here\nred \n100%\ncut "
    assert (done.stdout, seen.output) == (shown + "\ufffd", shown)
    for answer in (done, seen):
        text = answer.model_dump_json()
        assert re.search(r"[\x00-\x1f\x7f]|\\u00[01]|\\r", text) is None
        assert "red" in json.loads(text.encode())["stdout" if answer is done else "output"]
    assert done.log is not None
    assert Path(done.log).read_bytes() == RAW


async def test_fault_29_a_secret_across_slices_is_in_no_answer(server: Servers, project: Path) -> None:
    """By cursor, by pattern, as a resource; also of a variable that every command is allowed to see."""
    config = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(f'{config}\n[exec]\nenv_allow = ["PATH", "DEPLOY_TOKEN"]\n')
    script = f"fill() {{ printf '%0*d' $1 0; }}; fill 6130; printf ' %s ' $DEPLOY_TOKEN; fill 6117; echo ' {TOKEN} fin'"
    async with server(DEPLOY_TOKEN=SECRET, stops=False) as app:
        answer = await app.execs.run(app.caller, command=script)

        async def look(**how: object) -> JobAnswer:
            return await app.execs.job(app.caller, action="output", id=answer.job, **how)  # type: ignore[arg-type]

        slices = [await look(offset=at) for at in (0, 6144, 12_288)]
        assert [one.output for one in slices] == ["0" * 6130 + " ***", f"*** {'0' * 6117} ***", "*** fin\n"]
        assert [one.next_offset for one in slices[:2]] == [6144, 12_288]
        assert (await look(grep="fin|correct")).lines == ["12288: *** fin"]
        assert (await look(grep=SECRET[:8])).lines == (await look(grep=TOKEN[:8])).lines == []
        assert (await app.views.job_log(answer.job)).endswith("0 *** fin\n")
        told = str(answer) + (await app.views.job_log(answer.job))
        assert {SECRET[:6] in told, SECRET[-6:] in told, TOKEN[:8] in told, TOKEN[-6:] in told} == {False}
        assert app._place.masked(SECRET) == app._place.masked("hunter22", {"PASSWORD": "hunter22"}) == "***"


FLOOD = """
import os
for at in range(0, 6_000_000, 4_000):
    os.write(1, b"".join(b"%015d\\n" % n for n in range(at, at + 4_000)))
    if os.path.exists("enough"):
        break
os.rename("flooding", "over")
os.execvp("sleep", ["sleep", "60"])
"""


@LINUX
async def test_fault_30_a_log_cut_at_its_front_during_a_flood_loses_no_line_of_its_end(room):
    """While it is written its oldest part becomes a hole; each offset stays, and what is kept is whole."""
    keep, flooding = 2 * MIB, room.cwd / "flooding"
    flooding.touch()
    job = await room.service(sys.executable, "-S", "-c", FLOOD, log_keep_bytes=keep, idle_stop_s=0.1)
    await room.until(lambda: job.log.exists() and job.log.stat().st_size > keep)
    seen = 0
    while flooding.exists() and seen < 20:
        cut, at = on_disk(job.log) < job.log.stat().st_size, (job.log.stat().st_size - MIB) // 16 * 16
        text, after = output.read_slice(job.log, at, 16 * 100)
        if job.log.stat().st_size - keep <= at:  # else so much came meanwhile that it may have been given up
            assert text == "".join(f"{n:015d}\n" for n in range(at // 16, after // 16))
            seen += cut
        await anyio.sleep(0.001)
    assert seen, "it was never cut while it was written"
    (room.cwd / "enough").touch()
    await room.until(lambda: not flooding.exists())
    size = job.log.stat().st_size
    await room.until(lambda: on_disk(job.log) < keep + MIB)
    begin = output.slice_at(job.log, 0, 16).begin
    assert size - keep - MIB < begin <= size - keep
    with job.log.open("rb") as log:
        log.seek(begin)
        assert log.read() == b"".join(b"%015d\n" % n for n in range(size // 16))[begin:]
    found = output.grep(job.log, f"{size // 16 - 1:015d}", 5).found
    assert [match.offset for match in found] == [size - 16]


def on_disk(log):
    return log.stat().st_blocks * 512


async def test_fault_31_a_log_that_was_removed_or_emptied_says_so_and_goes_on(room):
    """The marker tells whoever reads why something is missing; the next life writes into the new file."""
    code = "echo up; until test -e go; do sleep 0.02; done; echo after; exec sleep 60"
    quick = RestartPolicy("on-failure", backoff_first_s=0.05)
    job = await room.service("sh", "-c", code, restart=quick, idle_stop_s=0.2)
    await room.line(job)
    job.log.unlink()
    assert "removed from outside" in await room.line(job)
    job.log.write_bytes(b"")
    await room.until(lambda: "truncated from outside" in job.log.read_text())
    assert room.look(job).process == job.process
    send_signal(job.process, signal.SIGKILL)
    assert await room.line(job, 1) == "up"
    (room.cwd / "go").touch()
    assert await room.line(job, 2) == "after"
    assert (room.look(job).state, room.look(job).generation) == (JobState.RUNNING, 2)
