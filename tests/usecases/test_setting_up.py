"""Setting up a project: what is written for each kind of ComfyUI, and that nothing that stands there is harmed."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.adapters.comfyui.installation import Machine
from mcp_e2e.adapters.comfyui.running import Process, Running
from mcp_e2e.errors import ConfigError, ServiceUnavailable, UsageError
from mcp_e2e.process import probes
from mcp_e2e.settings import Where, load
from mcp_e2e.usecases.setting_up import SettingUp, SetUp, Wish
from tests.installations import comfyui, interpreter, workflow, written

OURS = ["--listen", "127.0.0.1", "--port", "{port}", "--output-directory", "{outputs}", "--disable-auto-launch"]
PATH = "/usr/bin:/bin"


class Place:
    """A project in a home of its own, on a machine where nothing runs but what a test says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "project"
        self.project.mkdir()
        self.file = self.project / "mcp-e2e.toml"
        self.environ: dict[str, str] = {"PATH": PATH, "HOME": str(home)}
        self.system = "linux"
        self.runs: list[Running] = []
        self.told: list[str] = []

    async def set_up(self, **wish: Any) -> SetUp:
        where = Where(self.project, self.file)
        machine = Machine(self.system, self.home, self.environ)

        async def runs(_: str) -> list[Running]:
            return self.runs

        return await SettingUp(where, self.environ, machine, self.project, self.told.append, runs).run(Wish(**wish))

    def written(self) -> dict[str, Any]:
        assert load(Where(self.project, self.file), self.environ).warnings == ()
        return tomllib.loads(self.file.read_text("utf-8"))

    def service(self) -> dict[str, Any]:
        (service,) = self.written()["services"].values()
        return dict(service)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ComfyUI beside the project, with an environment that has torch and sees a GPU."""
    made = comfyui(tmp_path / "ComfyUI")
    interpreter(made / "venv" / "bin" / "python", gpu=True)
    return made


async def test_a_checkout_beside_the_project(place: Place, root: Path) -> None:
    """Service and tests, with absolute paths; the file loads, and says what to type next."""
    workflow(place.project / "workflows" / "portrait_api.json", batch=2)
    written(place.project / "workflows" / "odd_api.json", {"1": {"class_type": "SomebodysNode", "inputs": {}}})

    made = await place.set_up()

    port = 8188 if probes.port_is_free(8188) else 0
    command = [str(root / "venv/bin/python"), "main.py", *OURS]
    assert place.written() == {
        "services": {"comfyui": {"kind": "comfyui", "command": command, "cwd": str(root), "port": port}},
        "tests": [
            {"id": "odd", "workflow": "workflows/odd_api.json", "timeout_s": 300},
            {"id": "portrait", "workflow": "workflows/portrait_api.json", "timeout_s": 300, "expect": {"images": 2}},
        ],
    }
    assert (made.done, made.tests) == ("created", ("odd", "portrait"))
    assert made.next_step.startswith("`mcp-e2e run odd`")
    assert made.shown()["found"] == "near the project"


async def test_a_second_time_changes_nothing(place: Place, root: Path) -> None:
    """Neither what was written nor when; nobody is asked for anything again."""
    workflow(place.project / "workflows" / "a.json")
    await place.set_up()
    before = (place.file.read_bytes(), place.file.stat().st_mtime_ns)
    place.told.clear()

    made = await place.set_up()

    assert (made.done, made.added, made.tests) == ("unchanged", "", ())
    assert (place.file.read_bytes(), place.file.stat().st_mtime_ns) == before
    assert place.told == []


async def test_a_dry_run_writes_nothing(place: Place, root: Path) -> None:
    """It has the text that the next call writes."""
    workflow(place.project / "workflows" / "a.json")
    made = await place.set_up(dry_run=True)
    assert list(place.project.iterdir()) == [place.project / "workflows"]
    assert made.done == "would be created"

    await place.set_up()

    assert place.file.read_text() == made.added


async def test_no_workflow_yet(place: Place, root: Path) -> None:
    """The service alone, with an example to fill in, and the way to a workflow."""
    made = await place.set_up()

    assert "tests" not in place.written()
    assert '# id = "portrait"' in place.file.read_text()
    assert "Export (API)" in made.next_step


async def test_without_a_gpu_it_runs_on_the_cpu(place: Place, tmp_path: Path) -> None:
    """And that is said, as is what its interpreter lacks."""
    root = comfyui(tmp_path / "ComfyUI")
    interpreter(root / ".venv" / "bin" / "python", gpu=False)
    (root / "requirements.txt").write_text("pytest\nno-such-distribution\n")

    made = await place.set_up()

    assert place.service()["command"][-1] == "--cpu"
    assert any("sees no GPU" in note for note in made.notes)
    assert any("requirements.txt names: no-such-distribution;" in note for note in made.notes)


async def test_without_a_gpu_it_runs_on_the_cpu_also_where_help_does_not_answer(place: Place, tmp_path: Path) -> None:
    """What the notes say stands in the file; other flags are left out."""
    root = comfyui(tmp_path / "ComfyUI")
    interpreter(root / ".venv" / "bin" / "python", gpu=False)
    (root / "main.py").write_text("raise SystemExit(1)")

    made = await place.set_up()

    assert place.service()["command"][2:] == [*OURS[:-1], "--cpu"]
    assert any("runs with --cpu" in note for note in made.notes)
    assert any("--help did not answer" in note for note in made.notes)


async def test_a_fresh_checkout_gets_a_database_of_its_own(place: Place, root: Path) -> None:
    """It has no folder for one yet."""
    (root / "user").rmdir()
    await place.set_up()
    assert place.service()["command"][-2:] == ["--database-url", "sqlite:///{outputs}/comfyui.db"]


async def test_the_portable_build(place: Place, tmp_path: Path) -> None:
    """Its interpreter lies beside it and takes -s; it would open a browser unless told not to."""
    place.system = "win32"
    root = comfyui(tmp_path / "ComfyUI_windows_portable" / "ComfyUI")
    python = interpreter(root.parent / "python_embeded" / "python.exe", gpu=True)

    await place.set_up()

    assert place.service()["command"] == [str(python), "-s", "main.py", *OURS, "--windows-standalone-build"]


async def test_the_desktop_app_that_does_not_run(place: Place, tmp_path: Path) -> None:
    """It is attached to, and somebody has to start it."""
    place.system = "darwin"
    (tmp_path / "files" / "user").mkdir(parents=True)
    config = tmp_path / "Library" / "Application Support" / "ComfyUI" / "config.json"
    written(config, {"basePath": str(tmp_path / "files")})

    made = await place.set_up()

    assert place.service() == {"kind": "comfyui", "url": "http://127.0.0.1:8000"}
    assert any("start the Desktop app" in note for note in made.notes)


async def test_a_running_app_of_the_desktop_is_attached_to(place: Place, tmp_path: Path) -> None:
    """At the port it really has."""
    root = comfyui(tmp_path / "App" / "Resources" / "ComfyUI")
    place.runs = [Running("http://127.0.0.1:8123", "0.9.2", Process(7, None, (), root, (), root))]
    await place.set_up()
    assert place.service() == {"kind": "comfyui", "url": "http://127.0.0.1:8123"}


async def test_one_that_runs(place: Place, root: Path) -> None:
    """Its interpreter, port and flags, so that it can be joined; its secrets stay with it, and it lacks nothing."""
    (root / "requirements.txt").write_text("no-such-distribution\n")
    python = interpreter(root / "other" / "python", gpu=True)
    flags = ("--port", "18999", "--lowvram", "--base-directory", "../data", "--comfy-api-base", "https://me:pw@x")
    place.runs = [Running("http://127.0.0.1:18999", "0.3.64", Process(7, python, ("-s",), root, flags, root))]

    made = await place.set_up()

    service = place.service()
    more = ["--lowvram", "--base-directory", str(root.parent / "data")]
    assert (service["command"], service["port"]) == ([str(python), "-s", "main.py", *OURS, *more], 18999)
    assert any("--comfy-api-base was left out" in note for note in made.notes)
    assert "no-such-distribution" not in str(made.notes)
    assert "pw" not in place.file.read_text() + str(made.shown())


async def test_one_that_runs_with_the_interpreter_in_it(place: Place, root: Path) -> None:
    """Is asked first and once, and keeps the options that it was called with."""
    interpreter(root / ".venv" / "bin" / "python")
    own = root / "venv" / "bin" / "python"
    place.runs = [Running("http://127.0.0.1:18999", "0.3.64", Process(7, own, ("-u",), root, (), root))]
    await place.set_up()
    assert place.service()["command"][:3] == [str(own), "-u", "main.py"]
    assert [said for said in place.told if said.startswith("asking")] == [f"asking {own} for torch"]


async def test_one_that_was_started_elsewhere(place: Place, root: Path, tmp_path: Path) -> None:
    """As people do from their home folder: it can be joined only by a service that starts in the same one."""
    place.runs = [Running("http://127.0.0.1:18999", "0.3.64", Process(7, None, (), root, (), tmp_path))]
    await place.set_up()
    service = place.service()
    assert (service["cwd"], service["command"][1]) == (str(tmp_path), str(root / "main.py"))


async def test_a_session_of_another_project(place: Place, root: Path) -> None:
    """It is that project's: here starts another one, on another port and with its own database."""
    python = root / "venv" / "bin" / "python"
    flags = ("--lowvram", "--database-url", "sqlite:////other/comfyui.db")
    there = Process(7, python, (), root, flags, root, marked=True)
    place.runs = [Running("http://127.0.0.1:18999", "0.3.64", there)]

    await place.set_up()

    service = place.service()
    assert service["port"] in {8188, 0}
    assert service["command"][-3:] == ["--database-url", "sqlite:///{outputs}/comfyui.db", "--lowvram"]


