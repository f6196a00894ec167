"""The command that starts a ComfyUI for tests: ours first, then what its user gave it, then what its version needs."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.adapters.comfyui.installation import Interpreter

OWN_DATABASE = ("--database-url", "sqlite:///{outputs}/comfyui.db")
_OURS = (*("--listen", "127.0.0.1"), *("--port", "{port}"), *("--output-directory", "{outputs}"))
_NOT_CARRIED = frozenset(
    [
        "--listen",
        "--port",
        "--output-directory",
        "--temp-directory",
        "--auto-launch",
        "--disable-auto-launch",
        "--tls-keyfile",
        "--tls-certfile",
        "--enable-cors-header",
        "--verbose",
        "--log-stdout",
        "--dont-print-server",
        "--quick-test-for-ci",
    ]
)
_PATHS = re.compile(r"-(directory|config|root)$")
_SECRET = re.compile(r"token|secret|passw|api-?_?key|credential|://[^/]*@", re.IGNORECASE)

Flag = tuple[str, ...]  # a flag and its values


@dataclass(frozen=True)
class Carried:
    """Flags of a running ComfyUI worth keeping, and the names of those that were not for looking secret."""

    flags: tuple[Flag, ...] = ()
    secret: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        return any(flag[0] == name for flag in self.flags)


def carried(words: Sequence[str], cwd: Path, known: frozenset[str], *, ours: bool = False) -> Carried:
    """What to keep of the flags ``words`` of a process in ``cwd``; ``known`` are all that its version has.

    ``ours``: another project's session, whose database is its own.
    """
    unwanted = _NOT_CARRIED | {OWN_DATABASE[0]} if ours else _NOT_CARRIED
    kept = [flag for flag in _split(words) if flag[0] in known - unwanted]
    secret = [flag for flag in kept if any(_SECRET.search(word) for word in flag)]
    return Carried(
        tuple(_absolute(flag, cwd) for flag in kept if flag not in secret), tuple(flag[0] for flag in secret)
    )


def command(
    interpreter: Interpreter,
    script: str,
    *,
    known: frozenset[str],
    kept: Carried,
    cpu: bool,
    portable: bool,
    own_database: bool,
) -> list[str]:
    """The words of ``[services.NAME] command``; flags that ``known`` lacks would end the start.

    Where ``known`` is empty only ``--cpu`` is dared: without it there would be no start either.
    """
    wanted: list[Flag] = [("--disable-auto-launch",)]
    wanted += [("--windows-standalone-build",)] if portable else []
    wanted += [("--cpu",)] if cpu else []
    wanted += [OWN_DATABASE] if own_database and not kept.has(OWN_DATABASE[0]) else []
    wanted = [flag for flag in wanted if flag[0] in (known or {"--cpu"})]
    names = {flag[0] for flag in wanted}
    more = [word for flag in (*wanted, *(flag for flag in kept.flags if flag[0] not in names)) for word in flag]
    return [str(interpreter.path), *interpreter.options, script, *_OURS, *more]


def _split(words: Sequence[str]) -> Iterator[Flag]:
    flag: list[str] = []
    for word in words:
        if word.startswith("--"):
            if flag:
                yield tuple(flag)
            flag = word.split("=", 1)
        elif flag:
            flag.append(word)
    if flag:
        yield tuple(flag)


def _absolute(flag: Flag, cwd: Path) -> Flag:
    if not _PATHS.search(flag[0]):
        return flag
    return flag[0], *(os.path.normpath(cwd / word) for word in flag[1:])
