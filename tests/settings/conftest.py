"""A project on disk: write its file, load it, or ask for the error."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Loaded, Where, load


@dataclass(frozen=True)
class Project:
    folder: Path

    @property
    def where(self) -> Where:
        return Where(self.folder, self.folder / "mcp-e2e.toml")

    def write(self, text: str | bytes, name: str = "mcp-e2e.toml") -> Path:
        file = self.folder / name
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def load(self, text: str | bytes, **environ: str) -> Loaded:
        self.write(text)
        return load(self.where, environ)

    def error(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> ConfigError:
        self.write(text)
        with pytest.raises(ConfigError) as caught:
            load(self.where, environ or {})
        return caught.value


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)