async def test_what_was_not_taken_is_told(place: Place, root: Path, tmp_path: Path) -> None:
    """With the way to take it."""
    other = comfyui(tmp_path / "comfy" / "ComfyUI")

    made = await place.set_up()

    assert place.service()["cwd"] == str(root)
    assert [note for note in made.notes if str(other) in note and "--comfyui" in note]


async def test_none_was_found(place: Place) -> None:
    """Where it looked, how to name one; nothing is written."""
    workflow(place.project / "workflows" / "a.json")
    with pytest.raises(ServiceUnavailable, match="no ComfyUI was found, and nothing was written") as missed:
        await place.set_up()
    assert "--comfyui PATH" in missed.value.advice
    assert "mcp-e2e config example" in missed.value.advice
    assert str(place.project / "ComfyUI") in missed.value.facts["looked"]["near the project"]
    assert not place.file.exists()


async def test_no_interpreter_has_torch(place: Place, root: Path) -> None:
    """Each that was asked is told with its answer; nothing is written."""
    (root / "venv" / "bin" / "python-modules" / "torch.py").write_text("raise ImportError('libcudart is gone')")
    place.environ["PATH"] = ""
    with pytest.raises(ServiceUnavailable, match="libcudart is gone") as missed:
        await place.set_up()
    assert "--python" in missed.value.advice
    assert not place.file.exists()


