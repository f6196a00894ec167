"""Bytes become lines, whatever the pieces in which they come."""

import os
import threading

import pytest

from mcp_e2e.entrypoints.mcp import wire


def heard(*writes: bytes) -> list[bytes]:
    """The lines of a pipe that is written to piece by piece, and closed."""
    source, sink = os.pipe()

    def write() -> None:
        for data in writes:
            os.write(sink, data)
        os.close(sink)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return list(wire._lines(source))
    finally:
        thread.join()
        os.close(source)


def test_a_line_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut anywhere, several at once, the last without its end."""
    monkeypatch.setattr(wire, "_CHUNK", 3)
    assert heard(b"ab", b"cd\n\nef\ng", b"h") == [b"abcd", b"", b"ef", b"gh"]
    assert heard() == []


def test_of_a_line_too_long_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its end either, which might look like a message; the next line is heard."""
    monkeypatch.setattr(wire, "_CHUNK", 4)
    monkeypatch.setattr(wire, "MOST_LINE", 10)
    assert heard(b"a" * 10, b"\n", b"b" * 11, b"\n{}\n", b"c" * 1000, b"{}\n{}") == [b"a" * 10, b"", b"{}", b"", b"{}"]
