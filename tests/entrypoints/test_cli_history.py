"""history: what has run, read back on the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from mcp_e2e.entrypoints.cli import run
from mcp_e2e.entrypoints.cli.spans import Span
from tests.leftovers import end_leftovers

CONFIG = """
[[tests]]
id = "good"
command = [{python}, "-c", "pass"]

[[tests]]
id = "bad"
command = [{python}, "-c", "raise SystemExit('the cause')"]

[[tests]]
id = "never"
command = [{python}, "-c", "pass"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project with a test that passes, one that fails, and one that nobody runs."""
    (tmp_path / "mcp-e2e.toml").write_text(CONFIG.format(python=json.dumps(sys.executable)))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    end_leftovers(tmp_path)


def test_history_of_what_has_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each test, every attempt of one, only late ones, and as JSON; looking is no judged call."""
    assert run(["history"]) == 0
    assert capsys.readouterr().out == "No test has run yet.\n"
    assert run(["run", "good", "bad", "-q"]) == 1
    capsys.readouterr()

    assert run(["history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["bad", "good"]
    assert "0/1 passed, last failure" in lines[0]
    assert "the cause" in lines[0]
    assert "✓  1/1 passed, median" in lines[1]

    assert run(["history", "bad", "--json"]) == 0
    (bad,) = json.loads(capsys.readouterr().out)["data"]["tests"]
    assert (bad["verdicts"], bad["pass_rate"]) == (["failed"], 0.0)
    assert bad["attempts"][0]["signature"] == bad["last_failure"]["signature"]

    run(["run", "good", "-q"])
    capsys.readouterr()
    for last in (1, 2):
        assert run(["history", "good", "--last", str(last), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["data"]["tests"][0]["attempts"]) == last
    assert run(["history", "--since", "0.001s"]) == 0
    assert capsys.readouterr().out.startswith("No test has ended since then.")
    assert run(["history", "never"]) == 0
    assert run(["history", "--since", "7d"]) == 0
    assert "good" in capsys.readouterr().out
    assert run(["history", "goods"]) == 2
    assert "Did you mean 'good'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("1h30m", 5400), ("0.5h", 1800)]
)
def test_spans_of_time(said: str, seconds: float) -> None:
    """A number and a unit, as often as one likes."""
    assert Span().convert(said, None, None) == seconds


@pytest.mark.parametrize("said", ["", "24", "h", "24 h", "1y", "-1h", "0s", "1h30", "9" * 400 + "w"])
def test_no_spans_of_time(said: str) -> None:
    """The error shows how one is written."""
    with pytest.raises(click.BadParameter, match="is no span of time: write 90s, 30m"):
        Span().convert(said, None, None)
