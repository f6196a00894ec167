"""A person's file on disk, an editor's or AGENTS.md: read as bytes, and replaced as a whole or not at all."""

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings.document import decoded

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Held:
    """A file as it was read; ``data`` None where there is none. ``text`` is without the byte order mark."""

    file: Path
    data: bytes | None
    text: str = ""


def hold(file: Path) -> Held:
    """Raises ConfigError for what cannot be read or is no UTF-8."""
    try:
        data = _data(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", remedy="Make it a readable file.") from error
    return Held(file, data, decoded(file, data) if data is not None else "")


def _data(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def write(held: Held, text: str) -> None:
    """``text`` instead of what was read, with its mark, rights and owner, through a link to where it leads.

    Raises ConfigError: it cannot be written, or is not any more what was read.
    """
    try:
        data = (_MARK if (held.data or b"").startswith(_MARK) else b"") + text.encode()
        replace(held.file, held.data, data)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{held.file} cannot be written: a path to be named in it is not UTF-8.", remedy="Rename that folder."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{held.file} cannot be written: {error.strerror}.", remedy="Correct its rights, or free some space."
        ) from error


def replace(file: Path, before: bytes | None, data: bytes) -> None:
    """``data`` instead of ``before``, None where there was no file; rights, owner and link as ``write``.

    Raises OSError, and ConfigError where it is not any more what it was before.
    """
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(0, "it is write-protected")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(data)
            new.flush()
            _as_before(new.fileno(), target)
            os.fsync(new.fileno())
        if _data(file) != before:
            raise ConfigError(f"{file} has been changed meanwhile.", remedy="Call again.")
        os.replace(draft, target)  # noqa: PTH105  over an existing file on every system
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _settle(target.parent)


if sys.platform == "win32":

    def _as_before(fd: int, target: Path) -> None:
        """A new file takes the rights of its folder."""

    def _settle(folder: Path) -> None:
        """Folders cannot be flushed there."""

else:

    def _as_before(fd: int, target: Path) -> None:
        """The rights and, where we may give it away, the owner of the old file; of a new one what is usual here."""
        try:
            old = target.stat()
        except FileNotFoundError:
            os.umask(mask := os.umask(0))
            os.fchmod(fd, 0o666 & ~mask)
            return
        with contextlib.suppress(PermissionError):
            os.fchown(fd, old.st_uid, old.st_gid)
        os.fchmod(fd, old.st_mode & 0o7777)

    def _settle(folder: Path) -> None:
        """The new name outlives a power cut."""
        with contextlib.suppress(OSError):
            fd = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
