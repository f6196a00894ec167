"""``mcp-e2e doctor``: what a person and a program read, and the exit status."""

import json
from pathlib import Path

from .conftest import Cli


def test_a_project_in_order(cli: Cli, project: Path) -> None:
    """Exit status 0, every group with its findings, and not a file more than before."""
    before = sorted(project.rglob("*"))
    done = cli("doctor")

    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")][:-1] == [
        *("Program", "GPU", "Configuration", "Tools", "Commands", "State", "Services", "Tests", "Editors")
    ]
    assert "\n  ok      5 of 5 tests have all they need\n" in done.stdout
    assert "          fix: mcp-e2e install claude (or vscode, cursor, codex)\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("problems: 0, ")
    assert sorted(project.rglob("*")) == before


def test_a_project_with_everything_wrong(cli: Cli, project: Path) -> None:
    """Exit status 8, and one envelope with all of it: configuration, database, an editor's entry, the encoding."""
    (project / "mcp-e2e.toml").write_text("[services.api]\nkind = 'command'\ncomand = ['x']\n")
    private = project / ".mcp-e2e" / "private"
    private.mkdir(parents=True, mode=0o700)
    (private / "state.db").write_bytes(b"no database" * 100)
    gone = {"command": "/gone/bin/mcp-e2e", "args": ["serve", "--project", str(project)]}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": {"e2e": gone}}))

    done = cli("--json", "doctor", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")

    envelope = json.loads(done.stdout)
    error = envelope["error"]
    assert (done.returncode, envelope["schema"], envelope["ok"], error["code"]) == (
        8,
        "mcp_e2e/doctor/1",
        False,
        "config",
    )
    found = [each for group in error["answer"]["groups"] for each in group["findings"]]
    problems = [each["what"] for each in found if each["state"] == "problem"]
    assert error["answer"]["problems"] == len(problems) == 3
    assert all(each["fix"] for each in found if each["state"] in {"problem", "warning"})
    for told in ("line 3", "is damaged", "not there: /gone/bin/mcp-e2e"):
        assert [what for what in problems if told in what] != []
    assert [each["what"] for each in found if "not UTF-8" in each["what"]] != []
