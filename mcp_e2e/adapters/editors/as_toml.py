"""Servers in TOML: Codex."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_e2e.adapters.editors.formats import Unreadable
from mcp_e2e.settings import writing

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LONE_LF = re.compile(r"(?<!\r)\n")


@dataclass(frozen=True)
class TomlServers:
    """See ``Format``. A new entry is more lines at the end; in an old one comments and order stay."""

    key: str

    def read(self, text: str) -> Mapping[str, Any]:
        try:
            return tomllib.loads(text)
        except RecursionError as error:
            raise Unreadable("nested too deeply") from error
        except ValueError as error:
            at = _AT.search(str(error))
            place = (int(at[1]), int(at[2])) if at and at[1] else (len(text.rstrip().split("\n")), 1) if at else ()
            raise Unreadable(_AT.sub("", str(error)), *place) from error

    def with_entry(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        return _ends(text, text + writing.joint(text, self.alone(name, entry)))

    def with_values(self, text: str, name: str, values: Mapping[str, Any]) -> str:
        return self._edited(text, name, values, anew=False)

    def with_other(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        return self._edited(text, name, entry, anew=True)

    def alone(self, name: str, entry: Mapping[str, Any]) -> str:
        pairs = "".join(f"{key} = {_value(value)}\n" for key, value in entry.items())
        return f"[{self.key}.{name}]\n{pairs}"

    def _edited(self, text: str, name: str, values: Mapping[str, Any], *, anew: bool) -> str:
        import tomlkit  # noqa: PLC0415  for this one command of all
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

        try:
            whole = tomlkit.parse(text)
            there: Any = whole[self.key]
            for key in [*there[name]] if anew else ():
                del there[name][key]
            for key, value in values.items():
                if there[name].get(key) != value:
                    there[name][key] = tomlkit.value(_value(value))
            return _ends(text, tomlkit.dumps(whole))
        except (TOMLKitError, TypeError, ValueError) as error:
            raise Unreadable(f"{self.key}.{name} cannot be changed: {error}") from error


def _ends(before: str, after: str) -> str:
    """New lines end as the old ones do, where those all end with CR LF."""
    return after if _LONE_LF.search(before) or "\r\n" not in before else _LONE_LF.sub("\r\n", after)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(writing.text, value))}]"
    return writing.text(value) if isinstance(value, str) else str(value)
