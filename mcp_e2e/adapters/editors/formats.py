"""What the files of all editors have in common: servers by name, of which one is put in and the others stay."""

from collections.abc import Mapping
from typing import Any, Protocol


class Unreadable(Exception):
    """Such a text tells nothing and cannot be added to; ``line`` and ``column`` count from 1, 0: nowhere in it."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.line = line
        self.column = column


class Format(Protocol):
    """A way to write servers down; ``key`` is what they stand under. All raise Unreadable."""

    @property
    def key(self) -> str: ...

    def read(self, text: str) -> Mapping[str, Any]:
        """The whole as values."""

    def with_entry(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        """One more server."""

    def with_values(self, text: str, name: str, values: Mapping[str, Any]) -> str:
        """Other values in the entry of a server; what else stands in it stays."""

    def with_other(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        """This entry instead of the one of that name."""

    def alone(self, name: str, entry: Mapping[str, Any]) -> str:
        """A whole file with that one server."""


def servers(form: Format, text: str) -> Mapping[str, Any]:
    """What is configured in ``text``. Raises Unreadable."""
    found = form.read(text).get(form.key, {})
    if not isinstance(found, dict):
        raise Unreadable(f"{form.key} holds no servers by name")
    return found


def put(form: Format, text: str, name: str, entry: Mapping[str, Any], *, anew: bool) -> str:
    """``text`` with that entry: added, or in its place. Of an entry that is there, what ``entry`` does not say stays.

    ``anew``: nothing of it stays. Raises Unreadable, also where the result would not read as it must.
    """
    there = servers(form, text)
    if not text.strip():
        after = text + form.alone(name, entry)
    elif name not in there:
        after = form.with_entry(text, name, entry)
    elif anew or not isinstance(there[name], dict):
        after = form.with_other(text, name, entry)
    else:
        entry = {**there[name], **entry}
        after = form.with_values(text, name, entry)
    wanted = {**form.read(text), form.key: {**there, name: entry}}
    if form.read(after) != wanted:
        raise Unreadable(f"{form.key} is written in a way that cannot be added to without changing the rest")
    return after
