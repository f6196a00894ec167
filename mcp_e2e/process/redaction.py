"""Finding secrets in text: values known by heart, and what has the shape of a token. Pure.

Works on bytes, so that what is found in a log is found at its offsets. Every shape stands behind a literal that is
looked for first: text without it costs one search. From a literal the shape's expression reads forward only, and what
it has read is not read again from another occurrence, so the time stays linear in the text.
"""

import json
import re
import shlex
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

BLANK = "***"
SHORTEST = 6  # characters: shorter values stand in too much text by chance
REACH = 8192  # bytes around a slice within which a secret that straddles its border is seen whole
_LINE = 16  # characters from which on a line of a longer value is blanked by itself
_PART = 4  # characters of a known value that give something away at a cut
_BEGUN = 12  # characters after its literal from which on a token cut off there is blanked

Span = tuple[int, int]

# not inside a word ("task-…"), unless the word before it is an escape: \n in JSON, %3D in a URL, a colour's end
_EDGE = (
    rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})"
    rb"|(?<=\x1b\[[0-9]m)|(?<=\x1b\[[0-9]{2}m)|(?<=\x1b\[[0-9];[0-9]{2}m))"
)
_KEY_KIND = rb"(?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BODY = rb"[A-Za-z0-9+/=\s\\]"
_KEY_TEXT = bytes(byte for byte in range(256) if re.fullmatch(_KEY_BODY, bytes([byte])))
_NO_SPACE = bytes(byte for byte in range(256) if not bytes([byte]).isspace())


class _Shape(NamedTuple):
    """``whole`` and ``begun`` match from the literal on; a group, where there is one, is what is blanked."""

    literal: bytes
    whole: re.Pattern[bytes]
    begun: re.Pattern[bytes] | None = None  # the same, cut off by the end of the text


def _token(
    literal: str, rest: str, least: int, *, exactly: bool = False, edge: bool = False, after: str = "", needs: str = ""
) -> _Shape:
    """``literal`` and at least ``least`` characters of the class ``rest``; ``needs`` looks ahead, bounded."""
    front = (_EDGE if edge else b"") + re.escape(literal.encode())
    run = f"[{rest}]".encode()
    whole = front + needs.encode() + run + f"{{{least}{'' if exactly else ','}}}".encode() + after.encode()
    return _Shape(literal.encode(), re.compile(whole), re.compile(front + run + b"{%d,}\\Z" % _BEGUN))


