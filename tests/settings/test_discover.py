"""Which folder is the project and which file configures it."""

from pathlib import Path

import pytest

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Where, discover


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """home/ with a project in git, whose file stands in a folder below the git root."""
    (tmp_path / "home/repo/.git").mkdir(parents=True)
    (tmp_path / "home/repo/e2e/deep").mkdir(parents=True)
    (tmp_path / "home/repo/src").mkdir()
    (tmp_path / "home/repo/e2e/mcp-e2e.toml").touch()
    (tmp_path / "home/plain").mkdir()
    return tmp_path


def found(tree: Path, cwd: str, project: str | None = None, config: str | None = None, **environ: str) -> Where:
    return discover({"HOME": str(tree / "home"), **environ}, tree / cwd, project=project, config=config)


@pytest.mark.parametrize(
    ("cwd", "project"),
    [
        ("home/repo/e2e/deep", "home/repo/e2e"),
        ("home/repo/e2e", "home/repo/e2e"),
        ("home/repo/src", "home/repo"),
        ("home/repo", "home/repo"),
        ("home/plain", "home/plain"),
    ],
)
def test_the_nearest_file_or_git_root_upwards_is_the_project(tree: Path, cwd: str, project: str) -> None:
    """Without either the working directory itself is taken, so that init can begin there."""
    where = found(tree, cwd)

    assert where == Where(tree / project, tree / project / "mcp-e2e.toml")
    assert where.dotenv == tree / project / ".env"


def test_a_git_worktree_is_a_root_too(tree: Path) -> None:
    """There .git is a file."""
    (tree / "home/worktree/src").mkdir(parents=True)
    (tree / "home/worktree/.git").write_text("gitdir: elsewhere")

    assert found(tree, "home/worktree/src").project == tree / "home/worktree"


def test_the_option_comes_before_the_variables_and_they_before_the_search(tree: Path) -> None:
    """--project, MCP_E2E_PROJECT, CLAUDE_PROJECT_DIR, then upwards; an empty variable is none."""
    names = {"MCP_E2E_PROJECT": str(tree / "home/repo/src"), "CLAUDE_PROJECT_DIR": str(tree / "home/repo")}

    assert found(tree, "home", project="plain", **names).project == tree / "home/plain"
    assert found(tree, "home/plain", **names).project == tree / "home/repo/src"
    assert found(tree, "home/plain", **{**names, "MCP_E2E_PROJECT": ""}).project == tree / "home/repo"


def test_a_named_file_may_stand_anywhere(tree: Path) -> None:
    """The option comes before the variable; relative ones count from the working directory."""
    where = found(tree, "home/repo/src", config="../ci.toml", MCP_E2E_CONFIG="other.toml")

    assert where == Where(tree / "home/repo", tree / "home/repo/ci.toml", named=True)
    assert found(tree, "home/repo/src", MCP_E2E_CONFIG="other.toml").file == tree / "home/repo/src/other.toml"


def test_a_named_file_leads_to_its_project_when_the_working_directory_is_none(tree: Path) -> None:
    """Editors start servers anywhere, often in the home folder."""
    file = str(tree / "home/repo/e2e/mcp-e2e.toml")

    assert found(tree, "home", config=file).project == tree / "home/repo/e2e"
    assert found(tree, "home", config=str(tree / "home/plain/x.toml")).project == tree / "home/plain"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("root", [False, True])
def test_root_and_home_are_never_a_project(tree: Path, named: bool, root: bool) -> None:
    """Not even when named, or when a file or .git lies there."""
    (tree / "home/mcp-e2e.toml").touch()
    (tree / "home/.git").mkdir()
    folder = Path(tree.anchor) if root else tree / "home"

    with pytest.raises(ConfigError, match="never a project"):
        found(tree, "home/plain" if named else str(folder), project=str(folder) if named else None)


def test_a_home_folder_under_git_does_not_swallow_the_folders_below(tree: Path) -> None:
    """People keep their dotfiles in git."""
    (tree / "home/.git").mkdir()

    assert found(tree, "home/plain").project == tree / "home/plain"


def test_a_named_project_must_be_a_folder(tree: Path) -> None:
    """The sentence says who named it."""
    with pytest.raises(ConfigError, match=r"MCP_E2E_PROJECT names '\$\{workspaceFolder\}', which is no folder"):
        found(tree, "home/plain", MCP_E2E_PROJECT="${workspaceFolder}")


def test_a_path_that_cannot_be_looked_at_is_a_configuration_error(tree: Path) -> None:
    """A name too long for the file system must not look like a defect of ours."""
    with pytest.raises(ConfigError, match=r"cannot be looked at|no folder"):
        found(tree, "home/plain", project="x" * 5000)
