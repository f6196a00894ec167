"""Which file a program's name means, and its words as the one line that Windows hands over. Pure but for ``is_file``.

Everybody parses that line for himself. Two ways are known: that of the C library, and that of cmd.exe, in which the
first does not hold; so what cmd.exe would not take as it is meant is refused rather than run otherwise.
"""

from __future__ import annotations

import errno
import ntpath
import subprocess

from ..quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BATCH = (".bat", ".cmd")
EXTENSIONS = ".COM;.EXE;.BAT;.CMD"
_SHELL = ["/d", "/s", "/c"]


def found(name: str, cwd: str, env: Mapping[str, str], is_file: Callable[[str], bool]) -> str:
    """The file to execute: by the job's own PATH, and never one that merely lies in the current folder.

    Raises FileNotFoundError.
    """
    extensions = [each.lower() for each in _variable(env, "PATHEXT", EXTENSIONS).split(";") if each]
    if ntpath.dirname(name):
        folders = [cwd]
    else:
        folders = [each.strip('"') for each in _variable(env, "PATH", "").split(";") if each]
    endings = ["", *extensions] if ntpath.splitext(name)[1].lower() in extensions else extensions
    for folder in folders:
        for ending in endings:
            path = ntpath.join(folder, name + ending)
            if ntpath.isabs(path) and is_file(path):
                return ntpath.normpath(path)
    raise FileNotFoundError(errno.ENOENT, "No such program")


def line(argv: Sequence[str], executable: str, env: Mapping[str, str]) -> tuple[str, str]:
    """The file to execute, which is cmd.exe for a batch file, and the line. Raises OSError for what cannot be told."""
    if any("\0" in word for word in argv):
        raise OSError(errno.EINVAL, "an argument holds a NUL")
    if executable.lower().endswith(BATCH):
        return _batch(argv, executable, env)
    if ntpath.basename(executable).lower() == "cmd.exe" and list(argv[1:-1]) == _SHELL:
        return executable, f'"{executable}" /d /s /c "{argv[-1]}"'  # with /s it takes off the outer quotes, no others
    return executable, subprocess.list2cmdline(argv)


def _batch(argv: Sequence[str], executable: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Within quotes cmd.exe leaves all alone but what is refused here; the batch file hands the quotes on."""
    for word in (executable, *argv[1:]):
        bad = sorted({character for character in word if character in '"%\r\n'})
        if bad:
            raise OSError(errno.EINVAL, f"a batch file cannot be given {word!r} safely ({', '.join(map(repr, bad))})")
    words = " ".join(f'"{word}{_backslashes(word)}"' for word in (executable, *argv[1:]))
    shell = ntpath.join(_variable(env, "SYSTEMROOT", r"C:\Windows"), "System32", "cmd.exe")
    return shell, f'"{shell}" /d /s /v:off /c "{words}"'


def _backslashes(word: str) -> str:
    """Those at the end again: before the closing quote one would make it part of the word."""
    return "\\" * (len(word) - len(word.rstrip("\\")))


def _variable(env: Mapping[str, str], name: str, default: str) -> str:
    """Names know no case."""
    return next((value for key, value in env.items() if key.upper() == name), default)
