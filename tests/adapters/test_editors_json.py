"""An entry is put into an editor's JSON: whatever else stands in the file keeps every character."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.adapters.editors.as_json import JsonServers
from mcp_e2e.adapters.editors.changes import Changes, Edit, applied
from mcp_e2e.adapters.editors.formats import Unreadable, put
from mcp_e2e.adapters.editors.jsonc import parse

FORM = JsonServers("servers")
ENTRY = {"type": "stdio", "command": 'C:\\it\'s "here"\\mcp-e2e.exe', "args": ["serve", "--project", "/Проект"]}
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(lambda key: key not in {"servers", "e2e"})
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
BLANKS = st.sampled_from(["", "", " ", "\n", "\r\n", "\t", "\n  ", ' // "}, \n', "/* { // */", "/**/", "// e2e\r\n"])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """``value`` as somebody may have typed it: blanks, comments and trailing commas anywhere."""

    def gap() -> str:
        return draw(BLANKS)

    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else [(None, each) for each in value]
        items = [
            ("" if key is None else f"{_text(draw, key)}{gap()}:{gap()}") + draw(written(each)) for key, each in pairs
        ]
        end = draw(st.sampled_from(["", ","])) if items else ""
        inside = gap() + f"{gap()},{gap()}".join(items) + gap() + end + gap()
        return f"{{{inside}}}" if isinstance(value, dict) else f"[{inside}]"
    return _text(draw, value)


def _text(draw: st.DrawFn, value: Any) -> str:
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def files(draw: st.DrawFn, *, with_entry: bool = False) -> tuple[dict[str, Any], str]:
    """Values and text of a file with other things in it, and perhaps servers, one of them perhaps ours."""
    value = draw(st.dictionaries(KEYS, VALUES, max_size=3))
    if with_entry or draw(st.booleans()):
        servers = draw(st.dictionaries(KEYS, VALUES, max_size=2))
        if with_entry:
            servers["e2e"] = draw(st.dictionaries(KEYS | st.sampled_from(["command", "args"]), VALUES, max_size=3))
        value["servers"] = draw(st.permutations(list(servers.items())).map(dict))
    value = draw(st.permutations(list(value.items())).map(dict))
    return value, draw(BLANKS) + draw(written(value)) + draw(BLANKS)


@settings(max_examples=60)
@given(files())
def test_what_is_typed_is_read(file: tuple[dict[str, Any], str]) -> None:
    """Comments and trailing commas mean nothing, and nothing else is lost."""
    value, text = file
    assert FORM.read(text) == value


@given(files())
def test_a_new_entry_changes_nothing_else(file: tuple[dict[str, Any], str]) -> None:
    """All other values are the same, in the same order; all other characters still stand, in theirs."""
    value, text = file
    after = put(FORM, text, "e2e", ENTRY, anew=False)
    read = FORM.read(after)

    assert read == {**value, "servers": {**value.get("servers", {}), "e2e": ENTRY}}
    assert [key for key in read if key in value] == list(value)
    kept = iter(after)
    assert all(char in kept for char in text if char not in " \t\r\n")


@given(files(with_entry=True), st.booleans())
def test_an_entry_that_is_there_is_changed_in_its_place(file: tuple[dict[str, Any], str], anew: bool) -> None:
    """Before it and behind it every character stands; in it what is not ours stays, unless it is to be made anew."""
    value, text = file
    old = parse(text).member("servers").member("e2e")
    after = put(FORM, text, "e2e", ENTRY, anew=anew)
    new = parse(after).member("servers").member("e2e")

    assert (after[: new.start], after[new.end :]) == (text[: old.start], text[old.end :])
    assert new.value == (ENTRY if anew else {**old.value, **ENTRY})
    assert list(FORM.read(after)["servers"]) == list(value["servers"])


@settings(max_examples=40)
@given(files(), st.sampled_from(["e2e", "x"]))
def test_a_second_time_there_is_nothing_to_do(file: tuple[dict[str, Any], str], name: str) -> None:
    """The same entry once more gives the same text."""
    after = put(FORM, file[1], name, ENTRY, anew=False)
    assert put(FORM, after, name, ENTRY, anew=False) == after


@settings(max_examples=60)
@given(files())
def test_only_blanks_are_ever_taken_away(file: tuple[dict[str, Any], str]) -> None:
    """A new member is an insertion, at most with a comma before it."""
    changes = Changes(file[1])
    changes.put(changes.root, {"e2e": ENTRY})

    assert 1 <= len(changes.edits) <= 2
    assert [file[1][edit.start : edit.end].strip() for edit in changes.edits] == [""] * len(changes.edits)
    assert FORM.read(applied(file[1], changes.edits)) == {**file[0], "e2e": ENTRY}


@given(st.text(st.sampled_from('{}[],:"\\/*\n ab0.-e2tru'), max_size=30))
def test_what_json_takes_is_taken_and_nothing_crashes(text: str) -> None:
    """Any text is read as ``json`` reads it, or with comments and trailing commas, or is refused with its place."""
    strict, read = _tried(json.loads, text), _tried(FORM.read, text)
    if isinstance(read, Unreadable):
        assert not isinstance(strict, dict)
        assert 1 <= read.line <= text.count("\n") + 1
        assert read.column >= 1
    else:
        assert isinstance(strict, ValueError) or strict == read


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, Unreadable) as error:
        return error


EXAMPLES = {
    "a file as Claude Code writes it": (
        '{\n  "servers": {\n    "a": {\n      "command": "a"\n    }\n  }\n}\n',
        (
            '{\n  "servers": {\n    "a": {\n      "command": "a"\n    },\n    "e2e": {\n      "command": "x",\n'
            '      "args": [\n        "serve"\n      ]\n    }\n  }\n}\n'
        ),
    ),
    "tabs, CR LF, a comment behind the last": (
        '{\r\n\t"servers": {\r\n\t\t"a": {"command": "a"} // mine\r\n\t}\r\n}',
        (
            '{\r\n\t"servers": {\r\n\t\t"a": {"command": "a"}, // mine\r\n\t\t"e2e": {\r\n\t\t\t"command": "x",\r\n'
            '\t\t\t"args": [\r\n\t\t\t\t"serve"\r\n\t\t\t]\r\n\t\t}\r\n\t}\r\n}'
        ),
    ),
    "a trailing comma": (
        '{\n    "servers": {\n        "a": {},\n        // more\n    },\n}',
        (
            '{\n    "servers": {\n        "a": {},\n        // more\n        "e2e": {\n            "command": "x",\n'
            '            "args": [\n                "serve"\n            ]\n        },\n    },\n}'
        ),
    ),
    "all on one line": (
        '{"servers": {"a": {}}}',
        '{"servers": {"a": {}, "e2e": {"command": "x", "args": ["serve"]}}}',
    ),
    "no servers yet": (
        '{\n  "inputs": []\n}\n',
        (
            '{\n  "inputs": [],\n  "servers": {\n    "e2e": {\n      "command": "x",\n      "args": [\n'
            '        "serve"\n'
            "      ]\n    }\n  }\n}\n"
        ),
    ),
    "empty servers": (
        '{\n  "servers": {}\n}\n',
        (
            '{\n  "servers": {\n    "e2e": {\n      "command": "x",\n      "args": [\n        "serve"\n      ]\n    }\n'
            "  }\n}\n"
        ),
    ),
    "comments alone": (
        "// my servers\n",
        (
            '// my servers\n{\n  "servers": {\n    "e2e": {\n      "command": "x",\n      "args": [\n        "serve"\n'
            "      ]\n    }\n  }\n}\n"
        ),
    ),
    "an older entry on lines of its own": (
        '{"servers": {\n  "e2e": {"command": "old", /* why */ "args": [], "env": {"A": "b"}} }}',
        '{"servers": {\n  "e2e": {"command": "x", /* why */ "args": ["serve"], "env": {"A": "b"}} }}',
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_looks_as_if_written_by_hand(name: str) -> None:
    """Indentation, line ends and commas as in the rest of the file."""
    before, after = EXAMPLES[name]
    assert put(FORM, before, "e2e", {"command": "x", "args": ["serve"]}, anew=False) == after


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, '"," or "}"'),
        ('{\r\n "a" 1}', 2, 6, "a colon"),
        ('{"a": }', 1, 7, "a value"),
        ("{'a': 1}", 1, 2, "a key in double quotes"),
        ('{"a": "x\n"}', 1, 7, "not closed"),
        ('{"a": "\\x"}', 1, 7, "not closed"),
        ('{"a": 1} /* x', 1, 10, "a comment is not closed"),
        ('{"a": 01}', 1, 7, "a value"),
        ('{"a": NaN}', 1, 7, "a value"),
        ('{"a": 1} {', 1, 10, "the end of the file"),
        ('{"a": [1,,2]}', 1, 10, "a value"),
        ('{"a": 1', 1, 8, '"," or "}"'),
        ("[1]", 1, 1, "no object"),
        ('{"servers": {"a": 1, "a": 2}}', 1, 22, "twice"),
        ("[" * 200, 1, 102, "nested"),
        ('{"servers": []}', 0, 0, "no servers by name"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, line: int, column: int, what: str) -> None:
    """And nothing is put into such a file."""
    with pytest.raises(Unreadable, match=what.replace('"', ".")) as caught:
        put(FORM, text, "e2e", ENTRY, anew=False)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_edits_at_one_place_keep_their_order() -> None:
    """The comma comes before what it separates."""
    assert applied("ab", [Edit(1, 1, ","), Edit(1, 1, "x"), Edit(2, 2, "!")]) == "a,xb!"
