"""The kernel's lock on an open file, at once or not at all; freed at the latest by the death of its holder.

On POSIX it belongs to the open file and is inherited with it; on Windows to the process that took it.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.locking import exclusive, shared, unlock
else:
    import fcntl

    def exclusive(fd: int) -> bool:
        return _flock(fd, fcntl.LOCK_EX)

    def shared(fd: int) -> bool:
        return _flock(fd, fcntl.LOCK_SH)

    def unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    def _flock(fd: int, how: int) -> bool:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


__all__ = ["exclusive", "shared", "unlock"]
