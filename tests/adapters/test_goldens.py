"""Golden images on disk: pairs, and a picture of both that never takes the place of an output."""

from pathlib import Path

import pytest
from PIL import Image

from mcp_e2e.adapters import goldens
from mcp_e2e.model.work import Artifact, ImageFacts


def image(folder: Path, name: str, colour: int, key: str = "9-1") -> Artifact:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (32, 32), (colour, 90, 10)).save(folder / name)
    return Artifact(name, folder / name, "", 1, "image/png", ImageFacts(32, 32, True), "c", key)


def test_a_picture_of_both_is_written_only_beyond_the_limit(tmp_path: Path) -> None:
    """In a folder of its own, named by key: outputs of one name and two endings keep theirs apart."""
    golden = image(tmp_path, "golden.png", 10).path
    new = [image(tmp_path / "a", "x.png", 250), image(tmp_path / "a", "x.bmp", 240, "9-2")]
    alike, *_ = goldens.against_one(new, golden, 1.0)
    assert alike.picture is None
    apart = goldens.against_one(new, golden, 0.0)
    assert [each.picture for each in apart] == [tmp_path / "a/compared/9-1.png", tmp_path / "a/compared/9-2.png"]


@pytest.mark.parametrize("name", ["compared", "compared_x.png"])
def test_an_output_is_never_overwritten_by_a_picture_of_both(tmp_path: Path, name: str) -> None:
    """Where an output has the folder's name the number has to do."""
    golden, new = image(tmp_path, "golden.png", 10).path, image(tmp_path / "a", "x.png", 250)
    (tmp_path / "a" / name).write_text("an output")
    (found,) = goldens.against_one([new], golden, 0.0)
    assert found.difference is not None
    assert (tmp_path / "a" / name).read_text() == "an output"
    assert (found.picture is None) == (name == "compared")


def test_a_golden_image_that_was_damaged_meanwhile_is_a_sentence(tmp_path: Path) -> None:
    """As is an image that cannot be decoded."""
    folder = tmp_path / "portrait"
    new = image(tmp_path / "a", "x.png", 250)
    folder.mkdir()
    (folder / "9-1.png").write_bytes(b"gone bad")
    (found,) = goldens.against_kept([new], folder, 0.05)
    assert (found.difference, "cannot be read as an image" in str(found.problem)) == (None, True)
    image(folder, "9-1.png", 10)
    new.path.write_bytes(b"gone bad too")
    (found,) = goldens.against_kept([new], folder, 0.05)
    assert (found.image, found.problem) == ("x.png", "cannot be read as an image")
