"""Workflow files: found, told apart from the editor's and from other JSON, and what they certainly save."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.adapters.comfyui import workflow_files
from mcp_e2e.adapters.comfyui.workflow_files import images_of, sort
from tests.installations import comfyui, workflow, written

from .conftest import graph, node


def names(project: Path) -> list[str]:
    return [path.relative_to(project).as_posix() for path, _ in sort(project).workflows]


def test_where_workflows_are_looked_for(tmp_path: Path) -> None:
    """In folders that are named for them, and by a name that ends in api; in no environment, package or ComfyUI."""
    taken = ["a_api.json", "deep/b-api.json", "c (API).json", "workflows/d.json", "tests/Workflows/sub/e.json"]
    for name in taken:
        workflow(tmp_path / name)
    for name in ("plain.json", "rapi.json", "node_modules/x/workflows/a.json", ".git/workflows/a.json"):
        workflow(tmp_path / name)
    written(tmp_path / "myenv" / "pyvenv.cfg", {})
    workflow(tmp_path / "myenv" / "workflows" / "a.json")
    workflow(comfyui(tmp_path / "ComfyUI") / "workflows" / "a.json")
    (tmp_path / "link").symlink_to(tmp_path / "workflows")

    assert names(tmp_path) == sorted(taken, key=lambda name: Path(name).parts)


def test_a_project_that_is_a_comfyui_itself(tmp_path: Path) -> None:
    """Its own workflows, not those that came with other people's nodes."""
    comfyui(tmp_path / "root")
    for name in ("workflows/a.json", "custom_nodes/x/workflows/b.json", "x_api.json"):
        workflow(tmp_path / "root" / name)

    assert names(tmp_path / "root") == ["workflows/a.json", "x_api.json"]


def test_files_are_told_apart(tmp_path: Path) -> None:
    """A workflow, the editor's format, a broken file; other JSON is nobody's business."""
    folder = tmp_path / "workflows"
    good = workflow(folder / "good.json")
    whole = written(folder / "whole.json", {"prompt": {"1": node("EmptyImage")}, "client_id": "x"})
    editors = written(folder / "ui.json", {"nodes": [], "links": [], "version": 0.4})
    (folder / "broken.json").write_text('{"1":\n nope}')
    (folder / "latin.json").write_bytes(b'{"\xe9": 1}')
    written(folder / "half.json", {"1": node("EmptyImage"), "2": {"inputs": {}}})
    for name, data in {"list": [1], "package": {"name": "x"}, "text": "x", "prompt": {"prompt": "x"}}.items():
        written(folder / f"{name}.json", data)

    found = sort(tmp_path)

    assert [path for path, _ in found.workflows] == [good, whole]
    assert found.not_exported == (editors,)
    assert [(path.name, why) for path, why in found.broken] == [
        ("broken.json", "is not JSON: Expecting value at line 2, column 2"),
        ("half.json", "node '2' has no class_type, so this is not API format"),
        ("latin.json", "cannot be read: UnicodeDecodeError"),
    ]
    assert not found.stopped


def test_what_cannot_be_read_to_its_end_is_told(tmp_path: Path) -> None:
    """A pipe nobody writes to, a link out of the project, a huge file, and JSON that no parser takes."""
    folder = tmp_path / "project" / "workflows"
    good = workflow(folder / "good.json")
    if sys.platform == "win32":
        pytest.skip("no pipes among the files here")
    os.mkfifo(folder / "pipe.json")
    (folder / "link.json").symlink_to(workflow(tmp_path / "elsewhere.json"))
    with (folder / "huge.json").open("wb") as huge:
        huge.truncate(1 << 40)
    (folder / "long.json").write_text('{"1": ' + "7" * 5000 + "}")
    (folder / "deep.json").write_text("[" * 200_000)

    found = sort(tmp_path / "project")

    assert [path for path, _ in found.workflows] == [good]
    assert [(path.stem, why) for path, why in found.broken] == [
        ("deep", "holds a number too long or lists too deep to be read"),
        ("huge", "is larger than 16 MB"),
        ("link", "is a link, which is not followed"),
        ("long", "holds a number too long or lists too deep to be read"),
        ("pipe", "is no regular file"),
    ]


def test_the_search_ends_in_a_large_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so."""
    for n in range(4):
        workflow(tmp_path / "workflows" / f"{n}.json")
    monkeypatch.setattr(workflow_files, "_FILES", 3)

    found = sort(tmp_path)

    assert (len(found.workflows), found.stopped) == (3, True)


EMPTY = node("EmptyImage", batch_size=3)
LATENT = node("EmptyLatentImage", batch_size=2)
DECODED = node("VAEDecode", samples=["3", 0])
SAVE = node("SaveImage", images=["9", 0])


@pytest.mark.parametrize(
    ("nodes", "count"),
    [
        ({"9": EMPTY, "1": SAVE}, 3),
        ({"9": node("EmptyImage"), "1": SAVE}, 1),
        ({"9": EMPTY, "1": SAVE, "2": SAVE}, 6),
        (
            {
                "9": node("VAEDecode", samples=["3", 0]),
                "3": node("KSampler", latent_image=["4", 0]),
                "4": LATENT,
                "1": SAVE,
            },
            2,
        ),
        ({"9": EMPTY}, None),
        ({"9": node("SomebodysNode"), "1": SAVE}, None),
        ({"9": EMPTY, "1": SAVE, "2": node("PreviewImage", images=["9", 0])}, None),
        ({"9": EMPTY, "1": SAVE, "2": node("SomebodysSave", images=["9", 0])}, None),
        ({"9": EMPTY, "1": SAVE, "2": node("SomebodysSave", images=["1", 0])}, None),
        ({"9": node("EmptyImage", batch_size=["5", 0]), "5": node("SomebodysNumber"), "1": SAVE}, None),
        ({"9": node("VAEDecode", samples=["9", 0]), "1": SAVE}, None),
        ({"1": SAVE}, None),
        ({"1": node("SaveImage", images="x")}, None),
    ],
)
def test_how_many_images_are_certain(nodes: dict[str, Any], count: int | None) -> None:
    """The batch that each SaveImage gets; nothing where a node decides it that is not known."""
    assert images_of(graph(nodes)) == count
