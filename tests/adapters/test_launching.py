"""The command that starts a ComfyUI: what is ours, what is carried over, and what never is."""

from pathlib import Path

from mcp_e2e.adapters.comfyui.installation import Interpreter
from mcp_e2e.adapters.comfyui.launching import Carried, carried, command
from tests.installations import FLAGS

KNOWN = frozenset(FLAGS)
PYTHON = Interpreter(Path("/c/python_embeded/python.exe"), "the portable build's", ("-s",))
OURS = ["--listen", "127.0.0.1", "--port", "{port}", "--output-directory", "{outputs}"]


def test_flags_of_a_running_one_are_kept_with_absolute_paths() -> None:
    """Several values, values after an equals sign and paths from where it was started."""
    words = ["stray", "--cpu", "--base-directory", "../data", "--extra-model-paths-config=a.yaml", "b.yaml"]

    kept = carried(words, Path("/home/me/ComfyUI"), KNOWN)

    assert kept.flags == (
        ("--cpu",),
        ("--base-directory", "/home/me/data"),
        ("--extra-model-paths-config", "/home/me/ComfyUI/a.yaml", "/home/me/ComfyUI/b.yaml"),
    )


def test_what_is_the_sessions_own_or_unknown_is_not_kept() -> None:
    """Its address and outputs, how it talks, and what this version does not know."""
    words = ["--listen", "0.0.0.0", "--port", "9", "--output-directory", "/o", "--auto-launch", "--gone", "--verbose"]
    assert carried(words, Path("/c"), KNOWN | {"--verbose", "--auto-launch"}) == Carried()


def test_secrets_are_left_out_and_told_by_name_alone() -> None:
    """By the flag's name or by its value; the value appears nowhere."""
    words = ["--database-url", "postgresql://me:hunter2@db/x", "--comfy-api-base", "https://x/?api_key=abc", "--cpu"]

    kept = carried(words, Path("/c"), KNOWN)

    assert kept == Carried((("--cpu",),), ("--database-url", "--comfy-api-base"))


def test_a_session_of_another_project_keeps_its_database() -> None:
    """It lies in that project's folder."""
    words = ["--database-url", "sqlite:////other/comfyui.db", "--lowvram"]
    assert carried(words, Path("/c"), KNOWN, ours=True) == Carried((("--lowvram",),))
    assert carried(words, Path("/c"), KNOWN).flags[0] == ("--database-url", "sqlite:////other/comfyui.db")


def test_the_command() -> None:
    """The interpreter's options before main.py, ours first, each flag once."""
    kept = Carried((("--cpu",), ("--lowvram",)))

    line = command(PYTHON, "main.py", known=KNOWN, kept=kept, cpu=True, portable=True, own_database=True)

    assert line == [
        *("/c/python_embeded/python.exe", "-s", "main.py", *OURS, "--disable-auto-launch"),
        *("--windows-standalone-build", "--cpu", "--database-url", "sqlite:///{outputs}/comfyui.db", "--lowvram"),
    ]


def test_no_flag_that_its_version_does_not_know() -> None:
    """An unknown flag would end the start."""
    for known, more in ((frozenset({"--lowvram"}), []), (frozenset(), ["--cpu"])):  # empty: it could not be told
        line = command(PYTHON, "main.py", known=known, kept=Carried(), cpu=True, portable=True, own_database=True)
        assert line[3:] == [*OURS, *more]


def test_a_database_of_its_users_stays() -> None:
    """One is enough."""
    kept = Carried((("--database-url", "sqlite:////mine.db"),))
    line = command(PYTHON, "main.py", known=KNOWN, kept=kept, cpu=False, portable=False, own_database=True)
    assert line[9:] == ["--disable-auto-launch", "--database-url", "sqlite:////mine.db"]
