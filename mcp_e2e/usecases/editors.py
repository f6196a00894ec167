"""The entries that let editors start this server: written, and looked at."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcp_e2e.adapters.editors import EDITORS, NAME, Editor
from mcp_e2e.adapters.editors.formats import Unreadable, put, servers
from mcp_e2e.adapters.editors.launch import Launch, Standing, switched_on
from mcp_e2e.adapters.files import Held, hold, write
from mcp_e2e.errors import ConfigError, UsageError
from mcp_e2e.process.redaction import Redactor
from mcp_e2e.settings import Where, home_folder
from mcp_e2e.usecases.masking import blanked, handed_over
from mcp_e2e.usecases.replies import program


@dataclass(frozen=True)
class Order:
    """What a person said: which editor, whether its user's own file, over another program's entry, or only to show."""

    editor: str
    user: bool = False
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Installed:
    """``done``: created, changed, unchanged; would be created or changed by a dry run. ``diff`` is the change.

    What the file hands to programs, ours or others', as variables and headers is blanked in ``entry`` and ``diff``.
    """

    editor: str
    file: Path
    done: str
    entry: Mapping[str, Any]
    diff: str
    notes: tuple[str, ...]
    next_step: str

    def shown(self) -> dict[str, Any]:
        told = {"entry": dict(self.entry), "notes": list(self.notes), "next_step": self.next_step}
        return {"client": self.editor, "file": str(self.file), "done": self.done, **told}


@dataclass(frozen=True)
class Sight:
    """What an editor's file says of this server; ``standing`` None: nothing, ``said`` then tells of what is wrong.

    ``users``: the file is the user's own, for all projects.
    """

    editor: str
    title: str
    file: Path
    standing: Standing | None = None
    said: str = ""
    users: bool = False


class Editors:
    """``where``: the project as every command finds it; ``home``: the user's folder, where it is another one."""

    def __init__(self, where: Where, environ: Mapping[str, str], home: Path | None = None) -> None:
        self._launch = Launch(tuple(program()), where.project, where.file if where.named else None)
        self._environ = environ
        self._home = home or home_folder()

    def install(self, order: Order) -> Installed:
        """Put our entry into the editor's file; nothing else in it changes, and nothing where it is right.

        Raises:
            UsageError: the entry of that name is another program's, or there is no such file of the user's own.
            ConfigError: the file cannot be read, understood or written; the remedy has the entry to paste.
        """
        editor = EDITORS[order.editor]
        file = self._file(editor, order)
        entry = self._entry(editor)
        held = hold(file)
        try:
            there = servers(editor.format, held.text)
            standing = self._judged(there, order, file)
            right = standing is Standing.RIGHT
            text = held.text if right else self._text(editor, held, there, standing)
        except Unreadable as error:
            raise _by_hand(editor, file, error, entry) from error
        if not right and not order.dry_run:
            write(held, text)
        hidden = Redactor(handed_over(editor.format.read(held.text)))
        return Installed(
            order.editor,
            file,
            _done(held, order, right=right),
            blanked(there[NAME] if right else entry, hidden),
            hidden.text(_diff(file, held, text)),
            tuple(self._notes(there, standing)),
            "Nothing was written. Without --dry-run it will be." if order.dry_run and not right else editor.then,
        )

    def look(self) -> list[Sight]:
        """What each editor's files say now; of the two that one may have, those that say something."""
        return [sight for name, editor in EDITORS.items() for sight in self._look(name, editor)]

    def _look(self, name: str, editor: Editor) -> list[Sight]:
        files = [editor.in_project(self._launch.project), editor.of_user(self._environ, self._home)]
        sights = [self._seen(name, editor, file) for file in dict.fromkeys(files) if file]
        sights[1:] = [replace(sight, users=True) for sight in sights[1:]]
        return [sight for sight in sights if sight.standing or sight.said] or sights[:1]

    def _seen(self, name: str, editor: Editor, file: Path) -> Sight:
        try:
            there = servers(editor.format, hold(file).text)
        except ConfigError as error:
            return Sight(name, editor.title, file, said=error.message)
        except Unreadable as error:
            return Sight(name, editor.title, file, said=f"{_at(file, error)}: {error}")
        if NAME not in there:
            return Sight(name, editor.title, file)
        return Sight(name, editor.title, file, *self._launch.judge(there[NAME]))

    def _file(self, editor: Editor, order: Order) -> Path:
        if not order.user:
            return editor.in_project(self._launch.project)
        file = editor.of_user(self._environ, self._home)
        if file is None and editor.home is not None:
            raise UsageError("your home folder is not known", remedy=f"Set HOME or {editor.home[0]}, then call again.")
        if file is None:
            having = ", ".join(name for name, each in EDITORS.items() if each.home)
            raise UsageError(
                f"--user is only for {having}",
                remedy=f"Leave it out: {editor.title} reads the project's {editor.file}.",
            )
        return file

    def _judged(self, there: Mapping[str, Any], order: Order, file: Path) -> Standing | None:
        if NAME not in there:
            return None
        standing, said = self._launch.judge(there[NAME])
        if standing is Standing.FOREIGN and not order.force:
            raise UsageError(
                f"{file}: the server {NAME} {said}",
                remedy="It was left as it is. Rename it there, or replace it with --force.",
                file=str(file),
            )
        return standing

    def _entry(self, editor: Editor) -> dict[str, Any]:
        return {**editor.first, **self._launch.entry(), **editor.besides}

    def _text(self, editor: Editor, held: Held, there: Mapping[str, Any], standing: Standing | None) -> str:
        known = standing not in {None, Standing.FOREIGN}
        values = {**self._launch.entry(), **switched_on(there[NAME])} if known else self._entry(editor)
        return put(editor.format, held.text, NAME, values, anew=standing is Standing.FOREIGN)

    def _notes(self, there: Mapping[str, Any], standing: Standing | None) -> Iterator[str]:
        if standing is Standing.ELSEWHERE:
            yield f"the entry that was there {self._launch.judge(there[NAME])[1]}"
        for name, entry in there.items():
            if name != NAME and self._launch.judge(entry)[0] is not Standing.FOREIGN:
                yield f"the server {name} in the same file starts mcp-e2e too: one of the two is enough"


def _by_hand(editor: Editor, file: Path, error: Unreadable, entry: Mapping[str, Any]) -> ConfigError:
    return ConfigError(
        f"{_at(file, error)}: {error}. Nothing was written",
        remedy=f"Repair it and call again, or write this into it yourself:\n{editor.format.alone(NAME, entry)}",
        file=str(file),
        line=error.line or None,
        column=error.column or None,
    )


def _at(file: Path, error: Unreadable) -> str:
    return f"{file}, line {error.line}, column {error.column}" if error.line else str(file)


def _done(held: Held, order: Order, *, right: bool) -> str:
    if right:
        return "unchanged"
    done = "created" if held.data is None else "changed"
    return f"would be {done}" if order.dry_run else done


def _diff(file: Path, held: Held, after: str) -> str:
    """Unified; a new file as a whole."""
    if held.data is None:
        return after
    lines = difflib.unified_diff(
        held.text.splitlines(), after.splitlines(), fromfile=str(file), tofile=str(file), lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)
