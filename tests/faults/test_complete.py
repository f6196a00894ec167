"""Each fault of the list has its test."""

import ast
import re
from pathlib import Path

FAULTS = set(range(1, 57))


def test_each_fault_has_a_test() -> None:
    """By the number in its name, however the tests are spread over the files."""
    found = {
        int(number.group(1))
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (number := re.match(r"test_fault_(\d\d)_\w", node.name))
    }
    assert found == FAULTS
