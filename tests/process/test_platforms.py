"""What is written for systems that this suite does not run on, as far as it can run here: values, and the handover."""

import ctypes
import errno
import json
import ntpath
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import next_step
from mcp_e2e.errors import LaunchError, NotFound
from mcp_e2e.model.calls import Breaker
from mcp_e2e.model.jobs import JobState
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import jobs, keeper, launch_windows, sandbox
from mcp_e2e.process.keeping import files, seatbelt
from mcp_e2e.process.keeping.target import CLIENT_JOB
from mcp_e2e.process.keeping.windows import command_line
from mcp_e2e.process.keeping.windows import structures as api
from mcp_e2e.process.locks import FileLock

posix = pytest.mark.skipif(os.name != "posix", reason="a keeper of this system stands in for that of another")
wide = pytest.mark.skipif(struct.calcsize("P") != 8, reason="the documented sizes are those of 64 bits")


@wide
@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (api.BasicLimits, 64),
        (api.ExtendedLimits, 144),
        (api.IoCounters, 48),
        (api.Accounting, 48),
        (api.FileTime, 8),
        (api.Overlapped, 32),
        (api.ProcessIds, 8 + 8 * api.MOST_PIDS),
    ],
)
def test_a_structure_has_the_size_that_the_kernel_expects(structure: type[ctypes.Structure], size: int) -> None:
    """A call with another one fails, or writes beyond it."""
    assert ctypes.sizeof(structure) == size


@wide
def test_limits_stand_where_the_kernel_reads_them() -> None:
    """Flags at 16, active processes at 40, memory of the whole job at 120."""
    raw = bytes(api.limits(1 << 33, 7, kill_on_close=True))

    assert struct.unpack_from("I", raw, 16) == (0x2000 | 0x200 | 0x8 | 0x400,)
    assert struct.unpack_from("I", raw, 40) == (7,)
    assert struct.unpack_from("Q", raw, 120) == (1 << 33,)


@wide
def test_a_lock_is_taken_at_the_byte_that_is_meant() -> None:
    """Its place stands in two halves, the lower one at 16."""
    assert struct.unpack_from("II", bytes(api.Overlapped(offset=0x7FFF_0000, offset_high=1)), 16) == (0x7FFF_0000, 1)


def test_a_service_outlives_its_keeper_and_is_not_limited() -> None:
    """Without the one flag its job object ends nothing when it is closed."""
    told = api.limits(None, None, kill_on_close=False)

    assert told.basic.flags == api.LIMIT_DIE_ON_UNHANDLED_EXCEPTION


def test_a_time_of_birth_is_one_number() -> None:
    """The two halves are read as one, the upper one first."""
    assert api.FileTime(low=0xFFFF_FFFF, high=0x01DB_0000).ticks == 0x01DB_0000_FFFF_FFFF


