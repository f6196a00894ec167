"""Shell text as a syntax tree.

The grammar's scanner (tree-sitter-bash 0.25.1, its issue 337) looks characters up in a table without checking their
range: ``{`` before U+31860 ends the whole process, on Linux, sometimes. It therefore never sees any but ASCII: one
stand-in for each other character, so that every offset in the tree is an index into the text itself.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mcp_e2e.decisions.policy.words import DYNAMIC

if TYPE_CHECKING:
    from tree_sitter import Language, Node

MOST_TEXT = 16_384
"""Characters. The parser mends broken text in quadratic time: a second for ten thousand characters of ``a|``."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_STAND_IN = "x"  # a letter that no word of the shell's own has


@dataclass(frozen=True)
class Parsed:
    root: "Node"
    text: str

    def source(self, node: "Node") -> str:
        """What stands at ``node``; never ``node.text``, which has the stand-ins."""
        return self.text[node.start_byte : node.end_byte]


@cache
def _bash() -> "Language":
    import tree_sitter_bash  # noqa: PLC0415 - 36 ms that only a judged command should cost
    from tree_sitter import Language  # noqa: PLC0415

    return Language(tree_sitter_bash.language())


def work(text: str) -> int:
    """What parsing ``text`` may cost at worst; each text has a fixed part, so that very many tiny ones end too."""
    return 200 + len(text) ** 2 // 4096


def parse(text: str) -> Parsed:
    from tree_sitter import Parser  # noqa: PLC0415

    read = text.replace(DYNAMIC, "")
    return Parsed(Parser(_bash()).parse(_NOT_ASCII.sub(_STAND_IN, read).encode("ascii")).root_node, read)