async def test_the_named_interpreter_is_taken(place: Place, root: Path, tmp_path: Path) -> None:
    """No other one instead of it."""
    mine = interpreter(tmp_path / "mine" / "python", gpu=True)
    await place.set_up(python=mine)
    assert place.service()["command"][0] == str(mine)

    place.file.unlink()
    with pytest.raises(UsageError, match="--python"):
        await place.set_up(python=interpreter(tmp_path / "bare" / "python", torch=False))
    assert not place.file.exists()


OLD = '# mine\n[services.api]\nkind = "command"\ncommand = ["sleep", "9"]\n\n[[tests]]\nid = "a"\ncommand = ["true"]'


async def test_a_file_that_stands_there_is_added_to(place: Place, root: Path) -> None:
    """Every byte stays; a service that is not the first is named by its tests, and no id is taken twice."""
    place.file.write_text(OLD)
    workflow(place.project / "workflows" / "a.json")

    made = await place.set_up()

    assert place.file.read_text().startswith(OLD)
    assert (made.done, made.tests) == ("extended", ("workflows-a",))
    assert list(place.written()["services"]) == ["api", "comfyui"]
    assert place.written()["tests"][1]["service"] == "comfyui"


async def test_only_new_workflows_are_added(place: Place) -> None:
    """The service that is there stays as it is, wherever it is; a workflow that a test names stays that test's."""
    place.file.write_text(
        '[services.gpu]\nkind = "comfyui"\nurl = "http://gpu:8188"\n\n'
        '[[tests]]\nid = "mine"\nworkflow = "./workflows/a.json"\n'
    )
    for name in ("a.json", "b.json"):
        workflow(place.project / "workflows" / name)

    made = await place.set_up()

    assert made.tests == ("b",)
    assert [test["id"] for test in place.written()["tests"]] == ["mine", "b"]
    assert place.told == []


