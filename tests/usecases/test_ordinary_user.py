"""The same walls for a user without any rights: the product as root's neighbour runs it (``setpriv``)."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leftovers import end_leftovers
from tests.usecases.conftest import CONFIG, SERVICE

NOBODY = 65534
PYTHON = f"/usr/bin/python3.{sys.version_info.minor}"  # ours may lie in root's home
ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
import json, os, sys
from pathlib import Path
import anyio
from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive

async def main(project):
    async with open_app(Options(project=project), {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}) as app:
        await app.sessions.start(app.caller)
        (line,) = [line for line in (await app.execs.job(app.caller)).jobs or () if line.state == "running"]
        job = jobs.look(project / ".mcp-e2e/private/jobs", line.job)
        there = [job.process, job.keeper, identity(os.getpid())]
        rage = await app.execs.run(app.caller, argv=["sh", "rage.sh", *(str(each.pid) for each in there)])
        await app.execs.run(app.caller, argv=[sys.executable, "all.py"])
        alive = [is_alive(each) for each in there]
        work = await app.execs.run(app.caller, argv=["bash", "work.sh"])
        await app.sessions.stop(app.caller)
    told = {"uid": os.getuid(), "alive": alive, "level": rage.sandbox["level"].split("+")}
    print(json.dumps(told | {"killed": rage.stdout, "refused": rage.stderr, "work": work.stdout}))

anyio.run(main, Path(sys.argv[1]))
"""
FILES = {
    "driver.py": DRIVER,
    "service.py": SERVICE,
    "rage.sh": 'for pid in "$@"; do kill -9 $pid && echo hit; done\nsleep 60 & kill $! && echo own',
    "all.py": "import os\nos.kill(-1, 9)",
    "work.sh": "set -e\ngit init -q; touch new; mv new renamed; git add renamed\n"
    "git -c user.name=a -c user.email=a@b commit -qm one\n"
    "echo two > renamed; git checkout -q renamed; test ! -s renamed; echo worked\n"
    "for target in state.db jobs/x new; do : 2>/dev/null >> .mcp-e2e/private/$target && echo wrote $target; done\n"
    "rm -rf .mcp-e2e/private/jobs 2>/dev/null || echo kept",
}


def as_nobody(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}", "HOME": "/nonexistent"}
    line = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", PYTHON, *words]
    return subprocess.run(line, env=environ, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A project that nobody owns, where nobody may go."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can become another user; for an ordinary user test_isolation shows the same")
    if shutil.which("setpriv") is None or not os.access(PYTHON, os.X_OK):
        pytest.skip(f"needs setpriv and {PYTHON}")
    folder = Path(tempfile.mkdtemp())
    if as_nobody("-c", "import mcp_e2e, pydantic", cwd=folder).returncode:
        folder.rmdir()
        pytest.skip("no other user may read this installation")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "mcp-e2e.toml").write_text(CONFIG.format(python=PYTHON))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    end_leftovers(folder)
    shutil.rmtree(folder)


def test_an_ordinary_users_command_reaches_nothing_either(folder: Path) -> None:
    """Session, keeper and server survive a kill of each and of all; private/ stays, git and files work."""
    done = as_nobody("driver.py", str(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["uid"] == NOBODY
    assert (told["killed"], told["alive"]) == ("own\n", [True, True, True])
    assert told["refused"].count("not permitted") == 3
    assert told["work"] == "worked\nkept\n"
    assert {"mounts", "landlock"} <= set(told["level"])
