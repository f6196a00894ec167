"""The ``.env`` parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.settings.dotenv import parse_dotenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A = b c ", "b c"),
        ("export A=b", "b"),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=", ""),
        ("A= # comment", ""),
        ("A='b # \\n c' # comment", "b # \\n c"),
        ('A="b\\n\\"c\\" \\\\ \\$d"', 'b\n"c" \\ $d'),
        ('A="one\ntwo"', "one\ntwo"),
        ("A=b\r\n", "b"),
        ('A="b"\r\nB=c', "b"),
        ("A=${B}", "${B}"),
        ("A=1\nA=2", "2"),
        ("# A=1\n\n  A=2", "2"),
        ('A={"json": true}', '{"json": true}'),
    ],
)
def test_a_value_is_read_as_other_tools_read_it(text: str, value: str) -> None:
    """Quotes, comments, export, line ends, and texts over several lines."""
    assert parse_dotenv(text).values["A"] == value


@pytest.mark.parametrize("line", ["just words", "1A=b", 'A="never closed', 'A="b" c', "=b", "A"])
def test_a_line_that_is_no_assignment_is_listed_and_the_others_still_count(line: str) -> None:
    """A shared .env may hold what only another tool understands."""
    found = parse_dotenv(f"X=1\n{line}\nY=2")

    assert found.odd_lines == (2,)
    assert found.values == {"X": "1", "Y": "2"}


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a .env holds, reading it ends and gives names that can be variables."""
    assert all(name and "=" not in name for name in parse_dotenv(text).values)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), st.text(max_size=12), max_size=5))
def test_what_is_written_in_single_quotes_comes_back(values: dict[str, str]) -> None:
    """A value in single quotes is literal, over as many lines as it takes."""
    values = {name: value.replace("'", "") for name, value in values.items()}

    assert parse_dotenv("\n".join(f"{name}='{value}'" for name, value in values.items())).values == values
