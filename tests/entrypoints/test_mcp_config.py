"""Wrong configuration through ``serve``: the server starts, and each mistake is one clear error with its remedy."""

import json
import socket
import sys
from pathlib import Path

import pytest

SERVICE = '[services.api]\nkind = "command"\ncommand = [{python}, "service.py", "{{port}}"]\nport = 0\n'
TEST = '[[tests]]\nid = "t"\ncommand = ["true"]\n'
MISTAKES = [
    ("unknown key", SERVICE.replace("port = 0", "prot = 0"), "start_session", {}, "config", ["prot", "port", "line 4"]),
    (
        "bad type",
        SERVICE.replace("port = 0", 'port = "0"'),
        "start_session",
        {},
        "config",
        ["services.api.port", "line 4"],
    ),
    ("no command", '[services.api]\nkind = "command"\n', "start_session", {}, "config", ["command", "url"]),
    ("no toml", "[services.api\n", "plan_run", {}, "config", ["line 1"]),
    (
        "missing program",
        '[[tests]]\nid = "t"\ncommand = ["no-such-program"]\n',
        "plan_run",
        {},
        "setup",
        ["no-such-program"],
    ),
    (
        "missing file",
        '[services.c]\nkind = "comfyui"\nurl = "http://127.0.0.1:9"\n[[tests]]\nid = "t"\nworkflow = "gone.json"\n',
        "plan_run",
        {},
        "setup",
        ["gone.json"],
    ),
    (
        "UI format",
        '[services.c]\nkind = "comfyui"\nurl = "http://127.0.0.1:9"\n[[tests]]\nid = "t"\nworkflow = "ui.json"\n',
        "run_test",
        {"test": "t"},
        "setup",
        ["ui.json", "Export (API)"],
    ),
    (
        "unset variable",
        TEST + 'env = { A = "${NOT_SET_HERE}" }\n',
        "run_test",
        {"test": "t"},
        "setup",
        ["${NOT_SET_HERE}"],
    ),
    ("taken port", SERVICE.replace("port = 0", "port = {taken}"), "start_session", {}, "port_taken", ["in use", "url"]),
]


@pytest.mark.parametrize(
    ("config", "tool", "arguments", "code", "told"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
@pytest.mark.parametrize("era", ["auto"], indirect=True)
async def test_each_mistake_is_one_error_with_a_remedy(
    connect, meet, project: Path, config: str, tool: str, arguments: dict[str, str], code: str, told: list[str]
) -> None:
    """It names the thing and the fix; status shows it or the tests' problems; nothing was started."""
    (project / "ui.json").write_text('{"nodes": [], "links": []}')
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        filled = config.replace("{taken}", str(stranger.getsockname()[1]))
        filled = filled.replace("{python}", json.dumps(sys.executable)).replace("{{port}}", "{port}")
        (project / "mcp-e2e.toml").write_text(filled)
        async with connect() as client:
            agent = await meet(client)
            error = await agent.fails(tool, **arguments)
            status = await agent.does("status")

    said = f"{error['message']} {error['remedy']}"
    assert error["code"] == code
    assert [word for word in told if word not in said] == [], said
    assert error["remedy"]
    assert ("config_error" in status) == (code == "config")
    assert status.get("jobs", []) == []
