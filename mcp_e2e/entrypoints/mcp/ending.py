"""How the server's process ends: one exit code, bounded in time even when the loop is stuck or is not there yet.

Part of the quick start: nothing but cheap modules of the standard library may be imported here.
"""

import os
import signal
import sys
import threading
from types import FrameType

LEAVING_S = 0.6  # after the end of stdin or a signal, clean-up included: clients kill what is slow to go
DEFECT = 3

if sys.platform == "win32":
    SIGNALS = (signal.SIGINT, signal.SIGBREAK)
else:
    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ending:
    """0 when the client left, 128 + n after signal n, 3 after a defect."""

    def __init__(self) -> None:
        self.code = 0
        self.by_signal = False

    def heed_signals(self) -> None:
        """While nothing is open yet there is nothing to clean up: a signal ends the process at once."""

        def stop(number: int, _frame: FrameType | None) -> None:
            os._exit(128 + number)

        for number in SIGNALS:
            signal.signal(number, stop)

    def within(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.now)
        timer.daemon = True
        timer.start()

    def now(self) -> None:
        os._exit(self.code)
