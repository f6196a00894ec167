"""The configuration over time: read again when its files changed, at the next question."""

from collections.abc import Mapping
from pathlib import Path

from mcp_e2e.settings.discover import Where, discover
from mcp_e2e.settings.load import load
from mcp_e2e.settings.loaded import Loaded

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


def _stamp(file: Path) -> Stamp:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
