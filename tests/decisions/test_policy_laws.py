"""The command policy bears any text: it answers, in bounded time and depth."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.decisions.policy import Concern, concerns
from mcp_e2e.decisions.policy.parsing import parse

PIECES = st.sampled_from(
    ["rm", "-rf", "/", "$(", ")", "(", "{", "}", "'", '"', "`", "\\", "|", "&&", ";", "\n", "<<EOF\n", "EOF", ">", "$'",
     "\\x72", "eval", "bash", "-c", "find", "-exec", "{}", "xargs", "-I", "sudo", "kill", "git", "[", "*", "~", "=",
     "-1", "$X", "<(", "{a,b}", "case", "in", "esac", "if", "fi", "sqlite3", "docker", "-v", "-m", "curl", "sh", "\0",
     "\ud800", "-", "--", "-t", "-s", "mv", "of=", "dd", "trap", "²"]
)  # fmt: skip


def judged(command: str | None, argv: list[str] | None = None) -> tuple[Concern, ...]:
    return concerns(
        command=command, argv=argv, cwd="/p", project="/p", state_dir=".mcp-e2e", home="/h", protected={7: "x"}
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=30), st.sampled_from(["", " "]))
def test_no_text_raises(pieces: list[str], space: str) -> None:
    """Whatever an agent types."""
    assert isinstance(judged(space.join(pieces)), tuple)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=12))
def test_no_argument_list_raises(pieces: list[str]) -> None:
    """Also one that no system would run."""
    assert isinstance(judged(None, pieces), tuple)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab -./_=", max_size=20), st.sampled_from(["'{}'", '"{}"', "$'{}'"]))
def test_quoted_text_is_not_run(text: str, quotes: str) -> None:
    """A message may speak of anything."""
    assert judged("echo " + quotes.format(f"{text}; rm -rf / {text}")) == ()


@pytest.mark.parametrize(
    "line",
    [
        "( " * 200 + "rm -rf /srv" + ")" * 200,
        "$(" * 200 + "rm -rf /srv" + ")" * 200,
        "{ " * 200 + "rm -rf /srv;" + " }" * 200,
        "eval " * 200 + "rm -rf /srv",
        "sudo " * 60 + "rm -rf /srv",
        "find . -exec " * 60 + "rm -rf /srv",
        "if true; then " * 200 + "rm -rf /srv; " + "fi; " * 200,
    ],
    ids=lambda line: line[:8],
)
def test_two_hundred_levels_are_read_to_the_bottom(line: str) -> None:
    """Nesting hides nothing and overflows nothing."""
    assert "destructive" in {concern.kind for concern in judged(line)}


@pytest.mark.parametrize("line", ["sudo " * 99 + "true", "eval " * 2000 + "true", "find -exec " * 99, "ls\n" * 9_999])
def test_what_is_too_much_to_read_is_told(line: str) -> None:
    """It is not waved through."""
    concern, *_ = judged(line)

    assert concern.what.startswith(("is too long", "is wrapped too often"))


@pytest.mark.parametrize(
    "unit",
    [
        "a|",
        "x=(",
        "((a",
        "$[",
        "<<<",
        "<<E\n",
        "${",
        "\0",
        "(",
        "rm -rf x;",
        "{a,b}",
        "a$(",
        "xargs ",
        "find a ",
        "\\",
        "a | ",
        "kill $(",
        "find a -exec ",
        "xargs -Ia ",
        "eval ",
    ],
)
def test_ten_thousand_characters_take_bounded_time(unit: str) -> None:
    """Also the worst ones, on a busy machine."""
    began = time.monotonic()
    judged(unit * (10_000 // len(unit)))

    assert time.monotonic() - began < 10


@pytest.mark.parametrize("text", ["{\U00031860", "a{\U0010ffff", "{é", "\ud800{"])
def test_the_parser_sees_nothing_but_ascii(text: str) -> None:
    """Its scanner may end the whole process at other characters."""
    parsed = parse(text)

    assert (parsed.root.text or b"").isascii()
    assert parsed.source(parsed.root) == text


def test_names_in_other_scripts_stay_what_they_are() -> None:
    """Only the parser is spared them."""
    (concern,) = judged("echo 'é' {\U00031860} ö; rm -rf '/srv/模型'/$'\\u00fc'é")

    assert concern.what.startswith("deletes /srv/模型/üé with everything in it: rm -rf '/srv/模型'")


def test_broken_text_is_no_concern_but_its_whole_parts_are_judged() -> None:
    """A missing quote is the shell's business."""
    assert judged("echo 'unfinished") == ()
    assert judged("if then fi )") == ()
    assert judged("rm -rf /srv; if then fi )") != ()
