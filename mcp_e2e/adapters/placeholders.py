"""Fill ``{port}``, ``{outputs}`` and ``{python}`` in a service's command line and its ``env``."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from mcp_e2e.errors import ConfigError

# `${NAME}` is the environment's and `{{name}}` a template language's: neither is ours.
_PLACEHOLDER = re.compile(r"(?<![${])\{([A-Za-z_][A-Za-z0-9_-]*)\}(?!\})")


def fill(argv: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """``argv`` with every known placeholder replaced; other text in braces (JSON, shell) stays as it is.

    Raises ``ConfigError`` for a word in braces that is nearly one of ours.
    """

    def one(match: re.Match[str]) -> str:
        word = match.group(1)
        if word in values:
            return values[word]
        near = get_close_matches(word.casefold(), values, n=1, cutoff=0.7)
        if near:
            raise ConfigError(
                f"Unknown placeholder {{{word}}} in a service's command; the nearest is {{{near[0]}}}.",
                remedy=f"Write {{{near[0]}}}; known are {', '.join(f'{{{name}}}' for name in values)}.",
                placeholder=word,
                nearest=near[0],
            )
        return match.group(0)

    return tuple(_PLACEHOLDER.sub(one, argument) for argument in argv)


def fill_env(env: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """``env`` with every known placeholder replaced; any other word in braces (a log format) is the program's own."""
    return {name: _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text) for name, text in env.items()}
