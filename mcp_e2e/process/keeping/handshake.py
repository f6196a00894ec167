"""What a keeper and its launcher say to each other: the environment comes in, one answer goes out."""

from __future__ import annotations

import os

from . import files, versions
from .quiet import TYPE_CHECKING, dumps, loads, quietly

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from .job import Keeper


class Refused(Exception):
    """This keeper may not own the job: ``args`` are the answer's error and message."""


def environment() -> dict[str, str]:
    """It ends with end of file, so half a message starts nothing."""
    data = b""
    while chunk := os.read(0, 65536):
        data += chunk
    env: dict[str, str] = loads(data.decode())["env"]
    return env


def understood(name: str) -> dict[str, Any]:
    """The spec or state of the job; raises Refused where another version wrote it in a format of its own."""
    stored: dict[str, Any] = files.read(name)
    if why := versions.unreadable(stored):
        raise Refused("spec", f"{name} of the job {why}")
    return stored


def answered(work: Callable[[], None]) -> NoReturn:
    """Leaves at once after it, so that a free lock follows the exit record closely."""
    status = 1
    try:
        work()
        status = 0
    except Refused as refusal:
        answer(error=refusal.args[0], message=refusal.args[1])
    except Exception as error:
        files.note(_trace())
        answer(error="spec", message=str(error))
    os._exit(status)


def keep(keeper: Callable[[], Keeper]) -> None:
    """The job from its first process to its exit record."""
    files.reserve_record()
    record = keeper().run(lambda: answer(ok=True))
    files.record_exit(record)
    if record["reason"] == "exec_failed":
        answer(error="exec", message=record["error"])
    answer(error="stopped", message="the job was stopped before it began")


_answered = False


def answer(**fields: Any) -> None:
    """The first answer counts; a launcher that is gone by now must not cost the job."""
    global _answered  # noqa: PLW0603
    if _answered:
        return
    _answered = True
    with quietly(OSError):
        os.write(1, dumps(fields).encode("ascii") + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _trace() -> str:
    import traceback  # noqa: PLC0415  slow to import and almost never needed

    return traceback.format_exc()
