"""Logs as text: offsets, tails, patterns, and nothing that breaks a terminal or a JSON string."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.errors import UsageError
from mcp_e2e.process.keeping.capture import Excerpt
from mcp_e2e.process.output import clean, count_lines, cut, grep, last_line, pour, read_slice, slice_at, tail
from mcp_e2e.process.redaction import REACH, Redactor
from mcp_e2e.process.sparse import BLOCK_BYTES

SECRET = "correct-horse-battery-staple"
KNOWS = Redactor([SECRET])
TOKEN = "ghp_" + "a1B2c3" * 6
HOLE = 20 << 30


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


@pytest.mark.parametrize("secret", [SECRET, TOKEN])
@pytest.mark.parametrize("limit", [5, 17, 64])
def test_a_secret_across_slices_is_in_none_of_them(tmp_path: Path, secret: str, limit: int) -> None:
    """However a cursor cuts it; offsets stay those of the file."""
    log, parts, offset = tmp_path / "log", [], 0
    log.write_text(f"{'before ' * 9}{secret}{' after' * 9}\n")
    while (found := slice_at(log, offset, limit, KNOWS)).next_offset > offset:
        assert (found.begin, found.next_offset) == (offset, min(offset + limit, log.stat().st_size))
        parts.append(found.text)
        offset = found.next_offset
    assert "".join(parts).replace("***", "") == f"{'before ' * 9}{' after' * 9}\n"
    assert not any(secret[at : at + 4] in part for part in parts for at in range(len(secret) - 3))


def test_a_secret_at_the_border_of_a_tail_or_still_being_written(tmp_path: Path) -> None:
    """Its rest is blanked after the cut, its beginning before it is all there."""
    log = tmp_path / "log"
    log.write_text(f"{'x' * 100} {SECRET} after {SECRET[:12]}")
    for size in range(20, 50):
        assert tail(log, size, redactor=KNOWS) in {"after ***", "*** after ***"}
    assert read_slice(log, 101, 500, KNOWS)[0] == "*** after ***"


def test_a_tail_without_a_line_end_begins_after_a_white_space(tmp_path: Path) -> None:
    """Half a word may be half a secret that nobody told us."""
    log = tmp_path / "log"
    log.write_text("one unknown-secret two")
    assert tail(log, 10) == "two"
    log.write_text("x" * 1000)
    assert tail(log, 10) == "x" * 10


def test_the_last_line_is_cut_after_it_is_redacted(tmp_path: Path) -> None:
    """Its end is shown, from a whole word on."""
    log = tmp_path / "log"
    assert last_line(log) is None
    log.write_text(f"first\n{'y' * 50} token {SECRET}{TOKEN} {'z' * 90}\n\n")
    assert last_line(log, redactor=KNOWS) == f"token ****** {'z' * 90}"
    assert last_line(log, 95, KNOWS) == "z" * 90


def test_grep_searches_what_it_shows(tmp_path: Path) -> None:
    """A pattern cannot guess a secret letter by letter; borders of blocks and of long lines hide nothing."""
    log = tmp_path / "log"
    lines = [
        f"key {SECRET}",
        "y" * (4096 - 10) + SECRET + " end",
        "-----BEGIN PRIVATE KEY-----",
        "MIIEabc",
        "-----END x",
    ]
    log.write_text("\n".join(lines) + "\n")
    assert grep(log, SECRET[:5], 9, redactor=KNOWS).found == ()
    assert [match.line for match in grep(log, "key|end|MIIE", 9, redactor=KNOWS).found] == ["key ***", "*** end"]
    log.write_text("z" * (BLOCK_BYTES - 10) + "\n" + f"{SECRET}\nlast\n")
    found = grep(log, "^[^z]", 9, redactor=KNOWS).found
    assert [(match.offset, match.line) for match in found] == [
        (BLOCK_BYTES - 9, "***"),
        (BLOCK_BYTES - 9 + len(SECRET) + 1, "last"),
    ]


@settings(deadline=None)
@given(lines=st.lists(st.integers(0, 5000), max_size=200), offset=st.integers(0, 3))
def test_grep_finds_each_line_at_its_place(tmp_path_factory: pytest.TempPathFactory, lines, offset) -> None:
    """Across all blocks; a line of more than 4 KiB comes in parts."""
    log = tmp_path_factory.mktemp("grep") / "log"
    data = b"".join(b"l" * length + b"\n" for length in lines)
    log.write_bytes(data)
    matches = grep(log, "", 10_000, min(offset, len(data)))
    at = min(offset, len(data))
    for match in matches.found:
        assert match.offset == at
        at += len(match.line) + (
            data[at + len(match.line) : at + len(match.line) + 1] == b"\n" and len(match.line) < 4096
        )
    assert (at, matches.more) == (len(data), False)


def test_output_is_poured_without_secrets_while_it_is_written(tmp_path: Path) -> None:
    """The unfinished line waits; at the end everything has come, once."""
    log, got, at = tmp_path / "log", [], 0
    text = f"one {SECRET}\ntwo {TOKEN} {'x' * 20}\n" * 3000 + f"end {SECRET}"
    data = text.encode()
    for size in [*range(0, 300, 7), BLOCK_BYTES - 30, BLOCK_BYTES + 3, len(data)]:
        log.write_bytes(data[:size])
        at = pour(log, at, got.append, KNOWS, last=False)
        assert size - REACH <= at <= size
    assert pour(log, at, got.append, KNOWS, last=True) == len(data)
    assert b"".join(got).decode() == text.replace(SECRET, "***").replace(TOKEN, "***")
    raw: list[bytes] = []
    pour(log, 0, raw.append, None, last=False)
    assert b"".join(raw) == data


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    """20 GiB of nothing, the rest of a block of zeros, then three lines."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(HOLE + 1000)
        file.seek(HOLE + 1000)
        file.write(b"first\nerror two\nthird\n")
    if log.stat().st_blocks > 1 << 20 or not hasattr(os, "SEEK_DATA"):
        pytest.skip("files here have no holes")
    return log


