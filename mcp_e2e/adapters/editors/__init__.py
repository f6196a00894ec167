"""Editors and agents that start this server: an editor is one row in ``EDITORS``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_e2e.adapters.editors.as_json import JsonServers
from mcp_e2e.adapters.editors.as_toml import TomlServers
from mcp_e2e.adapters.editors.formats import Format

NAME = "e2e"
_ASK = 'say to it: "Ask e2e for its status."'


@dataclass(frozen=True)
class Editor:
    """``file`` is below the project. ``first`` and ``besides`` are what a new entry has before and behind ``command``.

    ``home``: the variable that names the user's own folder of this editor, its place below the home folder where that
    is not set, and the file in it.
    """

    title: str
    file: str
    format: Format
    then: str
    first: Mapping[str, Any] = field(default_factory=dict)
    besides: Mapping[str, Any] = field(default_factory=dict)
    home: tuple[str, str, str] | None = None

    def in_project(self, project: Path) -> Path:
        return project / self.file

    def of_user(self, environ: Mapping[str, str], home: Path | None) -> Path | None:
        """The user's own file, for all projects; None where we do not touch it, or do not know where it is."""
        if self.home is None:
            return None
        variable, folder, file = self.home
        own = environ.get(variable) or (home / folder if home else None)
        return Path(own) / file if own else None


EDITORS: Mapping[str, Editor] = {
    "claude": Editor(
        "Claude Code",
        ".mcp.json",
        JsonServers("mcpServers"),
        f"Start Claude Code in the project (anew, if it runs), approve the server e2e (/mcp shows it), then {_ASK}",
        first={"type": "stdio"},
    ),
    "vscode": Editor(
        "VS Code",
        ".vscode/mcp.json",
        JsonServers("servers"),
        f"Open the project's folder in VS Code, start e2e (above its entry in the file, or MCP: List Servers) and "
        f"trust it; then, in agent mode, {_ASK}",
        first={"type": "stdio"},
    ),
    "cursor": Editor(
        "Cursor",
        ".cursor/mcp.json",
        JsonServers("mcpServers"),
        f"Open the project's folder in Cursor (anew, if it runs), switch e2e on in its settings under MCP, then {_ASK}",
        first={"type": "stdio"},
    ),
    "codex": Editor(
        "Codex",
        ".codex/config.toml",
        TomlServers("mcp_servers"),
        "Start codex in the project and trust the folder when it asks (else its file is not read; /mcp shows e2e), "
        f"then {_ASK}",
        besides={"startup_timeout_sec": 30, "tool_timeout_sec": 360},
        home=("CODEX_HOME", ".codex", "config.toml"),
    ),
}
