"""What a keeper is built of on this system: one set of parts each, with the same names."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows import looks
    from .windows.child import start
    from .windows.events import Events
    from .windows.pipes import Direct, Pipes, open_log
    from .windows.tree import KILL, UNKNOWN, Ladder, Tree
else:
    from . import looks
    from .child import start
    from .events import Events
    from .pipes import Direct, Pipes, open_log
    from .tree import KILL, UNKNOWN, Ladder, Tree

__all__ = ["KILL", "UNKNOWN", "Direct", "Events", "Ladder", "Pipes", "Tree", "looks", "open_log", "start"]
