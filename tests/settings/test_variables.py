"""``.env`` and ``MCP_E2E_*`` beside the file."""

import re


def test_the_real_environment_wins_over_dotenv_and_dotenv_over_the_file(project) -> None:
    """For overrides and for what env values refer to."""
    project.write("MCP_E2E_GUARD_MODE=observe\nMCP_E2E_EXEC_SANDBOX=off\nA=dotenv\nB=dotenv\n", ".env")
    loaded = project.load("[guard]\nmode = 'enforce'\n", MCP_E2E_EXEC_SANDBOX="required", A="real")

    assert (loaded.settings.guard.mode, loaded.settings.exec.sandbox) == ("observe", "required")
    assert loaded.environment({"A": "real"})["A"] == "real"
    assert loaded.environment({"A": "real"})["B"] == "dotenv"


def test_an_override_that_is_wrong_is_named_by_its_variable(project) -> None:
    """The file is not to blame."""
    error = project.error("[exec]\ntimeout_s = 5\n", {"MCP_E2E_EXEC_TIMEOUT_S": "soon"})

    assert error.message == "MCP_E2E_EXEC_TIMEOUT_S: exec.timeout_s: must be a number, not 'soon'."
    assert error.facts["line"] is None


def test_an_empty_override_overrides_nothing(project) -> None:
    """CI systems set variables to nothing."""
    assert project.load("", MCP_E2E_GUARD_MODE="").settings.guard.mode == "enforce"


def test_misspelt_variables_draw_a_warning(project) -> None:
    """Known ones and those of tests do not; one that works only before .env is read says so."""
    project.write("MCP_E2E_PROJECT=/x\n", ".env")
    loaded = project.load("", MCP_E2E_STATEDIR="x", MCP_E2E_JOB="1", MCP_E2E_PARAM_SEED="1", MCP_E2E_HTTP_TOKEN="x")

    assert [re.split(r"[:,]? ", warning)[0] for warning in loaded.warnings] == ["MCP_E2E_PROJECT", "MCP_E2E_STATEDIR"]
    assert "did you mean MCP_E2E_STATE_DIR?" in loaded.warnings[1]


def test_an_odd_line_of_dotenv_is_a_warning_without_its_text(project) -> None:
    """It may be half a secret."""
    project.write("hunter2\n", ".env")
    (warning,) = project.load("").warnings

    assert ".env, line 1" in warning
    assert "hunter2" not in warning
