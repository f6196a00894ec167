"""What a command line tells of a ComfyUI: program, folders, flags; when two are one, and what two would share."""

import sys
from pathlib import Path

import pytest

from mcp_e2e.adapters.comfyui.command_line import (
    CommandLine,
    command_line,
    differences,
    output_folder,
    shared,
    why_another,
)


def line(cwd: Path, *argv: str, program: str = sys.executable) -> CommandLine:
    found = command_line([program, *argv], cwd, None)
    assert found is not None
    return found


def test_folders_are_those_that_comfyui_would_use(tmp_path: Path) -> None:
    """Beside the code unless a flag says otherwise; relative ones from where it is started."""
    plain = line(tmp_path, "app/main.py", "--cpu")
    assert (plain.script, plain.base) == (tmp_path / "app/main.py", tmp_path / "app")
    assert (plain.outputs, plain.temp) == (tmp_path / "app/output", tmp_path / "app/temp")
    assert plain.database == f"sqlite:///{tmp_path}/app/user/comfyui.db"
    based = line(tmp_path, "app/main.py", "--base-directory", "b", "--output-directory=o", "--temp-directory", "t")
    assert (based.base, based.outputs, based.temp) == (tmp_path / "b", tmp_path / "o", tmp_path / "t/temp")
    assert based.database == plain.database


@pytest.mark.parametrize("argv", [["run.sh", "8188"], ["main.py"], ["no-such-program-here", "main.py"], []])
def test_what_is_no_comfyui_command_tells_nothing(tmp_path: Path, argv: list[str]) -> None:
    """A wrapper, a script without an interpreter, a program that is not there."""
    assert command_line(argv, tmp_path, "/usr/bin:/bin") is None


def test_program_folder_and_base_have_to_agree(tmp_path: Path) -> None:
    """Links are followed, but an interpreter counts with the folder it lies in."""
    (tmp_path / "app").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "app")
    real = line(tmp_path / "app", "main.py", "--port", "1")
    assert why_another(real, line(tmp_path / "link", "main.py", "--lowvram")) is None
    assert "it runs" in (why_another(real, line(tmp_path / "app", "other/main.py")) or "")
    assert "it was started in" in (why_another(real, line(tmp_path, "app/main.py")) or "")
    assert "its base directory is" in (
        why_another(real, line(tmp_path / "app", "main.py", "--base-directory", "x")) or ""
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python").symlink_to(Path(sys.executable).resolve())
    one, two = (line(tmp_path / "app", "main.py", program=str(tmp_path / name / "python")) for name in ("one", "two"))
    assert "its interpreter is" in (why_another(one, two) or "")


def test_differences_are_told_as_the_running_one_has_them(tmp_path: Path) -> None:
    """Order and way of writing are no difference, nor is the port, which is the same one."""
    wanted = line(tmp_path, "main.py", "--port", "8188", "--cpu", "--output-directory", "o", "--preview-method", "auto")
    same = line(tmp_path, "main.py", f"--output-directory={tmp_path}/o", "--preview-method=auto", "--cpu")
    assert differences(wanted, same) == ()
    other = line(tmp_path, "main.py", "--lowvram", "--output-directory", "o", "--preview-method", "none")
    assert differences(wanted, other) == (
        "no --cpu, configured: --cpu",
        "--lowvram, configured: no --lowvram",
        "--preview-method none, configured: --preview-method auto",
    )


def test_what_two_would_both_write_to_has_a_flag_each(tmp_path: Path) -> None:
    """Output, temp and database of one folder; nothing where each has its own."""
    one = line(tmp_path, "main.py")
    assert list(shared(one, one).values()) == ["--output-directory", "--base-directory", "--database-url"]
    own = line(tmp_path, "main.py", "--base-directory", "b", "--database-url", "sqlite:///b/c.db")
    assert shared(one, own) == {}
    temp = line(
        tmp_path, "main.py", "--base-directory", "c", "--temp-directory", ".", "--database-url", "sqlite:///:memory:"
    )
    assert list(shared(one, temp).values()) == ["--temp-directory"]
    assert ":memory:" not in str(shared(temp, temp))


@pytest.mark.parametrize(
    ("argv", "folder"),
    [
        (["main.py"], "/comfy/output"),
        (["app/main.py", "--cpu"], "/comfy/app/output"),
        (["/opt/comfy/main.py"], "/opt/comfy/output"),
        (["main.py", "--base-directory", "/data"], "/data/output"),
        (["main.py", "--base-directory=data", "--port", "1"], "/comfy/data/output"),
        (["main.py", "--output-directory", "/out", "--base-directory", "/data"], "/out"),
        (["main.py", "--output-directory=out"], "/comfy/out"),
        (["main.py", "--output-dir", "/out"], "/out"),
        (["main.py", "--out", "/first", "--out", "/last"], "/last"),
        (["main.py", "--output-directory"], "/comfy/output"),
        (["main.py", "", "x", "--", "y"], "/comfy/output"),
    ],
)
def test_the_output_folder_is_read_from_the_servers_flags(argv: list[str], folder: str) -> None:
    """The chosen one, else the base directory's, else the one beside its program."""
    assert output_folder(argv, Path("/comfy")) == Path(folder)
    assert line(Path("/comfy"), *argv).outputs == Path(folder)


def test_a_linked_script_writes_beside_the_real_one(tmp_path: Path) -> None:
    """So does Python find the modules of a linked script."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").touch()
    (tmp_path / "main.py").symlink_to(tmp_path / "app/main.py")
    assert output_folder(["main.py"], tmp_path) == tmp_path / "app/output"