def as_read_by_c(line: str) -> list[str]:
    """The words of a line by the rules of the C library, written down here once more."""
    words, word, quoted, at = [], "", False, 0
    begun = False
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        at += slashes
        if slashes and at < len(line) and line[at] == '"':
            word += "\\" * (slashes // 2) + ('"' if slashes % 2 else "")
            at += slashes % 2
            begun = True
        elif slashes:
            word, begun = word + "\\" * slashes, True
        elif line[at] == '"':
            quoted, begun, at = not quoted, True, at + 1
        elif line[at] in " \t" and not quoted:
            words, word, begun, at = words + [word] * begun, "", False, at + 1
        else:
            word, begun, at = word + line[at], True, at + 1
    return words + [word] * begun


@given(st.lists(st.text(alphabet='ab \\"\t', max_size=6), max_size=4))
def test_a_program_reads_the_words_it_was_given(arguments: list[str]) -> None:
    """Spaces, quotes and backslashes at any place."""
    file, line = command_line.line(["tool", *arguments], r"C:\tool.exe", {})

    assert file == r"C:\tool.exe"
    assert as_read_by_c(line) == ["tool", *arguments]


def test_a_command_for_the_shell_is_left_as_it_was_typed() -> None:
    """cmd.exe takes the outer quotes off and knows no backslash before a quote."""
    typed = 'echo "a b" && dir "C:\\x y\\"'

    _, line = command_line.line(["cmd.exe", "/d", "/s", "/c", typed], r"C:\Windows\System32\cmd.exe", {})

    assert line == rf'"C:\Windows\System32\cmd.exe" /d /s /c "{typed}"'


def test_words_for_a_batch_file_are_quoted_for_the_shell_that_reads_it() -> None:
    """Every one, for within quotes its signs mean themselves; a last backslash must not take the quote along."""
    file, line = command_line.line(["npm", "a&b", "x\\"], r"C:\node\npm.cmd", {"SystemRoot": r"D:\Win"})

    assert file == r"D:\Win\System32\cmd.exe"
    assert line == rf'"{file}" /d /s /v:off /c ""C:\node\npm.cmd" "a&b" "x\\""'


@pytest.mark.parametrize("word", ['a"b', "%PATH%", "two\nlines"])
def test_what_the_shell_would_read_otherwise_is_not_given_to_a_batch_file(word: str) -> None:
    """It would run something else; the refusal names the word."""
    with pytest.raises(OSError, match="batch file") as refused:
        command_line.line(["npm", word], r"C:\node\npm.CMD", {})

    assert repr(word) in str(refused.value.strerror)


def test_a_nul_ends_no_line_unseen() -> None:
    """The rest of the words would be lost."""
    with pytest.raises(OSError, match="NUL"):
        command_line.line(["tool", "a\0b"], r"C:\tool.exe", {})


ENV = {"Path": r'"C:\one";C:\two;.;C:\three', "PATHEXT": ".EXE;.CMD"}


@pytest.mark.parametrize(
    ("name", "there", "found"),
    [
        ("tool", {r"C:\two\tool.cmd", r"C:\three\tool.exe"}, r"C:\two\tool.cmd"),
        ("tool", {r"C:\one\tool.cmd", r"C:\one\tool.exe"}, r"C:\one\tool.exe"),
        ("tool.exe", {r"C:\three\tool.exe"}, r"C:\three\tool.exe"),
        ("tool.v2", {r"C:\one\tool.v2", r"C:\two\tool.v2.exe"}, r"C:\two\tool.v2.exe"),
        (r".\tool", {r"C:\job\tool.exe"}, r"C:\job\tool.exe"),
        (r"D:\x\tool.exe", {r"D:\x\tool.exe"}, r"D:\x\tool.exe"),
    ],
)
def test_a_program_is_found_by_the_jobs_own_path(name: str, there: set[str], found: str) -> None:
    """In the order of folders, then of endings; names of variables know no case."""
    assert command_line.found(name, r"C:\job", ENV, lambda path: ntpath.normpath(path) in there) == found


@pytest.mark.parametrize("there", [set(), {r"C:\job\tool.exe"}])
def test_a_program_that_only_lies_in_the_current_folder_is_not_found(there: set[str]) -> None:
    """Else a file in the project could stand in for a system's program."""
    with pytest.raises(FileNotFoundError) as missing:
        command_line.found("tool", r"C:\job", ENV, lambda path: ntpath.normpath(ntpath.join(r"C:\job", path)) in there)

    assert missing.value.errno == errno.ENOENT


STAND_IN = """
import os, sys
sys.path.append(sys.argv[1])
from keeping import files, handshake, owning
from keeping.job import Keeper
from keeping.system import Events

def work():
    env = handshake.environment()
    if "--dies" in sys.argv:
        os._exit(3)
    lock = owning.own()
    handshake.keep(lambda: Keeper(files.read("spec.json"), env, Events()))
    os.close(lock)

handshake.answered(work)
"""


@pytest.fixture
def standing_in() -> Iterator[Callable[..., launch_windows.Popen]]:
    """Keepers of this system that come to their job as those on Windows do; all have ended after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def of(*how: str) -> launch_windows.Popen:
        def popen(_command: list[str], *, creationflags: int, **more: Any) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-I", "-S", "-c", STAND_IN, str(Path(keeper.__file__).parent), *how]
            started.append(subprocess.Popen(command, **more))
            return started[-1]

        return popen

    yield of
    for each in started:
        each.wait(20)


@posix
async def test_a_keeper_that_takes_the_lock_itself_runs_its_job(room, standing_in) -> None:
    """The launcher has its answer while the keeper lives on, and the job is locked as long."""
    spec = room.spec("sh", "-c", "read line < go; echo $line")
    os.mkfifo(room.cwd / "go")

    answer = launch_windows.launched(room.dir, spec, standing_in())

    assert answer == {"ok": True}
    assert jobs.look(room.dir, spec.id).state is JobState.RUNNING
    assert FileLock.is_held(room.dir / spec.id / "lock")
    (room.cwd / "go").write_text("went\n")
    ended = await room.end(jobs.look(room.dir, spec.id))
    assert (ended.exit.exit_code, ended.exit.stdout.head) == (0, "went\n")


@posix
async def test_nobody_sees_a_job_before_its_keeper_has_the_lock(room, standing_in) -> None:
    """Else it would look as if it had never been started."""
    spec = room.spec("true")
    seen = []

    def popen(*args: object, **more: object) -> "subprocess.Popen[bytes]":
        with pytest.raises(NotFound):
            jobs.look(room.dir, spec.id)
        seen.append(jobs.list_jobs(room.dir))
        return standing_in()(*args, **more)

    assert launch_windows.launched(room.dir, spec, popen) == {"ok": True}
    assert seen == [[]]


@posix
async def test_a_job_whose_keeper_died_before_is_shown_as_never_started(room, standing_in) -> None:
    """By its launcher, so that whoever has its id finds it."""
    spec = room.spec("true")

    assert launch_windows.launched(room.dir, spec, standing_in("--dies")) == {}
    assert jobs.look(room.dir, spec.id).state is JobState.NEVER_STARTED


async def test_a_second_launcher_of_the_same_id_is_refused(room) -> None:
    """Making the folder succeeds once."""
    spec = room.spec("true")
    launch_windows.prepare(room.dir, spec)

    with pytest.raises(LaunchError, match="exists already"):
        launch_windows.prepare(room.dir, spec)
    assert json.loads((room.dir / spec.id / files.UNSEEN_SPEC).read_text())["id"] == spec.id


@posix
@pytest.mark.parametrize(("before", "error"), [("lock", "locked"), ("state.json", "used"), ("exit.json", "used")])
async def test_a_second_keeper_of_the_same_folder_runs_nothing(room, standing_in, before: str, error: str) -> None:
    """It finds the lock held, or the files of a job that has run; the launcher shows the job all the same."""
    spec = room.spec("touch", str(room.cwd / "ran"))
    lock = FileLock(room.dir / spec.id / "lock")

    def popen(*args: object, **more: object) -> "subprocess.Popen[bytes]":
        if before == "lock":
            assert lock.try_acquire()
        else:
            (room.dir / spec.id / before).write_text("{}")
        return standing_in()(*args, **more)

    answer = launch_windows.launched(room.dir, spec, popen)

    lock.release()
    assert answer["error"] == error
    assert not (room.cwd / "ran").exists()


def test_a_client_that_lets_nothing_go_gets_a_keeper_within_its_job(tmp_path: Path) -> None:
    """Without the flag that was refused, and the keeper is told."""
    tries = []

    def popen(command: list[str], *, creationflags: int, **_: object) -> "subprocess.Popen[bytes]":
        tries.append((command[3:], creationflags))
        if creationflags & api.CREATE_BREAKAWAY_FROM_JOB:
            raise PermissionError(errno.EACCES, "Access is denied")
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        launch_windows.start(tmp_path, 2, popen)

    folder = [str(Path(keeper.__file__)), str(tmp_path)]
    assert tries == [(folder, 0x0900_0200), ([*folder, "--no-breakaway"], 0x0800_0200)]


def test_a_session_in_a_clients_job_says_that_it_ends_with_it() -> None:
    """It is told among the layers and is none."""
    layers = ("seccomp", CLIENT_JOB)
    session = Session("svc", "command", SessionState.READY, "ready", 1, ends_with_client=True)

    assert sandbox.ends_with_client(layers)
    assert not sandbox.ends_with_client(("seccomp",))
    assert sandbox.level(layers).level == "process+seccomp"
    assert "will not outlive this client" in next_step.after_session(session, Breaker())


def test_a_profile_names_its_folders_as_the_kernel_does(tmp_path: Path) -> None:
    """By their real paths, and with quotes and backslashes as the language wants them."""
    real = tmp_path / 'a "quoted" \\ name'
    real.mkdir()
    (tmp_path / "link").symlink_to(real)

    text = seatbelt.profile([str(tmp_path / "link")], signals=True)

    escaped = str(tmp_path.resolve()) + '/a \\"quoted\\" \\\\ name'
    assert text.splitlines() == [
        "(version 1)",
        "(allow default)",
        f'(deny file-write* (subpath "{escaped}"))',
        "(deny signal)",
        "(allow signal (target self))",
        "(allow signal (target same-sandbox))",
    ]


@given(st.lists(st.text(alphabet='a/"\\() ;', min_size=1, max_size=8), max_size=3))
def test_no_path_adds_a_rule_to_a_profile(paths: list[str]) -> None:
    """Outside of strings there are as many rules as folders, and three lines of ours."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "S", seatbelt.profile(paths, signals=False), flags=re.DOTALL)

    assert text == "(version 1)\n(allow default)\n" + "(deny file-write* (subpath S))\n" * len(paths)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has Seatbelt")
def test_where_there_is_no_seatbelt_its_layers_say_so() -> None:
    """They raise as a layer does that cannot be applied, and confine nothing."""
    for layer in seatbelt.LAYERS.values():
        with pytest.raises(OSError, match="no Seatbelt"):
            layer({"read_only": []})


def test_who_may_end_a_service_keeps_the_rest_of_a_layer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On macOS files stay protected; only the rule about signals goes."""
    monkeypatch.setattr(sandbox, "_KNOWN", ("seatbelt",))
    monkeypatch.setattr(sandbox, "_tried", lambda *_: {"seatbelt": None, "seatbelt-files": None})

    assert sandbox.confinement("auto", tmp_path).layers == ("seatbelt",)
    assert sandbox.confinement("auto", tmp_path, may_signal_service=True).layers == ("seatbelt-files",)
