"""``${NAME}`` in the values of ``env`` tables. What a name stands for never appears in a message."""

import re
from collections.abc import Iterator, Mapping

from mcp_e2e.errors import ConfigError

_PART = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class UnsetVariable(ConfigError):
    """``${NAME}`` stands in an ``env`` table, and neither the environment nor ``.env`` has the name.

    ``facts["names"]`` maps each unset name to the keys whose values use it.
    """

    remedy = "Set it in the environment or in .env beside the configuration file."


def names(value: str) -> list[str]:
    """The names a value uses, in order; ``$${`` stands for the two characters themselves."""
    return [match[1] for match in _PART.finditer(value) if match[1] is not None]


def malformed(value: str) -> str | None:
    """What is wrong with the ``${…}`` of a value, or None. Only ``${NAME}`` exists: no defaults, no nesting."""
    for match in _PART.finditer(value):
        if match[1] is None:
            continue
        if not match[2]:
            return "has '${' without '}'"
        if not _NAME.fullmatch(match[1]):
            return f"has '${{{match[1][:40]}}}', and only ${{NAME}} is known"
    return None


def unset_names(mapping: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Names used in the values of ``mapping`` that ``environ`` lacks; sorted, each once. An empty value is set."""
    return sorted(set(_unset(mapping, environ)))


def expand(mapping: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """``mapping`` with every ``${NAME}`` replaced, once: what comes in is not looked through again.

    Raises UnsetVariable with all unset names and the keys that use them.
    """
    if missing := _unset(mapping, environ):
        where = "; ".join(f"${{{name}}} (used by {', '.join(keys)})" for name, keys in sorted(missing.items()))
        raise UnsetVariable(f"Not set: {where}.", names=missing)
    return {key: _PART.sub(lambda found: _replacement(found, environ), value) for key, value in mapping.items()}


def masked(value: str) -> str:
    """A value fit to be shown: ``${NAME}`` as written, everything else as three stars."""
    return "".join(_masked_parts(value))


def _replacement(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return "${" if found[1] is None else environ[found[1]]


def _unset(mapping: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, list[str]]:
    missing: dict[str, list[str]] = {}
    for key, value in mapping.items():
        for name in dict.fromkeys(names(value)):
            if name not in environ:
                missing.setdefault(name, []).append(key)
    return missing


def _masked_parts(value: str) -> Iterator[str]:
    at = 0
    for match in _PART.finditer(value):
        if match[1] is None:
            continue
        if match.start() > at:
            yield "***"
        yield match[0]
        at = match.end()
    if at < len(value):
        yield "***"
