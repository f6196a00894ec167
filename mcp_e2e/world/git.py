"""Asking git so that a repository can neither run a program of its own, nor ask anybody, nor outlive the deadline."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mcp_e2e.world.looking import Budget

POLL_S = 0.05
REAP_S = 2.0
_KEPT = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"}
_SAFE = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
_OURS = {"system", "global"}  # configured by the user for all repositories, as git-lfs is
STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"),
    *("--untracked-files=all", "--ignored=no", "--ignore-submodules=none"),  # whatever the configuration says
)


class GitFailed(Exception):
    """git gave no answer; the text says why, to people."""


def status(git: str, root: str, budget: Budget) -> bytes:
    """Raw ``STATUS`` of the checkout at ``root``. Programs that its own configuration names as filters do not run.

    Raises:
        GitFailed: git is missing, refuses the folder, or takes longer than the budget.
    """
    return _must(_git(git, root, STATUS, budget, {**_SAFE, **_without_filters(git, root, budget)}))


def ignores(git: str, root: str, path: str, budget: Budget) -> bool:
    """Whether the checkout ignores that folder inside it; raises GitFailed like ``status``."""
    return _git(git, root, ["check-ignore", "--quiet", "--", path], budget, _SAFE).returncode == 0


def _without_filters(git: str, root: str, budget: Budget) -> dict[str, str]:
    asked = ["config", "--null", "--show-scope", "--name-only", "--get-regexp", r"^filter\."]
    done = _git(git, root, asked, budget, _SAFE)
    if done.returncode == 1:  # none
        return {}
    words = os.fsdecode(_must(done)).split("\0")
    pairs = zip(words[::2], words[1::2], strict=False)
    names = {key.partition(".")[2].rpartition(".")[0] for scope, key in pairs if scope not in _OURS}
    off = {"clean": "", "process": "", "required": "false"}
    return {f"filter.{name}.{key}": value for name in names for key, value in off.items()}


def _must(done: "subprocess.CompletedProcess[bytes]") -> bytes:
    if done.returncode:
        first = os.fsdecode(done.stderr).strip().partition("\n")[0]
        raise GitFailed(f"git says: {first[:200]}" if first else f"git ended with exit code {done.returncode}")
    return done.stdout


def _git(
    git: str, root: str, words: Iterable[str], budget: Budget, config: Mapping[str, str]
) -> "subprocess.CompletedProcess[bytes]":
    try:
        process = subprocess.Popen(
            [git, "--no-pager", *words],
            cwd=root,
            env=_environment(root, config),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=sys.platform != "win32",  # its own children end with it
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not installed") from error
    except (OSError, ValueError) as error:
        raise GitFailed(f"git cannot be started ({error})") from error
    return _answer(process, budget)


def _answer(process: "subprocess.Popen[bytes]", budget: Budget) -> "subprocess.CompletedProcess[bytes]":
    try:
        while budget.left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=min(POLL_S, budget.left))
                return subprocess.CompletedProcess(process.args, process.returncode, out, err)
    finally:
        if process.returncode is None:
            _end(process)
    raise GitFailed(f"git needs longer than {budget.seconds:.1f} s")


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(REAP_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _environment(root: str, config: Mapping[str, str]) -> dict[str, str]:
    """Without what points git elsewhere; ``-c`` would split a name at its first ``=``, these pairs do not."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    pairs: dict[str, str] = {}
    for at, (key, value) in enumerate(config.items()):
        pairs |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return {
        **kept,
        **pairs,
        "GIT_CONFIG_COUNT": str(len(config)),
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CEILING_DIRECTORIES": str(Path(root).parent),  # this checkout or none
        "LC_ALL": "C",
    }
