"""What the kernel says about processes, without psutil: the keeper has only the standard library.

The server reads the same functions through ``process.identity``, so both sides always mean the same process.
"""

from __future__ import annotations

import sys

from .birth import Birth

if sys.platform == "win32":
    from .windows.facts import birth, boot_id, children, send
elif sys.platform == "darwin":
    from .macos import birth, boot_id, children, send
else:
    from .linux import birth, boot_id, children, send

if sys.platform == "linux":
    from .linux import inode, marked, markers
else:  # no system but Linux shows reliably what others were started with, and none has pidfds

    def marked(_job: str) -> dict[int, Birth]:
        return {}

    def markers() -> set[str]:
        return set()

    def inode(_pid: int) -> int:
        return 0


def descendants(root: int) -> dict[int, Birth]:
    """Every living process below ``root``, itself excluded; empty where the kernel keeps no lists of children."""
    found: dict[int, Birth] = {}
    queue = children(root)
    while queue:
        pid = queue.pop()
        fact = birth(pid)
        if pid not in found and fact is not None:
            found[pid] = fact
            queue += children(pid)
    return {pid: fact for pid, fact in found.items() if not fact.dead}


__all__ = ["Birth", "birth", "boot_id", "children", "descendants", "inode", "marked", "markers", "send"]
