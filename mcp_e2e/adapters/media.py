"""Media types by file name; the same on every system, also for what the standard library does not know."""

import mimetypes
from pathlib import PurePath

_TYPES = {
    ".avif": "image/avif",
    ".exr": "image/x-exr",
    ".jxl": "image/jxl",
    ".webp": "image/webp",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".wav": "audio/wav",
    ".json": "application/json",
    ".latent": "application/octet-stream",
    ".md": "text/markdown",
    ".srt": "text/plain",
    ".txt": "text/plain",
    ".fbx": "model/x-fbx",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".ksplat": "model/x-ksplat",
    ".obj": "model/obj",
    ".ply": "model/x-ply",
    ".splat": "model/x-splat",
    ".spz": "model/x-spz",
    ".stl": "model/stl",
    ".usdz": "model/vnd.usdz+zip",
}
UNKNOWN = "application/octet-stream"
_BUILT_IN = mimetypes.MimeTypes()  # without what the system's own tables say


def content_type(name: str) -> str:
    """The media type of a file called ``name``."""
    return _TYPES.get(PurePath(name).suffix.lower()) or _BUILT_IN.guess_type(name)[0] or UNKNOWN
