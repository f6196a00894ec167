"""From file, ``.env`` and variables to settings, or to one clear error."""

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Settings, Where, load, shown

CONTRACT = Path(__file__).with_name("contract.toml").read_text("utf-8")
SERVICE = '[services.a]\nkind = "command"\ncommand = ["x"]\n'
TABLES = ["project", "run", "breaker", "guard", "exec"]
IN_ONE_FOLDER = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def test_every_line_of_the_contract_loads(project) -> None:
    """CONTRACT 3 as written, with the folder it names."""
    (project.folder.parent / "ComfyUI").mkdir()
    loaded = project.load(CONTRACT)

    assert list(loaded.settings.services) == ["comfyui", "desktop", "api"]
    assert [test.id for test in loaded.settings.tests] == ["portrait", "api-smoke"]
    assert loaded.state_dir == project.folder / ".mcp-e2e"
    assert loaded.folder("../ComfyUI") == project.folder.parent / "ComfyUI"
    assert loaded.warnings == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_utf8_with_or_without_mark_and_any_line_end(project, encoding: str, ending: str) -> None:
    """Windows editors write both, and line numbers stay right."""
    text = f"# é\n{SERVICE}bogus = 1\n".replace("\n", ending)

    assert project.error(text.encode(encoding)).facts["line"] == 5


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named_as_such(project, encoding: str) -> None:
    """Old PowerShell writes it."""
    assert "UTF-16" in project.error(SERVICE.encode(encoding)).message


def test_other_bytes_are_named_with_their_line(project) -> None:
    """A latin-1 é is found where it stands."""
    assert "line 2: is not UTF-8 (byte 0xe9)" in project.error("a = 1\nb = 'é'".encode("latin-1")).message


@IN_ONE_FOLDER
@given(st.sampled_from(TABLES), st.text(string.ascii_lowercase + "_", min_size=1, max_size=12), st.integers(0, 5))
def test_any_unknown_key_is_named_with_its_line(project, table: str, key: str, above: int) -> None:
    """Whatever it is called and wherever it stands."""
    if key in Settings.model_fields[table].annotation.model_fields:
        return
    error = project.error("# x\n" * above + f"[{table}]\n{key} = 1\n")

    assert error.facts["line"] == above + 2
    assert error.facts["key"] == f"{table}.{key}"
    assert f"mcp-e2e.toml, line {above + 2}: {table}.{key}: not a known key" in error.message


@IN_ONE_FOLDER
@given(st.data())
def test_one_wrong_letter_is_answered_with_the_right_key(project, data: st.DataObject) -> None:
    """The nearest valid key is the fix."""
    table = data.draw(st.sampled_from(TABLES))
    key = data.draw(st.sampled_from(sorted(Settings.model_fields[table].annotation.model_fields)))
    at = data.draw(st.integers(0, len(key) - 1))
    error = project.error(f"[{table}]\n{key[:at]}9{key[at + 1 :]} = 1\n")

    assert error.advice == f"Did you mean '{key}'?"


@IN_ONE_FOLDER
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_no_file_is_a_defect_of_ours(project, data: bytes) -> None:
    """Whatever bytes stand there, loading works or says what is wrong."""
    project.write(data)
    with contextlib.suppress(ConfigError):
        load(project.where, {})


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "a = " + "[" * 400 + "]" * 400, f"a = {'9' * 5000}"])
def test_a_monstrous_value_is_a_configuration_error(project, text: str) -> None:
    """Deep nesting and endless numbers come out of the parser as other exceptions."""
    project.error(text)


def test_all_problems_come_at_once_topmost_first(project) -> None:
    """One repair round is enough."""
    error = project.error('[breaker]\nconsecutive_failures = "3"\n[services.a]\nkind = "comandd"\nprot = 1\n')

    assert [problem["line"] for problem in error.facts["problems"]] == [2, 4, 5]
    assert "line 2: breaker.consecutive_failures: must be a whole number, not '3'." in error.message.splitlines()[0]
    assert "Also line 4: services.a.kind: must be 'comfyui' or 'command', not 'comandd'." in error.message
    assert error.exit_status == 8


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[run\n", 1, "Expected ']'"),
        ("[run]\nx =\n", 2, "Invalid value"),
        ('[run]\nx = "abc\n', 2, "not closed"),
        ("[run]\n[run]\n", 2, "Cannot declare"),
        ("a = 1\na = 2\nb = 3\n", 2, "Cannot overwrite"),
        ("[[services]]\n", 1, "services: must be a table"),
        ("tests = {}\n", 1, "tests: must be a list"),
        (f"{SERVICE}ready = {{ tcp = false }}\n", 4, "must be true, not false"),
        (f"{SERVICE}env = {{ A = 1 }}\n", 4, "services.a.env.A: must be text in quotes."),
        ('[services."a b"]\nkind = "command"\ncommand = ["x"]\n', 1, "may hold only letters"),
        ("[[tests]]\nid = 'a'\n[[tests]]\ncommand = ['x']\n", 1, "neither workflow nor command"),
        ("[exec]\ntimeout_s = nan\n", 2, "finite number"),
    ],
)
def test_mistakes_are_named_with_their_line(project, text: str, line: int, said: str) -> None:
    """Of the TOML itself, of types, and of rules between keys."""
    error = project.error(text)

    assert said in error.message
    assert error.facts["line"] == line


