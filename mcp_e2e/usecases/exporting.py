"""Writes the prompts into a folder as files for editors and agents, or tells where they have drifted.

Nothing is written before everything was looked at. Others' files are left alone, links are followed and kept, and each
file is replaced as a whole.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mcp_e2e.adapters.files import replace
from mcp_e2e.errors import Differs, UsageError
from mcp_e2e.formats.prompts import TARGETS
from mcp_e2e.formats.prompts.agents_block import FILE, Unplaceable, block, placed
from mcp_e2e.formats.prompts.header import is_ours
from mcp_e2e.usecases.prompting import block_source, templates

AGENTS = "agents"
EVERY_TARGET = (*TARGETS, AGENTS)
State = Literal["missing", "same", "differs", "foreign", "outside"]


@dataclass(frozen=True)
class Planned:
    """``name`` below the folder, with ``/``; ``file``: what it leads to.

    It holds ``before``, None where it is not there, and should hold ``data``.
    """

    name: str
    file: Path
    before: bytes | None
    data: bytes
    state: State

    @property
    def blocked(self) -> str | None:
        """Why it is not written unasked."""
        if self.state == "outside":
            return f"{self.name} leads out of the folder, to {self.file}"
        return f"{self.name} is not of this command" if self.state == "foreign" else None


class Exporting:
    def __init__(self, folder: Path) -> None:
        """Raises UsageError when ``folder`` is none."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", remedy="Make it, or name another one with --to.")
        self._folder = Path(os.path.realpath(folder))

    def check(self, targets: Sequence[str]) -> list[Planned]:
        """Every file of ``targets``, all as they should be.

        Raises:
            Differs: some are not; ``files`` names them.
            UsageError: a file cannot be read, or its markers are broken.
        """
        planned = self._plan(targets)
        wrong = [each for each in planned if each.state != "same"]
        if wrong:
            files = [{"path": each.name, "state": each.state} for each in wrong]
            named = ", ".join(each.name for each in wrong)
            raise Differs(f"{len(wrong)} of {len(planned)} files are not as exported: {named}", files=files)
        return planned

    def write(self, targets: Sequence[str], *, force: bool = False) -> list[Planned]:
        """Make every file of ``targets`` as it should be; what was found there before is told. ``force``: others' too.

        Raises:
            UsageError: a file is somebody else's, or cannot be read or written.
            ConfigError: somebody has written one of them meanwhile.
        """
        planned = self._plan(targets)
        blocked = [why for each in planned if (why := each.blocked)]
        if blocked and not force:
            raise UsageError(
                f"nothing was written: {'; '.join(blocked)}",
                remedy="Move it away, choose another --target or --to, or replace it with --force.",
            )
        for each in {each.file: each for each in planned}.values():  # through links two names may be one file
            if each.state != "same":
                _replace(each)
        return planned

    def _plan(self, targets: Sequence[str]) -> list[Planned]:
        every = list(templates().values())
        files = {name: text for target in targets if target in TARGETS for name, text in TARGETS[target](every).items()}
        planned = [self._file(name, text) for name, text in files.items()]
        return planned + ([self._agents(block(block_source(), every))] if AGENTS in targets else [])

    def _file(self, name: str, text: str) -> Planned:
        file, before = self._found(name)
        data = text.encode()
        if before is None:
            return Planned(name, file, before, data, self._state(file, "missing"))
        if b"\r\n" in before:  # as git or an editor has checked it out
            data = data.replace(b"\n", b"\r\n")
        ours = is_ours(before.decode("utf-8", "replace"))
        return Planned(name, file, before, data, self._state(file, _compared(before, data)) if ours else "foreign")

    def _agents(self, text: str) -> Planned:
        file, before = self._found(FILE)
        try:
            data = placed(before or b"", text)
        except Unplaceable as error:
            raise UsageError(f"{file} {error}", remedy="Repair it by hand, or leave it out with --target.") from error
        state: State = "missing" if before is None else _compared(before, data)
        return Planned(FILE, file, before, data, self._state(file, state))

    def _found(self, name: str) -> tuple[Path, bytes | None]:
        """What ``name`` leads to, and its bytes; None where there is nothing yet."""
        file = Path(os.path.realpath(self._folder / name))
        try:
            return file, file.read_bytes() if os.path.lexists(file) else None
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}", remedy="Move it away.") from error

    def _state(self, file: Path, state: State) -> State:
        return state if state == "same" or file.is_relative_to(self._folder) else "outside"


def _compared(before: bytes, data: bytes) -> State:
    """Line ends are the editor's and git's business."""
    return "same" if before.replace(b"\r\n", b"\n") == data.replace(b"\r\n", b"\n") else "differs"


def _replace(each: Planned) -> None:
    try:
        replace(each.file, each.before, each.data)
    except OSError as error:
        raise UsageError(
            f"{each.file} cannot be written: {error.strerror}",
            remedy="Correct its rights or free some space, then call again.",
        ) from error
