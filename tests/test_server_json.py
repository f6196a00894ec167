"""``server.json``, which the MCP registry reads, says what the package, the README and ``.env.example`` say."""

import json
import re
import tomllib
from pathlib import Path

from mcp_e2e import __version__
from mcp_e2e.entrypoints.cli.app import cli
from mcp_e2e.settings.overrides import BEFORE_THE_FILE, OVERRIDES

ROOT = Path(__file__).resolve().parent.parent
SERVER = json.loads((ROOT / "server.json").read_text("utf-8"))
(PACKAGE,) = SERVER["packages"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


def test_version_and_description_are_the_packages() -> None:
    """In both places where the registry wants the version; the description fits into its 100 characters."""
    assert {SERVER["version"], PACKAGE["version"]} == {__version__}
    assert SERVER["description"] == PROJECT["description"]
    assert len(SERVER["description"]) <= 100
    assert f"**{SERVER['description'].partition(':')[0]}.**" in README


def test_the_readme_proves_whose_it_is() -> None:
    """The registry looks for this line in the package's description, which is the README."""
    assert re.fullmatch(r"io\.github\.[A-Za-z0-9-]+/mcp-e2e", SERVER["name"])
    assert re.findall(r"mcp-name: (\S+)", README) == [SERVER["name"]]
    assert PROJECT["readme"] == "README.md"


def test_it_starts_the_server_over_stdio() -> None:
    """``uvx mcp-e2e serve``."""
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", PROJECT["name"])
    assert (PACKAGE["runtimeHint"], PACKAGE["transport"]) == ("uvx", {"type": "stdio"})
    assert PACKAGE["identifier"] in PROJECT["scripts"]
    (argument,) = PACKAGE["packageArguments"]
    assert argument["type"] == "positional"
    assert argument["value"] in cli.commands


def test_its_variables_are_those_of_the_example() -> None:
    """Word for word. Defaults are hints only: a variable that is set would overrule mcp-e2e.toml."""
    told = dict(re.findall(r"^# (MCP_E2E_\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    variables = {each["name"]: each for each in PACKAGE["environmentVariables"]}

    assert list(variables) == [*BEFORE_THE_FILE, *OVERRIDES]
    for name, variable in variables.items():
        assert f"# {variable['description']}\n# {name}=" in EXAMPLE
        assert variable["format"] in {"string", "number", "boolean", "filepath"}
        assert variable.get("placeholder", told[name]) == told[name]
        assert not {"default", "value", "isRequired"} & set(variable)