def test_a_hole_is_skipped_and_never_shown(holed: Path) -> None:
    """Whoever asks from inside of it gets the first text after it, with its offset, at once."""
    begun, at = time.monotonic(), HOLE + 1000
    assert slice_at(holed, 5, 9) == slice_at(holed, HOLE + 7, 9)
    assert (slice_at(holed, 5, 9).begin, *read_slice(holed, 0, 9)) == (at, "first\nerr", at + 9)
    assert tail(holed, 4096) == tail(holed, 1 << 20, start=3) == "first\nerror two\nthird\n"
    assert tail(holed, 12) == "third\n"
    assert (count_lines(holed), count_lines(holed, at + 7)) == (3, 2)
    found = grep(holed, "error|first", 9)
    assert [(match.offset, match.line) for match in found.found] == [(at, "first"), (at + 6, "error two")]
    assert found.next_offset == holed.stat().st_size
    for redactor in (None, KNOWS):
        got: list[bytes] = []
        assert pour(holed, 0, got.append, redactor, last=True) == holed.stat().st_size
        assert b"".join(got) == b"first\nerror two\nthird\n"
    assert time.monotonic() - begun < 5


def test_the_rest_of_a_value_that_a_hole_cut_is_blanked(tmp_path: Path) -> None:
    """What stood before it is gone; a file of nothing but a hole is empty."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(1 << 20)
    size = 1 << 20
    assert (read_slice(log, 0, 9), tail(log, 9), count_lines(log)) == (("", size), "", 0)
    with log.open("ab") as file:
        file.write(f"{SECRET[7:]} there\n".encode())
    assert read_slice(log, 0, 99, KNOWS)[0] == tail(log, 99, redactor=KNOWS) == "*** there\n"
    assert grep(log, "there", 1, redactor=KNOWS).found[0].line == "*** there"


def test_of_a_log_truncated_below_where_a_generation_began_the_rest_is_shown(tmp_path: Path) -> None:
    """Whoever emptied it wants to read what comes now."""
    log = tmp_path / "log"
    log.write_text("new\nlines\n")
    assert tail(log, 100, start=5000) == "new\nlines\n"
    assert count_lines(log, 5000) == 2
    assert grep(log, "new", 1, 5000).next_offset == 10


def test_a_long_line_is_cleaned_as_fast_as_a_short_one() -> None:
    """A program that never ends its line does not stop the reader."""
    begun = time.process_time()
    assert len(clean("x" * 2_000_000)) == 2_000_000
    assert clean("50%\r" * 500_000 + "done") == "done"
    assert time.process_time() - begun < 3
