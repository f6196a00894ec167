"""How an editor is to start this program, and whether what stands in its file does that."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_OURS = frozenset({"mcp-e2e", "mcp_e2e"})
_SWITCHES = {"enabled": True, "disabled": False}
_SEPARATOR = re.compile(r"[\\/]")
_FOLDER_NAMES = re.compile(r"\$\{(?:workspaceFolder|CLAUDE_PROJECT_DIR(?::-\.)?)\}")


class Standing(StrEnum):
    """What an entry does. ``OTHER``: it starts another mcp-e2e, or in another way, but for this project.

    ``ELSEWHERE``: it is for another project. ``WRONG``: it starts nothing.
    """

    RIGHT = "right"
    OTHER = "other"
    ELSEWHERE = "elsewhere"
    WRONG = "wrong"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Launch:
    """``program``: the words that start it. ``config``: the file that was named besides the project."""

    program: tuple[str, ...]
    project: Path
    config: Path | None = None

    def entry(self) -> dict[str, Any]:
        """``command`` and ``args``, as every editor has them."""
        command, *words = self.program
        config = ["--config", str(self.config)] if self.config else []
        return {"command": command, "args": [*words, "serve", "--project", str(self.project), *config]}

    def judge(self, entry: Any) -> tuple[Standing, str]:
        """What that entry does, and a sentence on it."""
        words = _words(entry)
        if not _starts_us(words):
            return Standing.FOREIGN, f"starts another program: {words[0]}" if words else "names no program to start"
        command, args = self._command(words[0]), words[1:]
        if switched_on(entry):
            return Standing.OTHER, "is switched off"
        if "${" not in command and shutil.which(command) is None:
            return Standing.WRONG, f"names a program that is not there: {words[0]}"
        if "serve" not in args:
            return Standing.WRONG, "does not say serve"
        project = self._folder(_said(args, "--project"))
        if project is not None and not _same(project, self.project):
            gone = "" if project.is_dir() else ", which is no folder"
            return Standing.ELSEWHERE, f"is for another project: {project}{gone}"
        config = self._folder(_said(args, "--config"))
        if self.config is not None and (config is None or not _same(config, self.config)):
            return Standing.OTHER, f"does not name --config {self.config}"
        program = (command, *args[: args.index("serve")])
        if os.path.normcase(" ".join(program)) != os.path.normcase(" ".join(self.program)):
            told = " ".join(word for word in program if "=" not in word)  # a variable may be a secret
            return Standing.OTHER, f"starts another mcp-e2e than this one: {told}"
        return Standing.RIGHT, "starts this program for this project"

    def _command(self, word: str) -> str:
        """As a path where it is one; what else an editor puts in for ``${…}`` is not known here."""
        return str(self._folder(word)) if _SEPARATOR.search(word) else word

    def _folder(self, said: str | None) -> Path | None:
        """None where nothing is said: the server then finds its project as every command does."""
        if said is None:
            return None
        return self.project / _FOLDER_NAMES.sub(lambda _: str(self.project), said)


def switched_on(entry: Any) -> dict[str, bool]:
    """What must be said in an entry that is switched off to switch it on; nothing for any other."""
    off = entry if isinstance(entry, Mapping) else {}
    return {name: on for name, on in _SWITCHES.items() if off.get(name) is (not on)}


def _starts_us(words: Sequence[str]) -> bool:
    """The command itself, or a name that a runner is given (uvx, python -m); a folder called so is none of them."""
    return any(
        _name(word) in _OURS and (at == 0 or not _SEPARATOR.search(word) or words[at + 1 : at + 2] == ["serve"])
        for at, word in enumerate(words)
    )


def _words(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("command"), str):
        return []
    args = entry.get("args", [])
    return [entry["command"], *(str(word) for word in args)] if isinstance(args, list) else [entry["command"]]


def _name(word: str) -> str:
    return _SEPARATOR.split(word)[-1].lower().removesuffix(".exe")


def _said(args: Sequence[str], flag: str) -> str | None:
    """The value of a flag, in either way to write it; the last one counts."""
    values = [args[at + 1] for at, word in enumerate(args[:-1]) if word == flag]
    values += [word.removeprefix(f"{flag}=") for word in args if word.startswith(f"{flag}=")]
    return values[-1] if values else None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.normpath(one) == os.path.normpath(other)
