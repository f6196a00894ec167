"""``/view`` of the SIMULATED ComfyUI: the bytes of a file, re-encoded where asked."""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO

from PIL import Image

from mcp_e2e.demo.simulated_studio import Studio, encoded

Query = Mapping[str, str]


class Refusal(Exception):
    """A request is answered with a status other than 200 and no words."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True)
class Reply:
    """An answer that is not simply JSON with status 200; ``ranged``: a part of it may be asked for."""

    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    ranged: bool = False


def view(studio: Studio, query: Query) -> Reply:
    """The file that ``filename``, ``subfolder`` and ``type`` name. Raises ``Refusal``."""
    name = query.get("filename", "")
    if not name:
        raise Refusal(HTTPStatus.NOT_FOUND)
    data = _read(studio, name, query)
    named = {"Content-Disposition": f'filename="{name}"'}
    if "preview" in query:
        form, _, quality = query["preview"].partition(";")
        form = form if form in ("webp", "jpeg") else "webp"
        with Image.open(BytesIO(data)) as image:
            return Reply(
                encoded(image.convert("RGB"), form, quality=int(quality or 90)), f"image/{form}", headers=named
            )
    if query.get("channel") in ("rgb", "a"):
        with Image.open(BytesIO(data)) as image:
            alpha = image.convert("RGBA").getchannel("A")
            chosen = image.convert("RGB") if query["channel"] == "rgb" else Image.merge("RGBA", (alpha,) * 4)
            return Reply(encoded(chosen, "PNG"), "image/png", headers=named)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Reply(data, kind, headers={**named, "Accept-Ranges": "bytes"}, ranged=True)


def _read(studio: Studio, name: str, query: Query) -> bytes:
    kind = query.get("type", "output")
    if ".." in name or name.startswith("/") or kind not in ("output", "temp", "input"):
        raise Refusal(HTTPStatus.BAD_REQUEST)
    if kind == "temp":
        if name not in studio.previews:
            raise Refusal(HTTPStatus.NOT_FOUND)
        return studio.previews[name]
    folder = (studio.outputs if kind == "output" else studio.inputs).resolve()
    path = (folder / query.get("subfolder", "") / name).resolve()
    if not path.is_relative_to(folder):
        raise Refusal(HTTPStatus.FORBIDDEN)
    if not path.is_file():
        raise Refusal(HTTPStatus.NOT_FOUND)
    return path.read_bytes()
