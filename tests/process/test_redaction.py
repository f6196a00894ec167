"""Secrets in text are found by value and by shape, whole or cut, and ordinary words are left alone."""

import json
import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.process.redaction import BLANK, REACH, SHAPES, Redactor, blanked

LETTERS = string.ascii_letters + string.digits


def made_up(length: int, letters: str = LETTERS) -> str:
    return "7" + "".join(random.Random(length).choices(letters, k=length - 1))


JWT = f"eyJ{made_up(30)}.eyJ{made_up(60)}.{made_up(43)}"
KEY = "\n".join([made_up(64), made_up(63), "abc="])
TOKENS = {
    "github": "ghp_" + made_up(36),
    "github app": "ghs_" + made_up(36),
    "github fine": "github_pat_" + made_up(22) + "_" + made_up(59),
    "openai": "sk-" + made_up(48),
    "openai project": "sk-proj-" + made_up(40) + "-" + made_up(40),
    "anthropic": "sk-ant-api03-" + made_up(90) + "-AA",
    "hugging face": "hf_" + made_up(34, string.ascii_letters),
    "aws": "AKIA" + made_up(16, string.ascii_uppercase),
    "aws session": "ASIA" + made_up(16, string.ascii_uppercase),
    "google": "AIza" + made_up(35),
    "slack": "xoxb-1234567890-" + made_up(24),
    "slack app": "xapp-1-A0123456-" + made_up(24),
    "gitlab": "glpat-" + made_up(20),
    "npm": "npm_" + made_up(36),
    "pypi": "pypi-AgEIcHlwaS5vcmc" + made_up(100),
    "stripe": "sk_live_" + made_up(24),
    "stripe restricted": "rk_live_" + made_up(24),
    "jwt": JWT,
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize(
    "around", ["key={}", '{{"key": "{}"}}', r"a\n{}\n", "\x1b[32m{}\x1b[0m", "q%3D{}&x=1", "see {}.", "({})", "{}"]
)
def test_a_token_is_blanked_wherever_it_stands(token: str, around: str) -> None:
    """In assignments, JSON, escapes, colours, URLs and sentences."""
    assert SHAPES.text(around.format(token)) == around.format(BLANK)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.DEF-123~x", "Authorization: Bearer ***"),
        ("-H 'authorization: Basic dXNlcjpwYXNz'", "-H 'authorization: Basic ***'"),
        ("{'Authorization': 'Bearer abcdefgh12'}", "{'Authorization': 'Bearer ***'}"),
        ("(b'Authorization', b'token abcdefgh12')", "(b'Authorization', b'token ***')"),
        ("AUTHORIZATION=Bearer abcdefgh12", "AUTHORIZATION=Bearer ***"),
        ("https://me:p%40ss:w@host/x?y=a@b", "https://me:***@host/x?y=a@b"),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
        (r"'-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n'", r"'***\n'"),
        (f"-----BEGIN EC PRIVATE KEY-----\n{KEY}\n", "***"),
        (f"said: x.\n{KEY}\n-----END PRIVATE KEY-----\nb", "said: x.***\nb"),
    ],
)
def test_what_surrounds_a_secret_stays(text: str, shown: str) -> None:
    """Headers keep their scheme, addresses their host, keys lose all they have, also in part."""
    assert SHAPES.text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "import sklearn; pip install sk-learn sk-tutorial-for-beginners-2024-edition",
        "from huggingface_hub import hf_hub_download; HF_HOME=/x/hf_cache_of_the_whole_team",
        "task-20240101T101112Z-abcdef1234567890abcdef1234567890 risk-1234567890123456789012345678",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 6f1ed002ab5595859014ebf0951522d9",
        "550e8400-e29b-41d4-a716-446655440000 j-01h4abcd1234 npm_config_user_agent npm_package_dependencies_x",
        "http://127.0.0.1:8188/prompt?mail=a@b.c ssh://git@host:22/x http://[::1]:80/ file:///a:b/c@d",
        "AKIAN ASIAPACIFIC_REGION_OF_THE_WORLD_1 sk_live_migration_of_tables xoxo-hugs-and-kisses-to-all",
        "Authorization: Bearer $TOKEN, Authorization: Bearer <token>, the authorization server, Bearer of bad news",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\nAA",
        "eyJhbGciOiJIUzI1NiJ9 without a second part; /usr/lib/python3/dist-packages/ghp_import.py",
        "".join(random.Random(1).choices(LETTERS + "+/", k=200_000)),
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    """Digests, ids, paths, packages, base64 images, public keys, placeholders."""
    assert SHAPES.text(text) == text


