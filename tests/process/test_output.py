"""Logs as text: offsets, tails, patterns, and nothing that breaks a terminal or a JSON string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.errors import UsageError
from mcp_e2e.process.keeping.capture import Excerpt
from mcp_e2e.process.output import clean, cut, grep, read_slice, tail


def test_slices_join_to_the_whole_however_they_are_cut(tmp_path):
    """A cursor never splits a character and never skips a byte."""
    log, text = tmp_path / "log", "a✓b\nüü😀" * 20
    log.write_text(text, "utf-8")
    for limit in range(4, 12):
        parts, offset = [], 0
        while (found := read_slice(log, offset, limit))[0]:
            parts.append(found[0])
            offset = found[1]
        assert "".join(parts) == text
        assert offset == log.stat().st_size


def test_a_half_written_character_waits_for_its_rest(tmp_path):
    """The log grows between two reads in the middle of a character."""
    log = tmp_path / "log"
    log.write_bytes("ok ✓".encode()[:-1])
    text, offset = read_slice(log, 0, 100)
    assert (text, offset) == ("ok ", 3)
    log.write_bytes("ok ✓".encode())
    assert read_slice(log, offset, 100) == ("✓", 6)


def test_reading_outside_the_file_is_empty(tmp_path):
    """Missing files and offsets past the end are no errors; negative offsets count from the end."""
    log = tmp_path / "log"
    assert read_slice(log, 5, 10) == ("", 0)
    assert tail(log, 10) == ""
    assert grep(log, "x", 1).found == ()
    log.write_text("abcdef")
    assert read_slice(log, 99, 10) == ("", 6)
    assert read_slice(log, -2, 10) == ("ef", 6)


def test_a_tail_begins_with_a_whole_line_and_not_before_its_generation(tmp_path):
    """Old generations' output is not shown as this one's."""
    log = tmp_path / "log"
    log.write_text("old\nfirst line\nsecond line\n")
    assert tail(log, 15) == "second line\n"
    assert tail(log, 1000, start=4) == "first line\nsecond line\n"


def test_terminal_codes_and_progress_bars_are_reduced_to_what_is_left_on_the_screen():
    """Colours go, redrawn lines keep their last state, Windows line ends become ordinary ones."""
    assert clean("\x1b[1;31mred\x1b[0m\r\n 10%\r 50%\r100%\r\n\x1b]0;title\x07done\x00\x08") == "red\n100%\ndone"
    assert clean("50%\r100%\r") == "100%"


def test_grep_finds_lines_with_their_offsets_and_goes_on_where_it_stopped(tmp_path):
    """The limit is on lines found; an impossible pattern is the caller's mistake."""
    log = tmp_path / "log"
    log.write_text("error 1\nfine\nerror 2\nerror 3\n")
    first = grep(log, r"error \d", 2)
    assert [(match.offset, match.line) for match in first.found] == [(0, "error 1"), (13, "error 2")]
    assert first.more
    rest = grep(log, "error", 5, first.next_offset)
    assert [match.line for match in rest.found] == ["error 3"]
    assert not rest.more
    with pytest.raises(UsageError, match="not a regular expression"):
        grep(log, "(", 1)


def test_a_cut_text_says_how_much_is_missing():
    """Both ends stay, whole characters only."""
    assert cut("abc", 2, 1) == "abc"
    assert cut("ab" + "x" * 10 + "yz", 2, 2) == "ab\n… 10 bytes omitted …\nyz"
    assert cut("✓✓✓✓", 4, 4) == "✓\n… 6 bytes omitted …\n✓"
    assert cut("abcd", 2, 0) == "ab\n… 2 bytes omitted …\n"


@given(st.lists(st.binary(max_size=9000), max_size=4))
def test_an_excerpt_counts_every_byte(chunks):
    """Head, tail and what is between them are the whole; together they fit their limits."""
    excerpt, data = Excerpt(), b"".join(chunks)
    for chunk in chunks:
        excerpt.add(chunk)
    stored = excerpt.stored()
    assert stored["bytes"] == len(data)
    assert 0 <= stored["omitted"] <= max(0, len(data) - 8 * 1024 + 6)
    if not stored["omitted"] and data.isascii():
        assert stored["head"] + stored["tail"] == data.decode()