_ALNUM, _WORD = "A-Za-z0-9", "A-Za-z0-9_-"
_DIGIT_SOON = f"(?=[{_WORD}]{{0,48}}[0-9])"
_SHAPES = (
    *(_token(f"gh{kind}_", _ALNUM, 36) for kind in "pousr"),
    _token("github_pat_", f"{_ALNUM}_", 22),
    _Shape(  # OpenAI, Anthropic and their like: with a kind, or plain letters and digits to the end of the word
        b"sk-",
        re.compile(
            _EDGE + rb"sk-(?:(?:proj|svcacct|admin|service|ant|or)-(?=[\w-]{0,48}[0-9])[\w-]{20,}"
            rb"|(?=[A-Za-z]{0,48}[0-9])[A-Za-z0-9]{20,}(?![\w-]))"
        ),
        re.compile(_EDGE + rb"sk-(?=[\w-]{0,48}[0-9])[\w-]{%d,}\Z" % _BEGUN),
    ),
    _token("hf_", _ALNUM, 30),
    _token("AKIA", "A-Z0-9", 16, exactly=True, edge=True, after=f"(?![{_WORD}])"),
    _token("ASIA", "A-Z0-9", 16, exactly=True, edge=True, after=f"(?![{_WORD}])"),
    _token("AIza", _WORD, 35, edge=True),
    _Shape(
        b"xox",
        re.compile(rb"xox[a-z](?:\.xox[a-z])?-(?=[A-Za-z0-9-]{0,16}[0-9])[A-Za-z0-9-]{10,}"),
        re.compile(rb"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{%d,}\Z" % _BEGUN),
    ),
    _token("xapp-", f"{_ALNUM}-", 14, needs="(?=[0-9])"),
    _token("glpat-", _WORD, 20, after=r"(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?"),
    _token("npm_", _ALNUM, 36),
    _token("pypi-AgE", _WORD, 40),
    _token("sk_live_", _ALNUM, 16, needs=_DIGIT_SOON),
    _token("rk_live_", _ALNUM, 16, needs=_DIGIT_SOON),
    _Shape(
        b"eyJ",
        re.compile(_EDGE + rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{4,}"),
        re.compile(_EDGE + rb"eyJ[\w-]{%d,}(?:\.[\w-]*){0,2}\Z" % _BEGUN),
    ),
    *(
        _Shape(
            literal,
            re.compile(literal + rb"[^\w\n]{1,8}b?[^\w\n]{0,3}(?i:bearer|basic|token)[ \t]{1,4}([\w.~+/=|:-]{8,})"),
        )
        for literal in (b"uthorization", b"UTHORIZATION")
    ),
    _Shape(
        b"://",
        re.compile(rb"://[^\s/@:?#'\"<>]{0,256}:([^\s/@?#'\"<>]{1,256})@"),
        re.compile(rb"://[^\s/@:?#'\"<>]{0,256}:(?![0-9]{1,5}\Z)([^\s/@?#'\"<>]{1,256})\Z"),
    ),
    _Shape(  # up to its end line, or as far as it looks like one
        b"-----BEGIN ",
        re.compile(
            b"-----BEGIN " + _KEY_KIND + b"(?:[^-]*(?:-(?!----)[^-]*)*-----END " + _KEY_KIND + b"|" + _KEY_BODY + b"*)"
        ),
    ),
)
_KEY_END = re.compile(b"-----END " + _KEY_KIND)


class Redactor:
    """Knows the secret ``values`` of at least six characters, as they are and as JSON, shell and URLs write them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = tuple(sorted((form.encode("utf-8", "surrogatepass") for form in forms), key=len, reverse=True))

    def spans(self, data: bytes, *, cut_start: bool = False, cut_end: bool = False) -> list[Span]:
        """Where secrets stand: sorted, without overlaps.

        ``cut_start`` and ``cut_end``: the text goes on there, so a part of a known value of at least four characters,
        and at the end the beginning of a token, count too.
        """
        found = [span for form in self._forms for span in _occurrences(data, form)]
        for shape in _SHAPES:
            if shape.literal in data:
                found += _matches(data, shape)
        found += _key_ends(data)
        if cut_start:
            found += [(0, size) for form in self._forms if (size := _suffix_of(form, data))]
        if cut_end:
            found += [(len(data) - size, len(data)) for form in self._forms if (size := _prefix_of(form, data))]
            found += _begun(data)
        return _merged(found)

    def settled(self, data: bytes) -> int:
        """How many bytes from the start no further text can make part of a secret; the rest is at most ``REACH``.

        That is up to the last line end, or to where a secret of several lines may have begun.
        """
        line = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        running = [start for start, end in self.spans(data, cut_end=True) if end >= line and start < line]
        return max(0, len(data) - REACH, min([line, *running]))

    def text(self, text: str, *, cut_start: bool = False, cut_end: bool = False) -> str:
        """``text`` with every secret blanked."""
        if len(text) < _PART:
            return text
        data = text.encode("utf-8", "surrogatepass")
        spans = self.spans(data, cut_start=cut_start, cut_end=cut_end)
        return blanked(data, spans).decode("utf-8", "surrogatepass") if spans else text


SHAPES = Redactor()  # tokens only; for whoever knows no values


def blanked(data: bytes, spans: list[Span], start: int = 0, end: int | None = None) -> bytes:
    """``data[start:end]`` with each of ``spans``, which count from the beginning of ``data``, blanked as far as it
    lies inside."""
    end = len(data) if end is None else end
    parts, at = [], start
    for begin, stop in spans[max(0, bisect_right(spans, (start,)) - 1) :]:
        if begin >= end or start == end:
            break
        if stop > start:
            parts += [data[at : max(at, begin)], BLANK.encode()]
            at = min(stop, end)
    return b"".join([*parts, data[at:end]])


def _forms(value: str) -> Iterator[str]:
    for one in {value, value.strip()}:
        yield one
        yield json.dumps(one)[1:-1]
        yield json.dumps(one, ensure_ascii=False)[1:-1]
        yield shlex.quote(one).strip("'")
        yield quote(one, safe="", errors="replace")
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _LINE)


def _occurrences(data: bytes, form: bytes) -> Iterator[Span]:
    at = data.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = data.find(form, at + len(form))


def _matches(data: bytes, shape: _Shape) -> Iterator[Span]:
    at = data.find(shape.literal)
    while at >= 0:
        match = shape.whole.match(data, at)
        if match:
            yield match.span(match.lastindex or 0)
        at = data.find(shape.literal, match.end() if match else at + len(shape.literal))


def _key_ends(data: bytes) -> Iterator[Span]:
    """The rest of a private key whose beginning is not here."""
    before, at = 0, data.find(b"-----END ")
    while at >= 0:
        match = _KEY_END.match(data, at)
        if match:
            floor = max(before, at - 2 * REACH)
            yield floor + len(data[floor:at].rstrip(_KEY_TEXT)), match.end()
        before = match.end() if match else at + 1
        at = data.find(b"-----END ", before)


def _begun(data: bytes) -> Iterator[Span]:
    """Tokens that the end of the text cuts off: in its last run without white space."""
    floor = max(0, len(data) - REACH)
    run = floor + len(data[floor:].rstrip(_NO_SPACE))
    for shape in _SHAPES:
        at = data.find(shape.literal, run) if shape.begun else -1
        while at >= 0 and shape.begun:
            match = shape.begun.match(data, at)
            if match:
                yield match.span(match.lastindex or 0)
                break
            at = data.find(shape.literal, at + len(shape.literal))


def _prefix_of(form: bytes, data: bytes) -> int:
    """How many bytes at the end of ``data`` begin ``form``; 0 for fewer than four."""
    return next((size for size in range(len(form) - 1, _PART - 1, -1) if data.endswith(form[:size])), 0)


def _suffix_of(form: bytes, data: bytes) -> int:
    return next((size for size in range(len(form) - 1, _PART - 1, -1) if data.startswith(form[-size:])), 0)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
