"""The configuration in force, and how it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings.discover import FILE_NAME, expanded
from mcp_e2e.settings.expand import masked
from mcp_e2e.settings.schema import Settings


@dataclass(frozen=True)
class Loaded:
    """``file`` is None when there is none and all settings are defaults. All paths are absolute."""

    settings: Settings
    project: Path
    file: Path | None
    state_dir: Path
    dotenv: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def folder(self, text: str) -> Path:
        """A path from the file, resolved against the project folder; a leading ``~`` is the home folder."""
        return resolved(self.project, text)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What ``${NAME}`` is looked up in: ``.env``, overruled by the real environment."""
        return {**self.dotenv, **environ}

    def needs_file(self) -> None:
        """Raise ConfigError when there is no file: for whatever cannot work with defaults alone."""
        if self.file is None:
            raise no_file(self.project / FILE_NAME)


def resolved(project: Path, text: str) -> Path:
    """``text`` as an absolute path, relative ones counted from ``project``."""
    return (project / expanded(text)).resolve()


def no_file(file: Path) -> ConfigError:
    """The error for a configuration file that is not there."""
    return ConfigError(
        f"There is no {file.name} in {file.parent}.",
        remedy="For ComfyUI: `mcp-e2e init`. For any other service: `mcp-e2e config example > mcp-e2e.toml` in that "
        "folder, then put your service and test into it. One that lies elsewhere: --config or MCP_E2E_CONFIG.",
        file=str(file),
    )


def shown(loaded: Loaded) -> dict[str, Any]:
    """JSON values for ``config show``: settings in force, with the values of ``env`` masked except ``${NAME}``."""
    settings = loaded.settings.model_dump(mode="json", exclude_none=True)
    for table in (*settings["services"].values(), *settings["tests"]):
        table["env"] = {name: masked(value) for name, value in table["env"].items()}
    return {
        "project": str(loaded.project),
        "file": str(loaded.file) if loaded.file else None,
        "state_dir": str(loaded.state_dir),
        "dotenv": sorted(loaded.dotenv),
        "warnings": list(loaded.warnings),
        "settings": settings,
    }
