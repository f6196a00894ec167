"""The npm packages of ``package.json``, installed once beside the virtual environment, and how each is started.

Started with their own Node and without npx: it costs more than most of what is run here, each time anew.
"""

import shutil
import subprocess
from pathlib import Path

WANTED = Path(__file__).with_name("package.json")
FOLDER = Path(__file__).resolve().parents[2] / ".venv" / "npm"
MODULES = FOLDER / "node_modules"
INSTALL_S = 600
_INSTALL = "npm install --no-audit --no-fund --no-package-lock --prefer-offline --ignore-scripts=false --loglevel=error"


def install() -> None:
    """Fetch the packages unless those of this very ``package.json`` are there. RuntimeError when npm cannot."""
    have = FOLDER / WANTED.name
    if have.exists() and have.read_bytes() == WANTED.read_bytes():
        return
    print(f"Installing Node and the npm packages into {FOLDER} (once, about half a minute) ...", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    draft = FOLDER.with_name("npm-draft")  # a folder by the final name is whole
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    shutil.copy(WANTED, draft)
    done = subprocess.run(
        _INSTALL.split(), check=False, cwd=draft, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_S
    )
    if done.returncode:
        raise RuntimeError(f"npm install failed: {done.stdout.decode(errors='replace').strip()[-1000:]}")
    draft.rename(FOLDER)


def node(script: Path) -> list[str]:
    """The first words of a command that runs a JavaScript file."""
    return [str(MODULES / "node" / "bin" / "node"), str(script)]


def inspector() -> list[str]:
    """The first words of a call of the Inspector's command line."""
    return [*node(MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"), "--cli"]


def conformance(version: str) -> list[str]:
    """The first words of a call of the conformance suite of one version."""
    return node(MODULES / f"conformance-{version}" / "dist" / "index.js")
