"""Line numbers of keys."""

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.settings.lines import key_lines, nearest_line, places

TEXT = '''\
# comment = 1
top = "a # b"
[a.b]
"quoted.key" = """
x = 1
[not.a.table]
"""
c.d = [ # here
  1, "]",
  { e = 2, f = "}" },
]
when = 1979-05-27 07:32:00
[[tests]]
id = 'one\\'
[tests.env]
X = ""
[[tests]]
id = "t\\"wo"
  [[tests.deep]]
  y = 1
  [[tests.deep]]
  y = 2
[a]
z = { "k" = { l = [[1],[2]] } }
'''


def test_every_way_to_write_a_key_has_its_line() -> None:
    """Tables, arrays of tables, dotted and quoted keys, inline tables, texts over several lines."""
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)

    assert {
        ("top",): 2,
        ("a", "b"): 3,
        ("a", "b", "quoted.key"): 4,
        ("a", "b", "c"): 8,
        ("a", "b", "c", "d"): 8,
        ("a", "b", "c", "d", 1): 9,
        ("a", "b", "c", "d", 2, "f"): 10,
        ("a", "b", "when"): 12,
        ("tests",): 13,
        ("tests", 0): 13,
        ("tests", 0, "id"): 14,
        ("tests", 0, "env"): 15,
        ("tests", 0, "env", "X"): 16,
        ("tests", 1, "id"): 18,
        ("tests", 1, "deep", 0, "y"): 20,
        ("tests", 1, "deep", 1, "y"): 22,
        ("a",): 23,
        ("a", "z", "k", "l", 1, 0): 24,
    }.items() <= lines.items()


def test_a_key_that_is_not_written_has_the_line_of_its_table() -> None:
    """A missing key is reported where it should be added."""
    lines = key_lines("[a]\nx = 1\n[[t]]\n")

    assert nearest_line(lines, ("a", "missing")) == 1
    assert nearest_line(lines, ("t", 0, "missing", "deeper")) == 3
    assert nearest_line(lines, ("elsewhere",)) is None


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8), unique=True, max_size=6))
def test_any_quoted_key_is_found_on_its_line(keys: list[str]) -> None:
    """Whatever a key is made of, and whatever its text value holds, its line is right."""
    rows = [f"{quoted(key)} = {quoted(key)}" for key in keys]
    text = "\n".join(rows)

    assert list(tomllib.loads(text)) == keys
    assert key_lines(text) == {(key,): at for at, key in enumerate(keys, 1)}


VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_every_key_that_the_parser_sees_has_a_line(document: dict[str, Any]) -> None:
    """The scanner and tomllib agree on which keys a text holds."""
    text = "\n".join(f"{quoted(key)} = {inline(value)}" for key, value in document.items())

    assert tomllib.loads(text) == document
    assert set(key_lines(text)) == set(paths((), document))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.sampled_from(["", "[a]\n", "x = 1\n[[a]] # c\n"]))
def test_every_value_has_its_place(document: dict[str, Any], header: str) -> None:
    """What stands there is the value, and nothing else; a table ends with its last one."""
    text = header + "\n".join(f"{quoted(key)} = {inline(value)} # c" for key, value in document.items())
    values, blocks = places(text)
    table = blocks[0].key if blocks else ()

    for key, value in document.items():
        begin, end = values[*table, key]
        assert tomllib.loads(f"x = {text[begin:end]}") == {"x": value}
    if blocks:
        last = values[*table, list(document)[-1]][1] if document else blocks[0].head
        assert (text[blocks[0].start], text[blocks[0].head - 1], blocks[0].end) == ("[", "]", last)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in text) + '"'


def inline(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case list():
            return "[" + ",\n ".join(map(inline, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + " }"
    return str(value)


def paths(key: tuple[str | int, ...], value: object) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield (*key, name)
        yield from paths((*key, name), below)
