"""``.env.example`` and the code name the same variables."""

import re
from pathlib import Path

from mcp_e2e.settings import Settings
from mcp_e2e.settings.dotenv import parse_dotenv
from mcp_e2e.settings.overrides import OVERRIDES, SET_BY_PEOPLE, SET_FOR_TESTS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
LINES = dict(re.findall(r"^# (MCP_E2E_\w+)=(.*)$", EXAMPLE, re.MULTILINE))


def test_every_variable_is_in_the_example_and_the_example_names_no_other() -> None:
    """Both ways, also for those that only tests receive."""
    assert set(LINES) == {*SET_BY_PEOPLE, *SET_FOR_TESTS}
    assert "MCP_E2E_PARAM_<NAME>" in EXAMPLE


def test_the_example_shows_the_defaults() -> None:
    """Taking away a # changes nothing until the value is edited."""
    for name, ((table, key), convert) in OVERRIDES.items():
        assert convert(LINES[name]) == getattr(getattr(Settings(), str(table)), str(key))


def test_every_single_setting_of_the_fixed_tables_has_a_variable() -> None:
    """A new setting that is no list gets one too."""
    tables = Settings().model_dump(exclude={"services", "tests"}, exclude_none=True)
    single = {(table, key) for table, keys in tables.items() for key, v in keys.items() if not isinstance(v, list)}

    assert {key for key, _ in OVERRIDES.values()} == single


def test_as_delivered_the_example_sets_nothing() -> None:
    """Copying it is safe."""
    assert parse_dotenv(EXAMPLE).values == {}
    assert parse_dotenv(EXAMPLE).odd_lines == ()


def test_no_other_variable_is_read_anywhere_in_the_code() -> None:
    """A name that stands in the package but not in the table would draw a warning from ourselves."""
    used = {
        name
        for f in (ROOT / "mcp_e2e").rglob("*.py")
        for name in re.findall(r"MCP_E2E_[A-Z_]+\b", f.read_text("utf-8"))
    }

    assert {name.removesuffix("_") for name in used} <= {*LINES, "MCP_E2E", "MCP_E2E_PARAM"}
