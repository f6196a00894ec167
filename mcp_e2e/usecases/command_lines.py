"""What a caller gives to execute, as words for the kernel and a folder inside the project."""

import shutil
import sys
from pathlib import Path

from mcp_e2e.errors import UsageError


def words(command: str | None, argv: list[str] | None) -> tuple[list[str], str | None]:
    """The words to execute, and the shell that reads ``command``."""
    if (command is None) == (argv is None):
        raise UsageError("give exactly one of command and argv", remedy='For example safe_exec(command="make -j2").')
    if argv is not None:
        if not argv or not argv[0]:
            raise UsageError("argv is empty", remedy='For example safe_exec(argv=["make", "-j2"]).')
        return argv, None
    return _shell(command or "")


if sys.platform == "win32":

    def _shell(command: str) -> tuple[list[str], str]:
        return ["cmd.exe", "/d", "/s", "/c", command], "cmd.exe"

else:

    def _shell(command: str) -> tuple[list[str], str]:
        shell = shutil.which("bash") or "/bin/sh"
        return [shell, "-c", command], shell


def folder_inside(project: Path, cwd: str | None) -> Path:
    """``cwd`` as an absolute folder within the project, links followed.

    Raises:
        UsageError: it lies outside, or is no folder.
    """
    folder = (project / (cwd or ".")).resolve()
    if not folder.is_relative_to(project.resolve()):
        raise UsageError(f"cwd {cwd!r} lies outside the project {project}", remedy="Give a folder inside the project.")
    if not folder.is_dir():
        raise UsageError(f"cwd {cwd!r} is no folder", remedy="Give an existing folder inside the project.")
    return folder
