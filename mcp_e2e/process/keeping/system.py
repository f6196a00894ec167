"""What a keeper is built of on this system: one set of parts each, with the same names."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.child import start
    from .windows.events import Events
    from .windows.look_process import start_look
    from .windows.pipes import Pipes, open_log
    from .windows.tree import KILL, UNKNOWN, Ladder, Tree
else:
    from .child import start
    from .events import Events
    from .look_process import start_look
    from .pipes import Pipes, open_log
    from .tree import KILL, UNKNOWN, Ladder, Tree

__all__ = ["KILL", "UNKNOWN", "Events", "Ladder", "Pipes", "Tree", "open_log", "start", "start_look"]
