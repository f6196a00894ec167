"""Which flags a ComfyUI knows: they come and go with versions, and an unknown one ends its start, so it is asked."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from mcp_e2e.adapters.comfyui.asking import ask

HELP_S = 20.0  # takes 0.1 s warm, some seconds on a cold disk
_FLAG = re.compile(r"(?<![\w-])--[A-Za-z0-9][\w-]*")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_known: dict[tuple[tuple[str, ...], Path, int], frozenset[str]] = {}


def main_py(argv: Sequence[str]) -> int | None:
    """Where in a command the word stands that names ComfyUI's ``main.py``; None in a wrapper's command."""
    return next((at for at, word in enumerate(argv) if re.split(r"[\\/]", word)[-1] == "main.py"), None)


async def known_flags(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> frozenset[str]:
    """The flags that the ComfyUI of the command ``argv`` knows, as ``--name``, asked of itself once for each version.

    ``argv`` is what starts it, ``PROGRAM ... main.py [flags]``. Empty when it cannot be told: a wrapper without
    ``main.py`` is not run, for it might start a server; nor does a program that is missing, fails, or takes longer
    than ``HELP_S`` (it is ended) raise. ``env`` is the whole environment.
    """
    at = main_py(argv)
    if at is None:
        return frozenset()
    script = cwd / argv[at]
    try:
        key = (tuple(argv[: at + 1]), script.resolve(), script.stat().st_mtime_ns)
    except OSError:
        return frozenset()
    if key not in _known:  # also that it told none: it may have taken long to do so
        _known[key] = flags_of_usage(await _help([*argv[: at + 1], "--help"], cwd, env))
    return _known[key]


def flags_of_usage(text: str) -> frozenset[str]:
    """The flags of the last usage text in ``text``, which ends at an empty line or at what was wrong."""
    _, found, rest = _ANSI.sub("", text).rpartition("usage: ")
    usage = re.split(r"\n(?! )", rest, maxsplit=1)[0] if found else ""
    return frozenset(_FLAG.findall(usage))


def nearest_flag(flag: str, known: frozenset[str]) -> str | None:
    return next(iter(get_close_matches(flag, sorted(known), n=1, cutoff=0.6)), None)


async def _help(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    try:
        return (await ask(argv, cwd, {**env, "NO_COLOR": "1"}, HELP_S, errors=True)).text
    except OSError:
        return ""
