"""An entry is put into Codex's TOML: comments, order, line ends and other tables stay as they are."""

import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcp_e2e.adapters.editors.as_toml import TomlServers
from mcp_e2e.adapters.editors.formats import Unreadable, put

FORM = TomlServers("mcp_servers")
ENTRY = {"command": "C:\\it's\\mcp-e2e.exe", "args": ["serve", "--project", 'a "b" Ж'], "tool_timeout_sec": 360}
ROOT = st.sampled_from(["", '# a comment [mcp_servers.e2e]\nmodel = "gpt"  # mine\n'])
TABLES = st.lists(
    st.sampled_from(
        [
            '\n[mcp_servers.docs]\ncommand = "npx" # the docs\nargs = [\n  "-y", # yes\n  "docs",\n]\n',
            "\n[mcp_servers.docs.env]\nA = 'b'\n",
            '\n[projects."/home/me/x"]\ntrust_level = "trusted"\n',
            '\n[tui]\nnotes = """\n[mcp_servers.e2e]\n"""\n',
            "\n# the screen\n[screen]\nwide = true\n",
            "\n[[hooks]]\nn = 1\n\n[[hooks]]\nn = 2\n",
        ]
    ),
    unique=True,
).map("".join)
OLD = '\n[mcp_servers.e2e] # ours\ncommand = "/old/mcp-e2e" # was here\nargs = [\n  "serve",\n]\nenabled = true\n'
APPROVED = '\n[mcp_servers.e2e.tools.status]\napproval_mode = "approve"\n'


def _loads(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


@given(ROOT, TABLES, st.booleans())
def test_a_new_entry_is_more_lines_at_the_end(root: str, tables: str, crlf: bool) -> None:
    """Every byte before them stands; they end as the others do."""
    text = root + tables
    assume(_loads(text) is not None)
    text = text.replace("\n", "\r\n") if crlf else text
    after = put(FORM, text, "e2e", ENTRY, anew=False)

    assert after.startswith(text)
    assert tomllib.loads(after)["mcp_servers"]["e2e"] == ENTRY
    others = {**FORM.read(text).get("mcp_servers", {}), "e2e": ENTRY}
    assert FORM.read(after) == {**FORM.read(text), "mcp_servers": others}
    assert not (crlf and text) or "\n" not in after.replace("\r\n", "")


@given(ROOT, TABLES, TABLES, st.booleans(), st.booleans())
def test_an_entry_that_is_there_is_changed_in_its_place(
    root: str, before: str, behind: str, crlf: bool, anew: bool
) -> None:
    """What stands before and behind it is not touched; comments and other keys in it stay, unless it is made anew."""
    before = root + before
    text = before + OLD + APPROVED + behind
    assume(_loads(text) is not None)
    text, before, behind = (each.replace("\n", "\r\n") if crlf else each for each in (text, before, behind))
    after = put(FORM, text, "e2e", ENTRY, anew=anew)
    entry = tomllib.loads(after)["mcp_servers"]["e2e"]

    assert after.startswith(before)
    assert after.endswith(behind)
    kept = {} if anew else {"enabled": True, "tools": {"status": {"approval_mode": "approve"}}}
    assert entry == {**ENTRY, **kept}
    assert anew or "# was here" in after
    assert not crlf or "\n" not in after.replace("\r\n", "")


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { e2e = { command = "x", args = ["serve"] }, b = { command = "b" } } # c\n',
        'mcp_servers.e2e.command = "x"\nmcp_servers.e2e.args = ["serve"]\n[a]\nb = 1\n',
        '[mcp_servers]\ne2e = { command = "x", args = [] }\n[a]\nb = 1\n',
    ],
)
def test_other_ways_to_write_an_entry(text: str) -> None:
    """Inline and dotted ones are changed where they are."""
    new = {key: ENTRY[key] for key in ("command", "args")}
    after = put(FORM, text, "e2e", new, anew=False)
    assert tomllib.loads(after) == {
        **tomllib.loads(text),
        "mcp_servers": {**tomllib.loads(text)["mcp_servers"], "e2e": new},
    }
    assert len(after.splitlines()) == len(text.splitlines())


def test_a_date_is_passed_over_as_one_value() -> None:
    """Its two parts too; what is changed stands behind it."""
    text = 'at = 2026-11-26 20:00:00 # c\n[mcp_servers.e2e]\nsince = 2026-11-26 20:00:00\ncommand = "x"\nargs = []\n'
    after = put(FORM, text, "e2e", {"command": "y", "args": []}, anew=False)
    assert after == text.replace('"x"', '"y"')


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ('mcp_servers.e2e.command = "x"\n[a]\n', 0, 0, "without changing"),
        ("[mcp_servers.e2e.command]\nx = 1\n", 0, 0, "table of its own|without changing"),
        ("a = 1\nb = \n", 2, 5, "Invalid value"),
        ('mcp_servers = { b = { command = "b" } }\n', 0, 0, "twice|without changing|inline"),
        ("mcp_servers = 1\n", 0, 0, "no servers by name"),
        ('a = "x\n', 1, 7, "Illegal"),
        ("[a", 1, 1, "Expected|Invalid"),
    ],
)
def test_what_cannot_be_added_to_is_told(text: str, line: int, column: int, what: str) -> None:
    """With the place of what is wrong, where there is one."""
    with pytest.raises(Unreadable, match=what) as caught:
        put(FORM, text, "e2e", ENTRY, anew=False)
    if line:
        assert (caught.value.line, caught.value.column) == (line, column)
