"""Which folder is the project and which file configures it. Looks only at names; a missing file is no error here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.errors import ConfigError

FILE_NAME = "mcp-e2e.toml"
PROJECT_VARIABLES = ("MCP_E2E_PROJECT", "CLAUDE_PROJECT_DIR")
CONFIG_VARIABLE = "MCP_E2E_CONFIG"


@dataclass(frozen=True)
class Where:
    """Absolute paths. ``file`` need not exist; ``named``: a person named it, so it must."""

    project: Path
    file: Path
    named: bool = False

    @property
    def dotenv(self) -> Path:
        """``.env`` beside the file; need not exist."""
        return self.file.parent / ".env"


@contextmanager
def looking() -> Iterator[None]:
    """Turn what the file system refuses (no permission, link loop, name too long) into ConfigError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"A path cannot be looked at: {error}.", remedy="Correct the path or its rights.") from error


@looking()
def discover(environ: Mapping[str, str], cwd: Path, *, project: str | None = None, config: str | None = None) -> Where:
    """Find project and file; ``project`` and ``config`` are the values of ``--project`` and ``--config``.

    Raises ConfigError for a project that is no folder, is the root of the file system or the home folder.
    """
    cwd = cwd.resolve()
    named = config or environ.get(CONFIG_VARIABLE)
    file = _absolute(named, cwd) if named else None
    told = _told(environ, project)
    folder = _told_folder(*told, cwd) if told else _found(environ, cwd, file)
    if why := _forbidden(environ, folder):
        raise ConfigError(
            f"{folder} is {why}, which is never a project.",
            remedy="Name the project's folder with --project or MCP_E2E_PROJECT, or start in it.",
            path=str(folder),
        )
    return Where(folder, file or folder / FILE_NAME, named=file is not None)


def _told(environ: Mapping[str, str], project: str | None) -> tuple[str, str] | None:
    """The project as somebody named it, and where it was named."""
    if project:
        return "--project", project
    return next(((name, environ[name]) for name in PROJECT_VARIABLES if environ.get(name)), None)


def _told_folder(origin: str, text: str, cwd: Path) -> Path:
    folder = _absolute(text, cwd)
    if not folder.is_dir():
        raise ConfigError(
            f"{origin} names '{text}', which is no folder.", remedy=f"Correct {origin}.", path=str(folder)
        )
    return folder


def _found(environ: Mapping[str, str], cwd: Path, file: Path | None) -> Path:
    """Upwards from the working directory, then from a named file, to the first folder that looks like a project.

    Neither has one: the working directory itself, or the named file's folder where that may not be a project.
    """
    starts = [cwd] if file is None else [cwd, file.parent]
    for start in starts:
        for folder in _upwards(environ, start):
            if (folder / FILE_NAME).is_file() or (folder / ".git").exists():
                return folder
    return next((start for start in starts if not _forbidden(environ, start)), cwd)


def _upwards(environ: Mapping[str, str], start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        if _forbidden(environ, folder):
            return
        yield folder


def _forbidden(environ: Mapping[str, str], folder: Path) -> str | None:
    """What makes ``folder`` too wide to be a project, or None."""
    if folder == Path(folder.anchor):
        return "the root of the file system"
    homes = [Path(environ[name]) for name in ("HOME", "USERPROFILE") if environ.get(name)]
    if not homes and (home := home_folder()):
        homes = [home]
    if any(folder == home.resolve() for home in homes):
        return "your home folder"
    return None


def home_folder() -> Path | None:
    """The user's folder; None where neither the environment nor the system knows one (a container's nameless user)."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _absolute(text: str, cwd: Path) -> Path:
    return (cwd / expanded(text)).resolve()


def expanded(text: str) -> Path:
    """A path as a person writes it: a leading ``~`` is the home folder."""
    return Path(text).expanduser() if text == "~" or text.startswith(("~/", "~\\")) else Path(text)