@settings(deadline=None)
@given(st.text(min_size=6, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_a_known_value_never_comes_through(value: str, before: str, after: str) -> None:
    """Whatever characters it has, plain or as JSON writes it."""
    redactor = Redactor([value])
    assert value not in redactor.text(f"{before}{value}{after}").replace(BLANK, "\0")
    written = json.dumps(value)[1:-1]
    assert written not in redactor.text(f"{before}{written}{after}").replace(BLANK, "\0")


def test_overlapping_values_leave_nothing_of_each_other() -> None:
    """Short values are words by chance and stay."""
    redactor = Redactor(["abcdefgh", "efghijkl", "short"])
    assert redactor.text("abcdefghijkl abcdefghabcdefgh short") == "*** ****** short"
    assert "abc" not in repr(redactor)


def test_a_value_of_several_lines_is_found_line_by_line() -> None:
    """A log puts its own words before each of them."""
    first, second = made_up(20), made_up(21)
    assert Redactor([f"{first}\n{second}\n"]).text(f"api | {first}\r\napi | {second}") == "api | ***\r\napi | ***"


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30))
def test_a_cut_value_gives_nothing_away(shown: int, left: int) -> None:
    """From four characters on its beginning before a cut, and its end after one, are blanked."""
    value = made_up(31)
    redactor = Redactor([value])
    assert redactor.text(f"x {value[:shown]}", cut_end=True) == (f"x {BLANK}" if shown >= 4 else f"x {value[:shown]}")
    assert redactor.text(f"{value[-left:]} x", cut_start=True) == (f"{BLANK} x" if left >= 4 else f"{value[-left:]} x")
    assert redactor.text(f"x {value[:shown]}") == f"x {value[:shown]}"


@pytest.mark.parametrize("token", [*TOKENS.values(), "postgres://me:longpassword"], ids=[*TOKENS.keys(), "url"])
def test_a_cut_token_is_blanked_from_where_it_begins(token: str) -> None:
    """What more is to come is not known, what it will be is."""
    cut = f"got {token[:-4]}"
    assert SHAPES.text(cut, cut_end=True) in {f"got {BLANK}", f"got postgres://me:{BLANK}"}


def test_an_address_with_a_port_at_the_end_is_no_password() -> None:
    """Nor is a word that only begins like a token."""
    for text in ("listening on http://localhost:8188", "call hf_hub_download", "use sk-learn", "a task-1"):
        assert SHAPES.text(text, cut_end=True) == text


def test_only_what_can_still_become_a_secret_is_not_settled() -> None:
    """The unfinished line, or the lines of a key that has begun; at most ``REACH``."""
    begun = b"done\n-----BEGIN PRIVATE KEY-----\nMIIE\n"
    assert SHAPES.settled(b"one\ntwo") == 4
    assert SHAPES.settled(b"one\n") == 4
    assert SHAPES.settled(begun) == 5
    assert Redactor(["line one\nline two"]).settled(b"x\nline one\n") == 2
    assert SHAPES.settled(b"x" * 3 * REACH) == 2 * REACH


def test_blanking_inside_borders() -> None:
    """A span that begins before or ends behind them is blanked as far as it lies inside."""
    data, spans = b"0123456789", [(1, 4), (6, 9)]
    whole = [blanked(data, spans, start, end) for start, end in ((0, 10), (2, 7), (4, 6), (3, 3), (8, 10))]
    assert whole == [b"0***45***9", b"***45***", b"45", b"", b"***9"]


@pytest.mark.parametrize(
    "piece",
    [
        *("sk-", "eyJ", " eyJaaaaaaaaa.eyJ", "xoxb-", "://", "://a:b'", "uthorization: ", "ghp_", "sk-ant-", "glpat-"),
        *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----\nA-", "-----END PRIVATE KEY-----", "AKIA", "%20sk-", "a"),
    ],
)
def test_no_text_makes_it_slow(piece: str) -> None:
    """Eight times the text takes no more than about eight times as long."""
    redactor = Redactor(["a value that is known"])

    def taken(size: int) -> float:
        data = (piece * (size // len(piece) + 1)).encode()
        times = []
        for _ in range(3):
            begun = time.process_time()
            redactor.spans(data, cut_start=True, cut_end=True)
            times.append(time.process_time() - begun)
        return min(times)

    assert taken(400_000) < 25 * taken(50_000) + 0.05
