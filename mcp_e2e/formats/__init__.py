"""Report formats: one file and one row each. ``text`` is no report format; it writes any answer for people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcp_e2e.formats import as_json, junit, markdown
from mcp_e2e.model.report import Report


@dataclass(frozen=True)
class Format:
    """``suffix`` of its files, with the dot; ``render`` is pure and its text can be written as UTF-8."""

    suffix: str
    render: Callable[[Report], str]


FORMATS: Mapping[str, Format] = {
    "markdown": Format(".md", markdown.render),
    "json": Format(".json", as_json.render),
    "junit": Format(".xml", junit.render),
}
