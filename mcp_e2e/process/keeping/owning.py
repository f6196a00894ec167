"""How a keeper comes to own its job where a lock cannot be handed over: it belongs to the process that took it.

The launcher takes none. It makes the folder, which succeeds once, and leaves the spec under a name that nobody reads.
The keeper takes the lock, and only then gives the spec its name. Until that name is there no other process sees a job
at all; from then on the job is locked, or its keeper has died. A second keeper of the same folder finds the lock held,
or the files of a job that has run. A keeper that dies before has run nothing, and the launcher, which sees it dead,
gives the spec its name: a job that was never started.
"""

# ruff: noqa: PTH110

from __future__ import annotations

import os

from . import files, handshake, locking


def own() -> int:
    """The lock of the job in the working directory, held until we end; now everybody may see the job."""
    lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not locking.exclusive(lock):
        raise handshake.Refused("locked", "another keeper owns this job")
    if os.path.exists("exit.json") or os.path.exists("state.json"):
        raise handshake.Refused("used", "this job has already run; a job folder is used once")
    if os.path.exists(files.UNSEEN_SPEC):
        files.replace(files.UNSEEN_SPEC, "spec.json")
    return lock
