"""Faults 55 and 56: folders that lead elsewhere by the time they are used, and layers that cannot be had."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import LaunchError, Unsupported, UsageError
from mcp_e2e.model.jobs import Confinement
from mcp_e2e.process import jobs, sandbox
from tests.usecases.conftest import Servers

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")


def needs_mounts() -> None:
    """Skip where this user cannot have a view of the file system of its own, as ``unshare`` tells."""
    how = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if subprocess.run([*how, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces for this user here")


@pytest.mark.parametrize("cwd", ["..", "inner/../..", "/", "link", "link/deeper", "missing"])
async def test_fault_55_a_folder_outside_of_the_project_is_refused(server: Servers, project: Path, cwd: str) -> None:
    """By two dots, by its name or through a link; nothing runs."""
    outside = project.parent / f"{project.name}-outside"
    (outside / "deeper").mkdir(parents=True)
    (project / "inner").mkdir()
    (project / "link").symlink_to(outside)
    async with server() as app:
        with pytest.raises(UsageError, match="cwd"):
            await app.execs.run(app.caller, command="touch ran", cwd=cwd)

    assert [path for path in (project, outside, outside / "deeper", project.parent) if (path / "ran").exists()] == []


async def test_fault_55_a_folder_that_is_swapped_for_a_link_after_the_check_is_not_entered(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked as a folder of the project leads out of it when the keeper comes to enter it."""
    outside = project.parent / f"{project.name}-outside"
    outside.mkdir()
    (project / "inside" / "deeper").mkdir(parents=True)
    (outside / "deeper").mkdir()
    launch = jobs.launch

    async def swapped(*arguments, **how):
        (project / "inside").rename(project / "moved")
        (project / "inside").symlink_to(outside)
        return await launch(*arguments, **how)

    monkeypatch.setattr(jobs, "launch", swapped)
    async with server() as app:
        with pytest.raises(LaunchError, match="through a link"):
            await app.execs.run(app.caller, command="touch ran", cwd="inside/deeper")
    assert list(outside.rglob("ran")) == list(project.rglob("ran")) == []


@LINUX
async def test_fault_55_nothing_is_written_through_a_link_into_the_private_state(
    server: Servers, project: Path
) -> None:
    """A link to the folder, to a file or made of two dots, hard or soft: the kernel refuses, whatever it is called."""
    needs_mounts()
    (project / "write.sh").write_text(
        "ln -s .mcp-e2e/private way; ln -s .mcp-e2e/private/state.db file; ln .mcp-e2e/private/state.db hard\n"
        "for target in way/new file hard way/../private/leases/new /proc/self/cwd/way/new; do\n"
        "    test $target = hard -a ! -e hard || { echo x >> $target && echo wrote $target; }\ndone\necho tried"
    )
    private = project / ".mcp-e2e/private"
    async with server() as app:
        await app.status.show(app.caller)
        done = await app.execs.run(app.caller, argv=["sh", "write.sh"])
        assert done.stdout == "tried\n", done
        assert (await app.execs.run(app.caller, command="echo on")).stdout == "on\n"
    assert list(private.rglob("new")) == []


@LINUX
async def test_fault_56_a_layer_that_cannot_be_applied_is_told_or_ends_the_launch(room):
    """Where the best is wanted the command runs without it and says so; where all is required nothing runs."""
    nowhere = Confinement(("mounts",), (room.cwd / "nowhere",))
    job = await room.end(await room.command("touch", "ran", confinement=nowhere))
    assert (job.exit.exit_code, job.layers) == (0, ())
    (room.cwd / "ran").unlink()
    with pytest.raises(LaunchError, match="mounts cannot be applied"):
        await room.command("touch", "ran", confinement=replace(nowhere, required=True))
    assert not (room.cwd / "ran").exists()


async def test_fault_56_required_refuses_rather_than_weakens(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without one of the layers: nothing runs, and the layer and its reason are named."""
    monkeypatch.setattr(sandbox, "tried", lambda private: {"mounts": None, "landlock": "too old"})
    async with server(MCP_E2E_EXEC_SANDBOX="required") as app:
        with pytest.raises(Unsupported, match="landlock: too old"):
            await app.execs.run(app.caller, command="touch ran")
    assert not (project / "ran").exists()


WITHOUT_MOUNTS = """
import os, sys
from pathlib import Path
import anyio
from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.errors import Unsupported
from mcp_e2e.process.keeping import layers
assert layers.apply(("mounts",), {"read_only": []}) == {}

async def main():
    async with open_app(Options(project=Path(sys.argv[1])), os.environ, client_name="inner") as app:
        try:
            done = await app.execs.run(app.caller, command="touch ran")
            print(done.model_dump_json())
        except Unsupported as error:
            print(error.message)

anyio.run(main)
"""


@LINUX
@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="only root loses the power to mount for good")
async def test_fault_56_where_the_power_to_mount_is_gone_the_level_says_so_or_nothing_runs(project: Path) -> None:
    """A server in a container without that power, for real: ``auto`` names what is left, ``required`` refuses."""
    needs_mounts()
    env = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    command = [sys.executable, "-c", WITHOUT_MOUNTS, str(project)]
    told = (await anyio.run_process(command, env=env | {"MCP_E2E_EXEC_SANDBOX": "required"}, stderr=None)).stdout
    assert b'sandbox = "required"' in told
    assert b"mounts: unshare" in told
    assert not (project / "ran").exists()
    done = json.loads((await anyio.run_process(command, env=env, stderr=None)).stdout)
    assert (done["exit_code"], (project / "ran").exists()) == (0, True)
    assert "mounts" not in done["sandbox"]["level"]
    assert not any("state folder" in what for what in done["sandbox"]["blocked"])
