"""Servers in JSON, with or without comments: Claude Code, VS Code, Cursor."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mcp_e2e.adapters.editors.changes import Changes, applied
from mcp_e2e.adapters.editors.formats import Unreadable
from mcp_e2e.adapters.editors.jsonc import Malformed, Node, parse, place


@dataclass(frozen=True)
class JsonServers:
    """See ``Format``. A key that stands twice on the way to a server makes a text unreadable."""

    key: str

    def read(self, text: str) -> Mapping[str, Any]:
        with _told(text):
            root = parse(text)
            if root is None:
                return {}
            if root.members is None:
                raise Malformed("the file is no object, { … }", root.start)
            servers = root.member(self.key)
            for each in (servers.members or ()) if servers else ():
                servers.member(each.key)  # type: ignore[union-attr]
            return dict(root.value)

    def with_entry(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        with _told(text):
            if parse(text) is None:  # comments alone
                return f"{text.rstrip()}\n{self.alone(name, entry)}"
            changes = Changes(text)
            servers = changes.root.member(self.key)
            if servers is None:
                changes.put(changes.root, {self.key: {name: entry}})
            else:
                changes.put(servers, {name: entry})
            return applied(text, changes.edits)

    def with_values(self, text: str, name: str, values: Mapping[str, Any]) -> str:
        with _told(text):
            changes = Changes(text)
            changes.put(self._entry(changes, name), values)
            return applied(text, changes.edits)

    def with_other(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        with _told(text):
            changes = Changes(text)
            changes.replace(self._entry(changes, name), entry)
            return applied(text, changes.edits)

    def alone(self, name: str, entry: Mapping[str, Any]) -> str:
        return json.dumps({self.key: {name: entry}}, indent=2, ensure_ascii=False) + "\n"

    def _entry(self, changes: Changes, name: str) -> Node:
        servers = changes.root.member(self.key)
        entry = servers.member(name) if servers else None
        if entry is None:
            raise Malformed(f"there is no {name} in {self.key}", changes.root.start)
        return entry


@contextmanager
def _told(text: str) -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise Unreadable(str(error), *place(text, error.at)) from error
