"""What a start's log tells, line by line: the wording of several versions, with and without prefixes."""

import pytest

from mcp_e2e.adapters.comfyui.booting import LINE_CHARS, REST_CHARS, read_boot, why_ended
from mcp_e2e.model.services import Boot

LOG = """Setting output directory to: /out
Failed to execute startup-script: /c/custom_nodes/early pack/prestartup_script.py / no such thing
Total VRAM 24152 MB, total RAM 24152 MB
[Prompt Server] web root: /front
Traceback (most recent call last):
  File "/c/custom_nodes/broken.py", line 1, in <module>
    import nope
ModuleNotFoundError: No module named 'nope'

Cannot import /c/custom_nodes/broken.py module for custom nodes: No module named 'nope'
IMPORT FAILED: nodes_audio.py

Import times for custom nodes:
   0.0 seconds (IMPORT FAILED): C:\\ComfyUI\\custom_nodes\\winpack
   0.0 seconds (IMPORT FAILED): /c/custom_nodes/broken.py
   1.0 seconds: /c/custom_nodes/fine.py

Context impl SQLiteImpl.
Starting server

To see the GUI go to: http://127.0.0.1:8188
IMPORT FAILED: not of the start any more
"""
FAILED = ("early pack: no such thing", "broken.py: No module named 'nope'", "nodes_audio.py", "winpack")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("prefix", ["", "[INFO] "])
def test_a_log_is_read_the_same_in_any_pieces(size: int, prefix: str) -> None:
    """A look may come in the middle of a line; a line is never taken twice."""
    log = "".join(f"{prefix}{line}" for line in LOG.splitlines(keepends=True))
    boot, stages = Boot(), []
    for at in range(0, len(log), size):
        boot = read_boot(boot, log[at : at + size])
        stages += [boot.stage] if boot.stage not in stages[-1:] else []
    assert boot.failed == FAILED
    assert (boot.stage, boot.port, boot.over) == ("listening", 8188, True)
    if size < 100:
        talk = "loading custom nodes: ModuleNotFoundError: No module named 'nope'"
        more = "loading custom nodes: IMPORT FAILED: nodes_audio.py"
        last = ["custom nodes loaded", "preparing the database", "listening"]
        assert stages == [None, "importing", "loading custom nodes", talk, more, *last]


def test_an_earlier_line_does_not_turn_a_stage_back() -> None:
    """Some versions say a thing twice."""
    boot = read_boot(Boot(), "[Prompt Server] web root: /x\npytorch version: 2\nDevice: cpu\n")
    assert boot.stage == "loading custom nodes: Device: cpu"


def test_what_nodes_say_is_bounded() -> None:
    """A node that writes without an end of line, or much in one line, costs a little."""
    boot = read_boot(Boot(), "[Prompt Server] web root: /x\n" + "y" * 500 + "\n" + "z" * 100_000)
    assert boot.stage == f"loading custom nodes: {'y' * LINE_CHARS}"
    assert len(boot.rest) == REST_CHARS


USAGE = "usage: main.py [-h] [--normalvram]\n               [--listen [IP]]\n"
ENDS = [
    (f"{USAGE}main.py: error: unrecognized arguments: --normal-vram", "--normal-vram (nearest: --normalvram);"),
    (f"{USAGE}main.py: error: unrecognized arguments: --qqq=7 word", "does not know --qqq=7;"),
    ("main.py: error: argument --port: invalid int value: 'x'", "--port: invalid int value: 'x';"),
    ("python: can't open file '/c/mainx.py': [Errno 2] No such file or directory", "there is no /c/mainx.py;"),
    (
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8188): address already in use",
        "port 8188 was taken",
    ),
    (
        "OSError: [Errno 10048] error while attempting to bind on address ('127.0.0.1', 8188): only one usage",
        "port 8188 was taken",
    ),
    ("[ERROR] Port 9301 is already in use on address 127.0.0.1. Please close", "port 9301 was taken"),
    (
        "OSError: [Errno 99] error while attempting to bind on address ('10.9.1.1', 81): cannot assign requested",
        "no address 10.9.1.1",
    ),
    ("OverflowError: bind(): port must be 0-65535.", "write --port {port}"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/b/custom_nodes'", "the folder /b/custom_nodes is"),
    ("ASSETS_STARTUP_FAILED: in_use", "(in_use); add --database-url"),
    ("sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked", "add --database-url"),
    (
        "[ERROR] Could not acquire lock on database '/u/c.db'. Ano\nThe flag requires a working database connection.",
        "its database /u/c.db is in use",
    ),
    ("***\n\ncomfyui-frontend-package is not installed.\n\n***", "add --front-end-root"),
    ("AssertionError: Torch not compiled with CUDA enabled", "add --cpu"),
    ("    import torchsde\nModuleNotFoundError: No module named 'torchsde'", "the Python module torchsde is missing"),
    (
        "Traceback:\n  File x\nzipfile.BadZipFile: nope\nValueError: strange {brace}",
        "ends with ValueError: strange {brace}",
    ),
    ("ModuleNotFoundError: No module named 'nope'\nRuntimeError: later", "ends with RuntimeError: later"),
]


@pytest.mark.parametrize(("log", "told"), ENDS)
@pytest.mark.parametrize("after", ["", "\n", "\nPress any key to continue . . .\n"])
def test_the_end_of_a_log_tells_why_and_what_to_change(log: str, told: str, after: str) -> None:
    """Also below it a start script's last words."""
    assert told in (why_ended(f"Starting server\n{log}{after}") or "")


def test_a_log_that_tells_nothing_gives_no_reason() -> None:
    """A reason is never invented."""
    assert why_ended("") is None
    assert why_ended("Device: cpu\nKilled\n") is None
    node = "ModuleNotFoundError: No module named 'x'\n\nCannot import /c/x.py module for custom nodes: No module\n"
    assert why_ended(node) is None
