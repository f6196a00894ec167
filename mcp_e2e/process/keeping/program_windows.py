"""The keeper from its first instruction to its last, on Windows."""

from __future__ import annotations

import os
import sys

assert sys.platform == "win32"

from . import files, handshake, versions
from .job import Keeper
from .owning import own
from .quiet import TYPE_CHECKING
from .target import CLIENT_JOB
from .windows.events import Events
from .windows.jobobject import ends_with_client

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

REFUSED = "--no-breakaway"


def main(argv: Sequence[str]) -> NoReturn:
    """Started without a window, in a group of its own, and out of the client's job object where that lets it go."""

    def work() -> None:
        os.chdir(argv[1])
        env = handshake.environment()  # before anybody can see the job: half a message is no job
        lock = own()
        spec = versions.whole_spec(handshake.understood("spec.json"))
        if ends_with_client(refused=REFUSED in argv):
            spec["confinement"]["layers"] = [*spec["confinement"]["layers"], CLIENT_JOB]
            files.note("the client's job object does not let its processes go: this job ends when the client does")
        handshake.keep(lambda: Keeper(spec, env, Events()))
        os.close(lock)

    handshake.answered(work)