@pytest.mark.parametrize("path", [r"C:\Users\me", r"C:\ComfyUI", r"C:\temp", r"sub\new", r"D:\apps\fast"])
@pytest.mark.parametrize("key", ["cwd", "clean"])
def test_windows_paths_in_double_quotes_are_explained(project, path: str, key: str) -> None:
    r"""Both the escapes that TOML refuses and those, like \t, that it takes silently."""
    value = f'"{path}"' if key == "cwd" else f'["{path}"]'
    error = project.error(f"{SERVICE}{key} = {value}\n")

    assert error.facts["line"] == 4
    assert "a backslash" in error.message
    assert "single quotes" in error.advice


def test_a_swallowed_backslash_is_found_in_a_command_but_a_script_is_left_alone(project) -> None:
    """A newline in a shell line is meant; one behind a drive letter is not."""
    assert "a backslash" in project.error(SERVICE.replace('"x"', r'"C:\tools\run.exe"').replace(r"\r", r"\\r")).message
    project.load(SERVICE.replace('"x"', r'"python", "-c", "for i in x:\n\tprint(i)"'))


def test_values_of_env_never_appear_in_an_error(project) -> None:
    """Not in the sentence, the facts or the chain of causes."""
    error = project.error(f'{SERVICE}env = {{ A = "hunter2${{", B = ["hunter2"] }}\nbogus = 1\n')

    assert "hunter2" not in repr((error, error.facts, error.__cause__))
    assert error.__suppress_context__


def test_bad_references_in_env_are_found_when_the_file_is_read(project) -> None:
    """A shell default is not known; which names are set is another question, asked later."""
    assert "${NAME}" in project.error(f'{SERVICE}env = {{ A = "${{B:-c}}" }}\n').message
    project.load(f'{SERVICE}env = {{ A = "${{NOT_SET}}" }}\n')


def test_the_folder_of_a_started_service_must_exist(project) -> None:
    """An attached one has no folder of ours; keys that mean nothing there draw a warning."""
    error = project.error(f"{SERVICE}cwd = 'nowhere'\n")
    attached = project.load("[services.a]\nkind = 'comfyui'\nurl = 'http://h:1'\ncwd = 'nowhere'\nport = 1\n")

    assert (error.facts["line"], error.facts["key"]) == (4, "services.a.cwd")
    assert "cwd, port mean nothing beside url" in attached.warnings[0]


@pytest.mark.parametrize("state_dir", [".", "..", "/", "x/.."])
def test_the_state_folder_is_never_the_project_or_above(project, state_dir: str) -> None:
    """Its contents are ours to delete."""
    assert "project" in project.error(f"[project]\nstate_dir = '{state_dir}'\n").message


def test_the_state_folder_is_no_file(project) -> None:
    """Said before anything tries to write into it."""
    project.write("", "taken")

    assert "is a file" in project.error("[project]\nstate_dir = 'taken'\n").message


def test_a_watched_folder_that_is_missing_is_a_warning(project) -> None:
    """It may appear later; nothing depends on it now."""
    assert "there is no" in project.load("[guard]\nwatch = ['nowhere']\n").warnings[0]


def test_a_named_file_must_exist_and_a_searched_one_need_not(project) -> None:
    """A person who names a file means that one."""
    with pytest.raises(ConfigError, match=r"no ci\.toml"):
        load(Where(project.folder, project.folder / "ci.toml", named=True), {})
    assert load(project.where, {}).settings == Settings()


def test_a_folder_in_place_of_the_file_is_an_error(project) -> None:
    """What cannot be read is said with its path."""
    project.where.file.mkdir()

    with pytest.raises(ConfigError, match="cannot be read"):
        load(project.where, {})


def test_what_is_shown_has_settings_and_paths_but_no_secret(project) -> None:
    """Values of env are stars except the names they refer to; of .env only the names."""
    project.write("TOKEN=hunter2\n", ".env")
    text = shown(project.load(f'{SERVICE}env = {{ A = "${{TOKEN}}", B = "hunter3" }}\n'))

    assert text["settings"]["services"]["a"]["env"] == {"A": "${TOKEN}", "B": "***"}
    assert (text["dotenv"], text["project"]) == (["TOKEN"], str(project.folder))
    assert "hunter" not in repr(text)
