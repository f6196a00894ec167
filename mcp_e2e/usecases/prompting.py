"""The prompts of ``agent-prompts/``, the one source of what MCP serves and what is exported."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mcp_e2e.formats.prompts.source import parse
from mcp_e2e.model.prompts import Template


def folder() -> Path:
    """Where the prompts lie: inside the installed package, else beside it in the repository."""
    packaged = Path(__file__).parents[1] / "_prompts"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "agent-prompts"


@cache
def templates() -> Mapping[str, Template]:
    """All prompts by name, in a fixed order."""
    found = [parse(path.read_text("utf-8")) for path in sorted(folder().glob("*.md"))]
    return {template.name: template for template in found}


def block_source() -> str:
    """What the block in AGENTS.md says."""
    return (folder() / "agents" / "block.md").read_text("utf-8")
