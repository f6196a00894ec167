"""What a ComfyUI's command line tells: which program in which folder, with which flags, and the folders it uses."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.adapters.comfyui.flags import main_py

_PATHS = frozenset(f"--{name}-directory" for name in ("base", "output", "input", "temp", "user")) | {"--front-end-root"}
_SHORTEST = 5  # argparse takes any beginning of a flag that no other one has, such as --out


@dataclass(frozen=True)
class CommandLine:
    """``PROGRAM ... main.py [flags]``, started in ``cwd``; ``program`` and ``script`` are absolute.

    ``flags`` has the values of each flag; folders among them are absolute too.
    """

    program: Path
    script: Path
    cwd: Path
    flags: dict[str, tuple[str, ...]]

    @property
    def base(self) -> Path:
        return self._folder("--base-directory", self.script.parent)

    @property
    def outputs(self) -> Path:
        return self._folder("--output-directory", self.base / "output")

    @property
    def temp(self) -> Path:
        """Deleted by each start on it."""
        return self._folder("--temp-directory", self.base) / "temp"

    @property
    def database(self) -> str:
        """Its URL; the default lies beside the code, whatever the base directory (measured up to 0.33)."""
        default = f"sqlite:///{self.script.parent / 'user' / 'comfyui.db'}"
        return next(iter(self.flags.get("--database-url", ())), default)

    def _folder(self, flag: str, default: Path) -> Path:
        return Path(os.path.realpath(next(iter(self.flags.get(flag, ())), default)))


def command_line(argv: Sequence[str], cwd: Path, path: str | None) -> CommandLine | None:
    """None for a command without ``main.py``, as a wrapper's, and where its program is not found on ``path``."""
    at = main_py(argv)
    if not at:
        return None
    program = argv[0]
    found = str(cwd / program) if "/" in program or "\\" in program else shutil.which(program, path=path)
    if found is None:
        return None
    script = Path(os.path.realpath(cwd / argv[at]))
    return CommandLine(Path(os.path.normpath(found)), script, cwd, dict(_flags(argv[at + 1 :], cwd)))


def output_folder(argv: Sequence[str], cwd: Path) -> Path:
    """The output folder of a server that was started in ``cwd`` and tells ``argv``, which begins with its script."""
    script = Path(os.path.realpath(cwd / argv[0]))
    return CommandLine(script, script, cwd, dict(_flags(argv[1:], cwd))).outputs


def _flags(words: Sequence[str], cwd: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    at = 0
    while at < len(words):
        word, equals, value = words[at].partition("=")
        flag = next((each for each in _PATHS if len(word) >= _SHORTEST and each.startswith(word)), word)
        end = at + 1
        while end < len(words) and not words[end].startswith("--"):
            end += 1
        values = ([value] if equals else []) + list(words[at + 1 : end])
        yield flag, tuple(os.path.realpath(cwd / each) for each in values) if flag in _PATHS else tuple(values)
        at = end


def why_another(wanted: CommandLine, running: CommandLine) -> str | None:
    """Why what runs is not the wanted ComfyUI, in a sentence without its full stop; None: program and folders agree."""
    if running.script != wanted.script:
        return f"it runs {running.script}, the service is {wanted.script}"
    if not _same_program(wanted.program, running.program):
        return f"its interpreter is {running.program}, the service's {wanted.program}"
    if os.path.realpath(running.cwd) != os.path.realpath(wanted.cwd):
        return f"it was started in {running.cwd}, the service starts in {wanted.cwd}"
    if running.base != wanted.base:
        return f"its base directory is {running.base}, the service's {wanted.base}"
    return None


def _same_program(one: Path, other: Path) -> bool:
    """The same file from the same folder: a virtual environment's interpreter is often a link to one outside."""
    same_folder = os.path.realpath(one.parent) == os.path.realpath(other.parent)
    return same_folder and os.path.realpath(one) == os.path.realpath(other)


def differences(wanted: CommandLine, running: CommandLine) -> tuple[str, ...]:
    """Flags in which they differ, a few words each; not the port, which is the same one."""
    flags = sorted((wanted.flags.keys() | running.flags.keys()) - {"--port"})
    both = ((flag, running.flags.get(flag), wanted.flags.get(flag)) for flag in flags)
    return tuple(
        f"{_shown(flag, has)}, configured: {_shown(flag, should)}" for flag, has, should in both if has != should
    )


def _shown(flag: str, values: tuple[str, ...] | None) -> str:
    return f"no {flag}" if values is None else " ".join((flag, *values))


def shared(one: CommandLine, other: CommandLine) -> dict[str, str]:
    """What two that run at the same time would both write to, and the flag that gives one of them its own."""
    found = {}
    if one.outputs == other.outputs:
        found[f"the output folder {one.outputs}, where they take each other's file names"] = "--output-directory"
    if one.temp == other.temp:
        flag = "--base-directory" if one.base == other.base else "--temp-directory"
        found[f"the temp folder {one.temp}, which each start deletes"] = flag
    if one.database == other.database and ":memory:" not in one.database:
        found[f"the database {one.database}"] = "--database-url"
    return found
