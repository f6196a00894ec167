"""Where a ComfyUI may lie: near the project, where an installer noted it, where people usually put it.

Names of files and folders are facts of comfy-cli, of the portable Windows build and of both Desktop apps.
"""

import configparser
import json
from collections.abc import Iterator
from pathlib import Path

from mcp_e2e.adapters.comfyui.installation import Machine

_UPWARDS = 4  # a custom node's project lies in ComfyUI/custom_nodes/<name>
_PORTABLE = "ComfyUI_windows_portable"
DESKTOP_URL = "http://127.0.0.1:8000"

Place = tuple[str, Path]  # why it is looked at, where


def near(project: Path) -> Iterator[Place]:
    """The project itself, what it lies in, what lies in it and beside it."""
    for folder in (project, *list(project.parents)[:_UPWARDS]):
        yield "near the project", folder
    for folder in (project, project.parent):
        for name in ("ComfyUI", _PORTABLE):
            yield "near the project", folder / name


def noted(machine: Machine) -> Iterator[Place]:
    """Installations that comfy-cli and the Desktop app (2) keep a list of."""
    config = configparser.RawConfigParser()
    try:
        config.read(_settings(machine, "comfy-cli", roaming=False) / "config.ini", "utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        config.clear()
    for key in ("default_workspace", "recent_workspace"):
        if folder := config.defaults().get(key):
            yield f"comfy-cli's {key}", Path(folder)
    installed = _json(_data(machine, "comfyui-desktop-2") / "installations.json")
    for entry in installed if isinstance(installed, list) else []:
        told = entry.get("installPath") if isinstance(entry, dict) else None
        if isinstance(told, str) and told:  # the entry of its cloud has none
            yield "the Desktop app's list", Path(told)


def usual(machine: Machine) -> Iterator[Place]:
    """Where comfy-cli and people put it, below the home folder."""
    documents = ("Documents/comfy/ComfyUI", "Documents/ComfyUI") if machine.system != "linux" else ()
    for name in ("ComfyUI", "comfy/ComfyUI", *documents, _PORTABLE):
        yield "in your home folder", machine.home / name


def desktop_app(machine: Machine) -> Path | None:
    """The folder of user files of the first Desktop app, where it is set up and was not taken over by its successor.

    Such a ComfyUI is started by the app alone, and listens on ``DESKTOP_URL`` unless its settings say otherwise.
    """
    settings = _settings(machine, "ComfyUI", roaming=True)
    config = _json(settings / "config.json")
    told = config.get("basePath") if isinstance(config, dict) else None
    folder = settings / told if isinstance(told, str) and told else None
    if folder is None or not (folder / "user").is_dir() or (folder / ".comfyui-desktop-2").exists():
        return None
    return folder


def _settings(machine: Machine, name: str, *, roaming: bool) -> Path:
    if machine.system == "win32":
        variable, folder = ("APPDATA", "Roaming") if roaming else ("LOCALAPPDATA", "Local")
        return Path(machine.environ.get(variable) or machine.home / "AppData" / folder) / name
    return machine.home / ("Library/Application Support" if machine.system == "darwin" else ".config") / name


def _data(machine: Machine, name: str) -> Path:
    if machine.system == "linux":
        return Path(machine.environ.get("XDG_DATA_HOME") or machine.home / ".local" / "share") / name
    return _settings(machine, name, roaming=True)


def _json(file: Path) -> object:
    try:
        found: object = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return None
    return found
