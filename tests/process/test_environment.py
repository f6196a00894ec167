"""Which variables reach which child."""

from mcp_e2e.process.environment import DEFAULT_ENV_ALLOW, child_environment, service_environment

BASE = {
    "PATH": "/bin",
    "HOME": "/home/x",
    "LC_TIME": "de_DE.UTF-8",
    "AWS_SECRET_ACCESS_KEY": "s",
    "XDG_TOKEN": "s",
    "CLAUDECODE": "1",
    "LD_PRELOAD": "evil.so",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MCP_E2E_HTTP_TOKEN": "t",
    "MCP_E2E_JOB": "outer",
    "MY_SETTING": "1",
}


def test_a_command_sees_only_what_is_allowed():
    """No secrets, no marks of the agent, no questions asked; the job's own marker is always there."""
    env = child_environment(BASE, DEFAULT_ENV_ALLOW, {"EXTRA": "x"}, "j-1")
    assert env["PATH"] == "/bin"
    assert env["LC_TIME"] == "de_DE.UTF-8"
    assert (env["EXTRA"], env["MCP_E2E_JOB"], env["GIT_TERMINAL_PROMPT"], env["CI"]) == ("x", "j-1", "0", "1")
    assert not {"AWS_SECRET_ACCESS_KEY", "CLAUDECODE", "LD_PRELOAD", "MCP_E2E_HTTP_TOKEN", "MY_SETTING"} & set(env)


def test_a_secret_passes_only_by_its_full_name():
    """A pattern that happens to match a secret does not let it through."""
    assert "XDG_TOKEN" not in child_environment(BASE, ["XDG_*"], {}, "j-1")
    assert child_environment(BASE, ["XDG_TOKEN"], {}, "j-1")["XDG_TOKEN"] == "s"


def test_what_is_given_for_the_job_wins_over_everything_but_its_marker():
    """A test may want colours; it may not pretend to be another job."""
    env = child_environment(BASE, ["PATH"], {"TERM": "xterm", "MCP_E2E_JOB": "other"}, "j-1")
    assert (env["TERM"], env["MCP_E2E_JOB"]) == ("xterm", "j-1")


def test_a_service_sees_the_users_environment_without_our_marks():
    """It outlives the agent that started it, and needs the user's keys."""
    env = service_environment(BASE, {"HF_TOKEN": "h"}, "j-2")
    assert {"AWS_SECRET_ACCESS_KEY", "MY_SETTING", "HF_TOKEN"} <= set(env)
    assert not {"CLAUDECODE", "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE", "MCP_E2E_HTTP_TOKEN"} & set(env)
    assert (env["PYTHONUNBUFFERED"], env["MCP_E2E_JOB"]) == ("1", "j-2")
