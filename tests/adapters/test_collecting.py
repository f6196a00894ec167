"""Bringing outputs home: every kind, by the server or from its folder, within bounds, whatever their names."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from PIL import Image

from mcp_e2e.adapters.comfyui import collecting
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.adapters.comfyui.collecting import Disk, collect, file_key
from mcp_e2e.errors import StoreError
from mcp_e2e.model.work import NodeText, OutputFile

from .conftest import Backend

KINDS = ("a.mp4", "b.webm", "c.gif", "d.flac", "e.mp3", "f.wav", "g.opus", "h.glb", "i.obj", "j.json", "k.latent")


@pytest.fixture
async def client(simulated: Backend) -> AsyncIterator[ComfyUI]:
    async with ComfyUI(simulated.url) as opened:
        yield opened


def listed(name: str, subfolder: str = "", node: str = "9") -> OutputFile:
    return OutputFile(node, name, subfolder, "output")


def written(backend: Backend, name: str, data: bytes = b"data") -> OutputFile:
    path = backend.outputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    folder, _, plain = name.rpartition("/")
    return listed(plain, folder)


class Gone:
    """A server that must not be asked."""

    def fetch(self, file: OutputFile) -> object:
        raise AssertionError(f"{file.filename} was fetched")


async def test_every_kind_comes_home_with_its_type_and_hash(
    simulated: Backend, client: ComfyUI, tmp_path: Path
) -> None:
    """Video, audio, 3D and what nobody knows: same bytes, kept apart by name, numbered by node."""
    files = [written(simulated, name, name.encode()) for name in KINDS]
    home = await collect(client, files, tmp_path / "home")
    assert (home.problems, home.left_out) == ((), ())
    assert [artifact.path.read_bytes().decode() for artifact in home.artifacts] == list(KINDS)
    assert [artifact.kind for artifact in home.artifacts] == [
        *("video", "video", "image", "audio", "audio", "audio", "audio", "model", "model", "application", "application")
    ]
    assert [artifact.key for artifact in home.artifacts] == [f"9-{n}" for n in range(1, 12)]


async def test_texts_become_files(client: ComfyUI, tmp_path: Path) -> None:
    """In UTF-8, also what is half a character; of nodes in subgraphs too."""
    texts = [NodeText("1", "größe\n"), NodeText("5:2", "b\ud800"), NodeText("1", "second")]
    home = await collect(client, [], tmp_path, texts=texts)
    assert [artifact.name for artifact in home.artifacts] == ["text_1.txt", "text_5_2.txt", "text_1-2.txt"]
    assert (tmp_path / "text_1.txt").read_bytes() == "größe\n".encode()
    assert (tmp_path / "text_5_2.txt").read_bytes() == b"b?"
    assert [artifact.content == artifact.sha256 for artifact in home.artifacts] == [True] * 3


async def test_our_own_services_files_are_taken_from_its_folder(
    simulated: Backend, client: ComfyUI, tmp_path: Path
) -> None:
    """Byte for byte what the server would send, without asking it."""
    files = [written(simulated, "a.png", b"one"), written(simulated, "deep/er/b.bin", b"two")]
    near = await collect(Gone(), files, tmp_path / "near", disk=Disk(simulated.outputs, 0.0))  # type: ignore[arg-type]
    far = await collect(client, files, tmp_path / "far")
    assert [(a.name, a.sha256, a.bytes) for a in near.artifacts] == [(a.name, a.sha256, a.bytes) for a in far.artifacts]
    assert len(near.artifacts) == 2


async def test_what_is_not_provably_the_same_file_is_asked_of_the_server(simulated: Backend, tmp_path: Path) -> None:
    """Older than the prompt, a link, above the folder, a preview, a folder, an impossible name."""
    disk = Disk(simulated.outputs, 1000.0)
    assert disk.holds(written(simulated, "new.png"))
    old = written(simulated, "old.png")
    os.utime(simulated.outputs / "old.png", (900.0, 900.0))
    (tmp_path / "secret.png").write_bytes(b"theirs")
    (simulated.outputs / "link.png").symlink_to(tmp_path / "secret.png")
    (simulated.outputs / "out").symlink_to(tmp_path)
    above = os.path.relpath(tmp_path, simulated.outputs)
    for file in (
        old,
        listed("link.png"),
        listed("secret.png", "out"),
        listed("secret.png", above),
        listed("secret.png", str(tmp_path)),
        listed("out"),
        listed("gone.png"),
        listed("a\x00b.png"),
        listed("n" * 5000),
        OutputFile("9", "new.png", "", "temp"),
    ):
        assert disk.holds(file) is None, file


async def test_a_file_that_may_not_be_read_is_asked_of_the_server(
    simulated: Backend, client: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is a shortcut, never the only way."""
    monkeypatch.setattr(collecting.shutil, "copyfile", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    home = await collect(client, [written(simulated, "a.bin")], tmp_path, disk=Disk(simulated.outputs, 0.0))
    assert [artifact.path.read_bytes() for artifact in home.artifacts] == [b"data"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"] or (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("by", ["server", "disk"])
async def test_what_is_too_much_is_left_out_and_told(
    simulated: Backend, client: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """One file that is too large, then too much together, then too many; nothing half-written stays."""
    monkeypatch.setattr(collecting, "MAX_BYTES", 10)
    monkeypatch.setattr(collecting, "MAX_TOTAL_BYTES", 16)
    monkeypatch.setattr(collecting, "MAX_FILES", 4)
    sizes = {"a.png": 11, "b.mp4": 10, "c.bin": 7, "d.bin": 4, "e.bin": 1, "f.bin": 1, "g.bin": 1}
    files = [written(simulated, name, b"x" * size) for name, size in sizes.items()]
    disk = Disk(simulated.outputs, 0.0) if by == "disk" else None
    home = await collect(client, files, tmp_path / "home", disk=disk)
    assert [artifact.name for artifact in home.artifacts] == ["b.mp4", "d.bin", "e.bin", "f.bin"]
    assert [(each.name, each.content_type, each.why) for each in home.left_out] == [
        ("a.png", "image/png", "larger than 10 bytes"),
        ("c.bin", "application/octet-stream", "with it the files would have more than 16 bytes"),
        ("g.bin", "application/octet-stream", "one of more than 4 files"),
    ]
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["b.mp4", "d.bin", "e.bin", "f.bin"]
    assert home.problems == ()


async def test_texts_beyond_the_limits_are_left_out_and_told(
    simulated: Backend, client: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By size and by number, after the files, of which none makes way for a text."""
    monkeypatch.setattr(collecting, "MAX_BYTES", 10)
    monkeypatch.setattr(collecting, "MAX_FILES", 3)
    texts = [NodeText(node, text) for node, text in (("1", "e" * 11), ("2", "fits"), ("3", "t"), ("4", "u"))]
    home = await collect(client, [written(simulated, "a.bin")], tmp_path / "home", texts=texts)
    assert [artifact.name for artifact in home.artifacts] == ["a.bin", "text_2.txt", "text_3.txt"]
    assert [(each.name, each.content_type, each.why) for each in home.left_out] == [
        ("text_1.txt", "text/plain", "larger than 10 bytes"),
        ("text_4.txt", "text/plain", "one of more than 3 files"),
    ]


async def test_damaged_and_empty_images_are_facts(simulated: Backend, client: ComfyUI, tmp_path: Path) -> None:
    """They come home like any file; only nothing is known of their pixels."""
    Image.new("RGB", (9, 9)).save(tmp_path / "whole.png")
    half = written(simulated, "half.png", (tmp_path / "whole.png").read_bytes()[:40])
    home = await collect(client, [half, written(simulated, "empty.png", b"")], tmp_path / "home")
    assert [(a.bytes, a.image, a.content, a.kind) for a in home.artifacts] == [
        (40, None, None, "image"),
        (0, None, None, "image"),
    ]


async def test_a_name_that_no_address_can_hold_is_a_problem(client: ComfyUI, tmp_path: Path) -> None:
    """Half a character in JSON is no crash."""
    home = await collect(client, [listed("a\ud800.png"), listed("gone ü #?&%.png")], tmp_path)
    assert home.artifacts == ()
    assert len(home.problems) == 2


async def test_the_longest_name_of_a_file_system_comes_home(
    simulated: Backend, client: ComfyUI, tmp_path: Path
) -> None:
    """255 bytes are few characters in some scripts, and what is half-written needs a name too."""
    files = [written(simulated, "日" * 83 + ".png"), written(simulated, "日" * 83 + "x.png")]
    home = await collect(client, files, tmp_path / "home", disk=Disk(simulated.outputs, 0.0))
    assert home.problems == ()
    assert [artifact.path.read_bytes() for artifact in home.artifacts] == [b"data"] * 2


def failing(number: int) -> object:
    async def opened(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    return opened


async def test_a_file_that_cannot_be_written_is_a_problem(
    simulated: Backend, client: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says of one name is a sentence, and the attempt is judged."""
    monkeypatch.setattr(anyio, "open_file", failing(errno.EINVAL))
    home = await collect(client, [written(simulated, "a.bin")], tmp_path / "home")
    assert home.problems == ("node 9 listed a.bin, which cannot be written: Invalid argument.",)


async def test_a_full_disk_is_told_with_what_to_do(
    simulated: Backend, client: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong with the outputs: there is no verdict until there is room."""
    monkeypatch.setattr(anyio, "open_file", failing(errno.ENOSPC))
    with pytest.raises(StoreError, match="do not fit") as full:
        await collect(client, [written(simulated, "a.bin")], tmp_path / "home")
    assert "Make room" in full.value.advice


def test_a_key_is_part_of_a_file_name() -> None:
    """Nodes of subgraphs have colons in their ids."""
    assert [file_key(node, 2) for node in ("9", "5:2", "../x", "ü")] == ["9-2", "5.2-2", "...x-2", ".-2"]
