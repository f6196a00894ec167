"""Finds ComfyUI: what a person named, what runs, what lies near, what installers noted; says where it looked."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.adapters.comfyui import installation, places, running
from mcp_e2e.adapters.comfyui.installation import Machine
from mcp_e2e.adapters.comfyui.places import DESKTOP_URL, Place
from mcp_e2e.adapters.comfyui.running import Running
from mcp_e2e.errors import ServiceUnavailable, UsageError
from mcp_e2e.settings.discover import expanded
from mcp_e2e.settings.services import wrong_url

_HOST_PORT = re.compile(r"[\w.-]{2,}:\d+")  # longer than the letter of a drive


@dataclass(frozen=True)
class Found:
    """A ComfyUI to start, with the folder ``root`` of its ``main.py``, or one to attach to, with ``url`` alone.

    ``how`` says where it was found, ``running`` what of it runs now.
    """

    how: str
    root: Path | None = None
    running: Running | None = None
    url: str = ""

    def __str__(self) -> str:
        if self.root is None:
            version = (
                f"ComfyUI {self.running.version}" if self.running else "the Desktop app's ComfyUI, not running now"
            )
            return f"{version} at {self.url}"
        at = f", running at {self.running.url}" if self.running else ""
        return f"ComfyUI {installation.version_of(self.root) or 'of unknown version'} in {self.root}{at}"


@dataclass(frozen=True)
class Findings:
    """``found``: the most trusted first. ``looks``: each place that was looked at, and what was there."""

    found: tuple[Found, ...]
    looks: tuple[tuple[str, str], ...]
    runs: tuple[Running, ...]


async def find(
    machine: Machine,
    project: Path,
    cwd: Path,
    named: str | None,
    runs: Sequence[Running],
    tell: Callable[[str], None],
) -> Findings:
    """``named``: what a person says is theirs, a path (from ``cwd``) or an address; nothing else is looked at then.

    ``COMFYUI_PATH`` and ``COMFYUI_URL`` name one too, and others are looked for besides. ``runs``: what runs on this
    machine now.

    Raises:
        UsageError: no ComfyUI lies at the named path, or the address is none.
        ServiceUnavailable: none answers at the named address.
    """
    real = sorted((run for run in runs if not run.simulated), key=lambda run: bool(run.process and run.process.marked))
    looks: list[tuple[str, str]] = []
    found: list[Found] = []

    def looked(where: str, these: Iterable[Found], otherwise: str) -> None:
        new = list(these)
        found.extend(new)
        looks.append((where, "; ".join(map(str, new)) or otherwise))
        tell(f"{where}: {looks[-1][1]}")

    if named is not None:
        looked("--comfyui", [await _named(named, cwd, real)], "")
        return Findings(tuple(found), tuple(looks), tuple(real))
    if path := machine.environ.get("COMFYUI_PATH"):
        looked("COMFYUI_PATH", [_at_path("COMFYUI_PATH", path, cwd, real)], "")
    if address := machine.environ.get("COMFYUI_URL"):
        try:
            looked("COMFYUI_URL", [await _at_address("COMFYUI_URL", address)], "")
        except ServiceUnavailable as error:
            if not found:  # another one would be taken in its stead
                raise
            looked("COMFYUI_URL", [], error.message)
    looked("running", map(_of, real), _nothing_runs(runs))
    for why, these in _grouped([*places.near(project), *places.noted(machine), *places.usual(machine)]):
        looked(why, _distinct(each for place in these for each in _in(place, real)), _nowhere(these))
    if places.desktop_app(machine) and not any(_is_app(run) for run in real):
        looked("the Desktop app", [Found("the Desktop app's settings", url=DESKTOP_URL)], "")
    return Findings(tuple(_distinct(found)), tuple(looks), tuple(real))


async def _named(named: str, cwd: Path, runs: Iterable[Running]) -> Found:
    if "://" in named or _HOST_PORT.fullmatch(named):
        return await _at_address("--comfyui", named)
    return _at_path("--comfyui", named, cwd, runs)


async def _at_address(who: str, address: str) -> Found:
    """``who`` names it: a flag or a variable. The address itself may hold a secret, and is told only once it is fit."""
    url = (address if "://" in address else f"http://{address}").rstrip("/")
    if wrong := wrong_url(url):
        raise UsageError(f"{who} {wrong}", remedy="Write it like http://127.0.0.1:8188.")
    there, what = await running.at(url)
    if there is None:
        raise ServiceUnavailable(f"no ComfyUI answers at {url} of {who}: {what}", remedy=f"Start it, or correct {who}.")
    return Found(who, running=there, url=url)


def _at_path(who: str, path: str, cwd: Path, runs: Iterable[Running]) -> Found:
    folder = cwd / expanded(path)
    these = list(_in((who, folder), runs))
    if not these:
        is_folder = folder.is_dir()
        lacks = f"it lacks {', '.join(installation.missing_marks(folder))}" if is_folder else "it is no folder"
        raise UsageError(
            f"{folder} of {who} is no ComfyUI: {lacks}",
            remedy="Name the folder with ComfyUI's main.py in it, or the address of a running one"
            " (--comfyui, COMFYUI_URL).",
        )
    return these[0]


def _in(place: Place, runs: Iterable[Running]) -> Iterator[Found]:
    """The ComfyUI in a folder, if there is one, with what of it runs."""
    why, folder = place
    root = installation.root_of(folder)
    if root is None:
        return
    run = next((run for run in runs if run.process and run.process.root.resolve() == root.resolve()), None)
    if installation.belongs_to_app(root):
        yield Found(why, running=run, url=run.url if run else DESKTOP_URL)
    else:
        yield Found(why, root, run)


def _of(run: Running) -> Found:
    if run.process is None or _is_app(run):
        return Found("it runs", running=run, url=run.url)
    return Found("a session of mcp-e2e runs it" if run.process.marked else "it runs", run.process.root, run)


def _is_app(run: Running) -> bool:
    return run.process is not None and installation.belongs_to_app(run.process.root)


def _distinct(found: Iterable[Found]) -> list[Found]:
    first: dict[str, Found] = {}
    for each in found:
        first.setdefault(str(each.root.resolve()) if each.root else each.url, each)
    return list(first.values())


def _grouped(these: list[Place]) -> Iterator[tuple[str, list[Place]]]:
    for why in dict.fromkeys(why for why, _ in these):
        yield why, [place for place in these if place[0] == why]


def _nowhere(these: list[Place]) -> str:
    return f"none in {', '.join(dict.fromkeys(str(folder) for _, folder in these))}"


def _nothing_runs(runs: Iterable[Running]) -> str:
    stand_ins = [run.url for run in runs if run.simulated]
    said = f"; the simulated one at {', '.join(stand_ins)} is not taken unless named" if stand_ins else ""
    return f"none on the ports 8188 and 8000, and no process of yours{said}"
