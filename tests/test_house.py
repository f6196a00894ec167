"""The house keeps its own rules: sizes, names, words, errors and docs."""

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import mcp_e2e
from mcp_e2e.decisions import lifecycle
from mcp_e2e.errors import E2EError

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mcp_e2e"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "common", "base", "util", "helper"}


def functions() -> Iterator[tuple[str, int]]:
    """Name and length in lines, docstring left out, of every function of the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                skipped = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
                yield f"{path.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1 - skipped


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_250_lines(path: Path) -> None:
    """A longer one is a room that wants a wall."""
    assert len(path.read_text("utf-8").splitlines()) <= 250


def test_functions_are_short() -> None:
    """Median at most 8 lines, none over 60."""
    lengths = dict(functions())

    assert statistics.median(lengths.values()) <= 8
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_no_room_has_a_name_that_says_nothing() -> None:
    """utils, helpers, manager, common and base are where code goes to be forgotten."""
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}

    assert names & FORBIDDEN_NAMES == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.read_text()], ids=lambda path: path.name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """In its first sentence."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def errors() -> list[type[E2EError]]:
    for module in walk_packages(mcp_e2e.__path__, "mcp_e2e."):
        if not module.name.endswith(("__main__", "keeper")) and ".keeping" not in module.name:
            import_module(module.name)
    found: list[type[E2EError]] = [E2EError]
    for error in found:
        found += [sub for sub in error.__subclasses__() if sub not in found]
    return found


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_every_error_has_code_sentence_remedy_and_exit_status(error: type[E2EError]) -> None:
    """Machines read the code, people the sentence and the remedy."""
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert error.remedy.endswith(".")
    assert error.exit_status in {1, 2, 3, 4, 5, 6, 7, 8, 9, 130}
    assert error.__doc__


def test_every_error_code_is_in_the_readme() -> None:
    """An agent's owner looks them up there."""
    readme = (ROOT / "README.md").read_text("utf-8")

    assert {error.code for error in errors() if f"`{error.code}`" not in readme} == set()


def test_the_readmes_diagram_is_the_table() -> None:
    """It is written from decisions/lifecycle.py and cannot drift."""
    assert lifecycle.diagram() in (ROOT / "README.md").read_text("utf-8")


def test_dependencies_are_imported_where_they_are_declared() -> None:
    """Every declared dependency serves, and none is missing."""
    declared = {
        re.split(r"[<>=~!\[; ]", line)[0].replace("-", "_").lower()
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    }
    aliases = {"pil": "pillow", "mcp_types": "mcp", "opentelemetry": "opentelemetry_api"}
    imported = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            imported |= {aliases.get(top, top) for top in (module.split(".")[0].lower() for module in modules)}

    assert declared <= imported
