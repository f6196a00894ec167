"""Tells a ComfyUI by what its folder holds, never by its name, and which interpreters may be its own."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MARKS = ("main.py", "nodes.py", "comfyui_version.py", "comfy")
_EMBEDDED = "python_embeded"  # so it is spelt
_VERSION = re.compile(r"""__version__\s*=\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Machine:
    """What one machine looks like to its user. ``system`` is spelt as ``sys.platform``."""

    system: str
    home: Path
    environ: Mapping[str, str]

    def python_in(self, env: Path) -> Path | None:
        """The interpreter of the virtual or conda environment ``env``; None when it is none."""
        names = ("Scripts/python.exe", "python.exe") if self.system == "win32" else ("bin/python", "bin/python3")
        return next((env / name for name in names if _is_file(env / name)), None)


@dataclass(frozen=True)
class Interpreter:
    """A program that may run a ComfyUI, the options it takes before ``main.py``, and whose it is."""

    path: Path
    whose: str
    options: tuple[str, ...] = ()


def missing_marks(folder: Path) -> list[str]:
    """What ``folder`` lacks to be a ComfyUI; empty when it is one."""
    return [mark for mark in MARKS if not _exists(folder / mark)]


def root_of(folder: Path) -> Path | None:
    """The folder with ``main.py`` for what a person calls their ComfyUI: itself, its ``main.py``, what holds it."""
    places = (folder.parent,) if folder.name == "main.py" else (folder, folder / "ComfyUI")
    return next((Path(os.path.normpath(place.absolute())) for place in places if not missing_marks(place)), None)


def version_of(root: Path) -> str | None:
    try:
        found = _VERSION.search((root / "comfyui_version.py").read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def is_embedded(interpreter: Interpreter) -> bool:
    """The one that comes with the portable Windows build."""
    return interpreter.path.parent.name == _EMBEDDED


def belongs_to_app(root: Path) -> bool:
    """The code inside an installed Desktop app, which is started by the app alone."""
    return root.parent.name.casefold() == "resources"


def interpreters(root: Path, machine: Machine) -> Iterator[Interpreter]:
    """Those that may run the ComfyUI at ``root``, the likeliest first; each exists, none was tried."""
    if _is_file(embedded := root.parent / _EMBEDDED / "python.exe"):
        yield Interpreter(embedded, "the portable build's", ("-s",))
    for folder, where in ((root, "in it"), (root.parent, "beside it")):
        for name in (".venv", "venv", "env"):
            if found := machine.python_in(folder / name):
                yield Interpreter(found, f"{name} {where}")
    if found := machine.python_in(root.parent / "standalone-env"):
        yield Interpreter(found, "standalone-env beside it")
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if (env := machine.environ.get(variable)) and (found := machine.python_in(Path(env))):
            yield Interpreter(found.absolute(), variable)
    yield from _conda(machine)
    yield from _on_path(machine)


def _conda(machine: Machine) -> Iterator[Interpreter]:
    """conda notes all of its environments in one file; one that is named for ComfyUI is a candidate."""
    try:
        lines = (machine.home / ".conda" / "environments.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for env in map(Path, filter(None, map(str.strip, lines))):
        if "comfy" in env.name.casefold() and (found := machine.python_in(env)):
            yield Interpreter(found, f"conda's environment {env.name}")


def _on_path(machine: Machine) -> Iterator[Interpreter]:
    windows = machine.system == "win32"
    for folder in filter(None, machine.environ.get("PATH", "").split(";" if windows else ":")):
        for name in ("python.exe",) if windows else ("python3", "python"):
            if _is_file(found := Path(folder) / name):
                yield Interpreter(found.absolute(), "PATH")


def requirements(root: Path) -> list[str]:
    """Names of the distributions that ``requirements.txt`` asks for on every system."""
    try:
        lines = (root / "requirements.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    names = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines if ";" not in line)
    return [name[0] for name in names if name]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
