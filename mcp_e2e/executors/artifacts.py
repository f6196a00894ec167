"""Files an attempt left in its folder, as evidence."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp_e2e.model.work import Artifact

MOST = 50


def listed(attempt: str, artifacts: Iterable[Artifact]) -> list[dict[str, Any]]:
    """The contract's form of artifacts."""
    return [
        {
            "name": artifact.name,
            "path": str(artifact.path),
            "uri": uri(attempt, artifact.name),
            "sha256": artifact.sha256,
            "bytes": artifact.bytes,
        }
        for artifact in artifacts
    ]


def found(attempt: str, folder: Path) -> list[dict[str, Any]]:
    """Up to ``MOST`` regular files below ``folder``, links left out, with their hashes."""
    if not folder.is_dir():
        return []
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [
        {
            "name": (name := path.relative_to(folder).as_posix()),
            "path": str(path),
            "uri": uri(attempt, name),
            "sha256": _sha256(path),
            "bytes": path.stat().st_size,
        }
        for path, _ in zip(files, range(MOST), strict=False)
    ]


def uri(attempt: str, name: str) -> str:
    return f"e2e://attempts/{attempt}/artifacts/{quote(name, safe='')}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
