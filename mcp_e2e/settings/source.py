"""The configuration over time: read again when its files changed, at the next question."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings.discover import Where, discover
from mcp_e2e.settings.load import load
from mcp_e2e.settings.loaded import Loaded, resolved
from mcp_e2e.settings.schema import ProjectConfig

Stamp = tuple[int, int, int] | None


class Source:
    """Answers ``current()``. The project is looked for once and then stays, whatever appears above it later."""

    def __init__(
        self, environ: Mapping[str, str], cwd: Path, *, project: str | None = None, config: str | None = None
    ) -> None:
        self._environ = environ
        self._cwd = cwd
        self._project = project
        self._config = config
        self._where: Where | None = None
        self._good: tuple[tuple[Stamp, Stamp], Loaded] | None = None

    def where(self) -> Where:
        """The project and its file. Raises ConfigError while no project can be found."""
        if self._where is None:
            self._where = discover(self._environ, self._cwd, project=self._project, config=self._config)
        return self._where

    def known_state_dir(self) -> Path | None:
        """Where the state of this project stands already, for looking at it while the configuration is broken."""
        try:
            where = self.where()
        except ConfigError:
            return None
        told = self._environ.get("MCP_E2E_STATE_DIR") or _told_state_dir(where.file) or ProjectConfig().state_dir
        folder = resolved(where.project, told)
        return folder if (folder / "private" / "state.db").is_file() else None

    def stamp(self) -> str:
        """Another text once ``current`` may answer otherwise; nothing is read for it."""
        try:
            where = self.where()
        except ConfigError as error:
            return error.message
        return f"{_stamp(where.file)} {_stamp(where.dotenv)}"

    def current(self) -> Loaded:
        """The configuration as the files say now; the same object while they are unchanged.

        Raises ConfigError at each call until what is wrong has been repaired: the last good one is never served.
        """
        where = self.where()
        stamps = (_stamp(where.file), _stamp(where.dotenv))  # before reading: a later change is then seen next time
        if self._good is None or self._good[0] != stamps:
            self._good = None
            self._good = (stamps, load(where, self._environ))
        return self._good[1]


def _told_state_dir(file: Path) -> str | None:
    """``[project] state_dir`` of a file that may be wrong elsewhere; None where even its syntax is."""
    try:
        told = tomllib.loads(file.read_text("utf-8-sig")).get("project", {}).get("state_dir")
    except (OSError, ValueError, AttributeError):
        return None
    return told if isinstance(told, str) and told else None


def _stamp(file: Path) -> Stamp:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