@pytest.mark.parametrize("name", ["services = {}\n", 'tests = [{ id = "x", command = ["true"] }]\n'])
async def test_a_file_that_cannot_be_added_to(place: Place, root: Path, name: str) -> None:
    """What would be added is printed for the person to put in; the file stays as it is."""
    place.file.write_text(name)
    workflow(place.project / "workflows" / "a.json")
    with pytest.raises(ConfigError, match="cannot be added to") as refused:
        await place.set_up()
    assert "[services.comfyui]" in refused.value.advice
    assert place.file.read_text() == name


async def test_a_broken_file_is_told_first(place: Place, root: Path) -> None:
    """With its line; it is neither added to nor replaced."""
    place.file.write_text("[services\n")
    with pytest.raises(ConfigError, match="line 1"):
        await place.set_up()
    assert place.file.read_text() == "[services\n"


async def test_another_comfyui_for_a_file_that_has_one(place: Place, root: Path) -> None:
    """Is a person's decision, made in the file."""
    await place.set_up()
    with pytest.raises(UsageError, match="'comfyui' already"):
        await place.set_up(comfyui=str(root))


async def test_dotenv_names_it_too(place: Place, tmp_path: Path) -> None:
    """Settings of a project stand there."""
    root = comfyui(tmp_path / "elsewhere" / "mine")
    interpreter(root / "venv" / "bin" / "python")
    (place.project / ".env").write_text(f"COMFYUI_PATH={root}\n")
    made = await place.set_up()
    assert (place.service()["cwd"], made.facts["found"]) == (str(root), "COMFYUI_PATH")


async def test_workflows_that_became_no_tests_are_told(place: Place, root: Path) -> None:
    """The editor's format with the way to export it, a broken file with its place."""
    written(place.project / "workflows" / "ui.json", {"nodes": [], "links": []})
    (place.project / "workflows" / "bad.json").write_text("{")

    notes = (await place.set_up()).notes

    assert any("workflows/ui.json" in note and "Workflow > Export (API)" in note for note in notes)
    assert any("workflows/bad.json is not JSON" in note for note in notes)


async def test_a_workflow_whose_name_is_not_utf_8(place: Place, root: Path) -> None:
    """It is told in letters that can be printed, and the others become tests."""
    workflow(place.project / "workflows" / "good.json")
    try:
        workflow(place.project / "workflows" / os.fsdecode(b"caf\xe9.json"))
    except (OSError, UnicodeError):
        pytest.skip("file names are always Unicode here")

    made = await place.set_up()

    assert list(made.tests) == ["good"]
    assert [test["id"] for test in place.written()["tests"]] == ["good"]
    (note,) = (note for note in made.notes if "not UTF-8" in note)
    assert note.startswith("workflows/caf?.json has a name")


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a_api.json", "b/workflows/a.json", "c/workflows/a.json"], ["a", "workflows-a", "a-2"]),
        (["workflows/Über café (API).json", "workflows/肖像.json"], ["Uber-cafe", "workflow"]),
        (["workflows/_x__api.json", "workflows/v1.5.json"], ["x", "v1.5"]),
        (
            [f"workflows/{'b' * 80}/{'a' * 80}.json", f"workflows/{'c' * 80}/{'a' * 80}.json"],
            ["a" * 80, f"{'c' * 80}-{'a' * 19}"],
        ),
    ],
)
async def test_ids(place: Place, root: Path, names: list[str], ids: list[str]) -> None:
    """Unique, from the files' names, in the letters that an id may have."""
    for name in names:
        workflow(place.project / name)
    assert list((await place.set_up()).tests) == ids
