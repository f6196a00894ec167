"""The command policy: what its concerns say, and how paths, argument lists and evidence are read."""

import subprocess
import sys

import pytest

from mcp_e2e.decisions.policy import Concern, concerns

HOME = "/home/me"
PROJECT = "/home/me/shop"
PROTECTED = {4711: "the keeper of service comfyui", 4712: "this server"}


def judged(command: str | None = None, argv: list[str] | None = None, cwd: str = PROJECT) -> tuple[Concern, ...]:
    return concerns(
        command=command, argv=argv, cwd=cwd, project=PROJECT, state_dir=".mcp-e2e", home=HOME, protected=PROTECTED
    )


@pytest.mark.parametrize("line", ["rm -rf .mcp-e2e/reports", "rm .mcp-e2e/artifacts/run/1/shot.png", "rm -rf *"])
def test_evidence_is_no_private_state(line: str) -> None:
    """Losing reports is bad, not an attack."""
    assert {concern.kind for concern in judged(line)} == {"destructive"}


@pytest.mark.parametrize("line", ["rm -rf .mcp-e2e/private", "kill 4711", "echo x > .mcp-e2e/private/x"])
def test_tampering_inside_the_project_is_nothing_else(line: str) -> None:
    """One reason is enough."""
    assert [concern.kind for concern in judged(line)] == ["tampering"]


def test_the_concern_says_what_and_shows_the_command() -> None:
    """It becomes part of the sentence a person reads."""
    assert judged("cd src && sudo rm -rf ~/models; ls") == (
        Concern("destructive", "deletes /home/me/models with everything in it: sudo rm -rf ~/models"),
    )


def test_a_protected_process_is_named() -> None:
    """By what it is, not by its number alone."""
    assert judged("kill -9 4711") == (Concern("tampering", "ends the keeper of service comfyui: kill -9 4711"),)


def test_the_same_concern_is_told_once() -> None:
    """A loop written out is still one thing to decide."""
    assert len(judged("rm -rf ~/a; rm -rf ~/a; rm -rf ~/b")) == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["rm", "-rf", "/srv/data"],
        ["bash", "-lc", "rm -rf /srv/data"],
        ["sudo", "sh", "-c", "cd / && rm -rf srv"],
        ["xargs", "rm", "-rf"],
        ["find", "/srv", "-exec", "rm", "-rf", "{}", "+"],
        ["git", "reset", "--hard"],
    ],
)
def test_an_argument_list_is_judged_like_a_line(argv: list[str]) -> None:
    """A shell in it is a shell."""
    assert {concern.kind for concern in judged(argv=argv)} == {"destructive"}


@pytest.mark.parametrize(
    "argv", [["rm", "-rf", "*"], ["echo", "$(rm -rf /)"], ["rm", "-rf", "~"], ["python", "x.py", ">", "/etc/hosts"], []]
)
def test_no_shell_expands_an_argument_list(argv: list[str]) -> None:
    """There a star is a file's name and a substitution is text."""
    assert judged(argv=argv) == ()


def test_relative_paths_count_from_where_the_command_runs() -> None:
    """The same words elsewhere are another deed."""
    assert judged("rm -rf *", cwd=f"{PROJECT}/build") == ()
    assert judged("rm -rf models", cwd=HOME) != ()


def test_the_parser_is_loaded_by_the_first_judged_line() -> None:
    """A server that never runs one does not pay for it."""
    code = "import sys, mcp_e2e.decisions.policy as p; print('tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
