"""Each fault of the list has its test, and only one."""

import ast
import re
from collections import Counter
from pathlib import Path

FAULTS = range(1, 26)


def test_each_fault_has_exactly_one_test() -> None:
    """By the number in its name, however the tests are spread over the files."""
    found: Counter[int] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                number = re.match(r"test_fault_(\d\d)_\w", node.name)
                found.update([int(number.group(1))] if number else [])
    assert found == Counter(FAULTS)
