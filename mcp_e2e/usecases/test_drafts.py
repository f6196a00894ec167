"""From the workflow files of a project to ``[[tests]]``: ids, what certainly comes out, what could not be used."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from mcp_e2e.adapters.comfyui.workflow_files import Sorted, images_of
from mcp_e2e.settings import Loaded, writing

TIMEOUT_S = 300
_LISTED = 5
_ID_CHARACTERS = 100  # what a name may have
EXPORT = "File > Export (API)"
_OLDER = "older versions: Workflow > Export (API), or Save (API Format) once Settings > Dev mode is on"
EXAMPLE = """\
# [[tests]]
# id = "portrait"
# workflow = "workflows/portrait_api.json"    # exported from ComfyUI with File > Export (API)
# timeout_s = 300
# expect = { images = 1, min_width = 512, min_height = 512, not_blank = true }
"""


def tests_of(files: Sorted, loaded: Loaded, service: str | None) -> dict[str, str]:
    """A ``[[tests]]`` table for each workflow that no test names yet, by id. ``service``: named where not None."""
    tests = loaded.settings.tests
    used = {loaded.folder(test.workflow) for test in tests if test.workflow}
    ids = {test.id for test in tests}
    drafts: dict[str, str] = {}
    for path, graph in files.workflows:
        if path.resolve() not in used:
            test_id = unused_id(path, {*ids, *drafts})
            drafts[test_id] = _table(test_id, path.relative_to(loaded.project), images_of(graph), service)
    return drafts


def _table(test_id: str, path: Path, images: int | None, service: str | None) -> str:
    lines = ["[[tests]]", f"id = {writing.text(test_id)}", f"workflow = {writing.text(path.as_posix())}"]
    lines += [f"service = {writing.text(service)}"] if service else []
    lines += [f"timeout_s = {TIMEOUT_S}"]
    lines += [f"expect = {writing.inline({'images': images})}"] if images else []
    return "\n".join(lines) + "\n"


def unused_id(path: Path, taken: Collection[str]) -> str:
    """A test's id from a file's name, with its folder's where that is taken, with a number where both are."""
    name = _words(re.sub(r"[ _.-]*\(?api\)?$", "", path.stem, flags=re.IGNORECASE)) or "workflow"
    for candidate in (name, f"{_words(path.parent.name)}-{name}".strip("-")[:_ID_CHARACTERS]):
        if candidate not in taken:
            return candidate
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")[:80]


def told_apart(files: Sorted, project: Path) -> Iterator[str]:
    """A sentence for each kind of file that became no test."""
    if files.not_exported:
        listed = _listed([_shown(path, project) for path in files.not_exported])
        yield (
            f"in the editor's format, which ComfyUI's API does not run: {listed}. To make one a test, open it in "
            f"ComfyUI and choose {EXPORT} ({_OLDER})"
        )
    for path, why in files.broken[:_LISTED]:
        yield f"{_shown(path, project)} {why}"
    if len(files.broken) > _LISTED:
        yield f"{len(files.broken) - _LISTED} more workflow files cannot be read"
    if files.stopped:
        yield "the project is large: not all of it was searched for workflows"


def _shown(path: Path, project: Path) -> str:
    """Also where its name is not UTF-8, which no terminal takes."""
    return str(path.relative_to(project)).encode("utf-8", "replace").decode()


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
