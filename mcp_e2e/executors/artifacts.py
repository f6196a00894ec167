"""Files an attempt left in its folder, as evidence."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp_e2e.model.work import Artifact

MOST = 50


def gathered(attempt: str, folder: Path, collected: Sequence[Artifact]) -> list[dict[str, Any]]:
    """What was collected, then what else came to lie beside it: comparisons, files of a command that judges."""
    others = found(attempt, folder, {artifact.path for artifact in collected})
    return [*(_listed(attempt, artifact) for artifact in collected), *others]


def _listed(attempt: str, artifact: Artifact) -> dict[str, Any]:
    """The contract's form of an artifact; of an image also its size."""
    size = {"width": artifact.image.width, "height": artifact.image.height} if artifact.image else {}
    return _form(attempt, artifact.name, artifact.path, artifact.sha256, artifact.bytes) | size


def found(attempt: str, folder: Path, known: Collection[Path] = ()) -> list[dict[str, Any]]:
    """Up to ``MOST`` regular files below ``folder``, links and ``known`` ones left out, with their hashes."""
    if not folder.is_dir():
        return []
    paths = (path for path in sorted(folder.rglob("*")) if path not in known)
    files = (path for path in paths if path.is_file() and not path.is_symlink())
    return [
        _form(attempt, path.relative_to(folder).as_posix(), path, _sha256(path), path.stat().st_size)
        for path, _ in zip(files, range(MOST), strict=False)
    ]


def _form(attempt: str, name: str, path: Path, sha256: str, size: int) -> dict[str, Any]:
    return {"name": name, "path": str(path), "uri": uri(attempt, name), "sha256": sha256, "bytes": size}


def uri(attempt: str, name: str) -> str:
    return f"e2e://attempts/{attempt}/artifacts/{quote(name, safe='')}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
