"""A short run of the fuzzer, always the same, at each door; ``make fuzz`` makes the long one."""

import sys
from pathlib import Path

import pytest

from tests.fuzz.answers import Ledger, Wrong, message
from tests.fuzz.frames import frames
from tests.fuzz.lives import Plan
from tests.fuzz.port import Response, judge
from tests.fuzz.requests import Sending
from tests.fuzz.run import feed
from tests.fuzz.sendings import sending

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="waits for pipes as POSIX does")


@pytest.mark.parametrize(("door", "inputs", "number"), [("stdio", 120, 1), ("http", 120, 0)])
def test_strange_inputs_change_nothing(door: str, inputs: int, number: int, tmp_path: Path) -> None:
    """Each is refused or answered, the next question is answered rightly, and the server ends well."""
    tally = feed(door, 6, [Plan(number, range(inputs), short=True)], tmp_path)
    assert tally.wrong == []
    assert tally.inputs == inputs


def test_an_input_is_the_same_each_time() -> None:
    """So that its number and the seed are enough to see a failure again."""
    assert [frames(7, n, "modern") for n in range(50)] == [frames(7, n, "modern") for n in range(50)]
    assert [sending(7, n, 80, "s") for n in range(50)] == [sending(7, n, 80, "s") for n in range(50)]
    assert len({frames(7, n, "modern").data for n in range(50)}) > 45


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"{}",
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"%s"}}' % (b"x" * 40_000),
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"%s"}]}}' % (b"x" * 9_000),
    ],
)
def test_what_no_answer_may_be(line: bytes) -> None:
    """No JSON, no message, a defect, or too long."""
    with pytest.raises(Wrong):
        message(line)


def test_who_is_owed_an_answer() -> None:
    """One for each request, of the very id; a second one, or one to nobody, is noticed."""
    ledger = Ledger()
    ledger.ask(["1", 1], ["maybe"], strays=1)
    for number in ("1", "maybe"):
        ledger.hear({"id": number, "result": {}})
    assert ledger.open() == ["int 1"]
    ledger.hear({"id": "stray", "result": {}})
    ledger.ask([], strays=1)
    for number in ("1", "maybe"):
        with pytest.raises(Wrong):
            ledger.hear({"id": number, "result": {}})
    ledger.hear({"id": True, "result": {}})
    for number in ("other", True):
        with pytest.raises(Wrong):
            ledger.hear({"id": number, "result": {}})


@pytest.mark.parametrize(
    ("sending", "status"),
    [
        (Sending("", (b"",), allowed=False), 200),
        (Sending("", (b"",), allowed=False), 307),
        (Sending("", (b"",), allowed=False, status=401), 403),
        (Sending("", (b"",)), 500),
    ],
)
def test_who_may_not_get_what(sending: Sending, status: int) -> None:
    """Without the token nobody gets in, a refusal is the right one, and nothing fails inside."""
    with pytest.raises(Wrong):
        judge(sending, [Response(status, {}, b"")], Ledger().seen)
