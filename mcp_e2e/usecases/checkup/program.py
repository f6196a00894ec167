"""This program itself: Python, its packages, the system it runs on, the text it can read and write."""

import locale
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from mcp_e2e import __version__
from mcp_e2e.adapters.comfyui.asking import ask
from mcp_e2e.usecases.checkup.finding import Finding, note, ok, problem, warning

PACKAGE = "mcp-e2e"
_IMPORTED_AS = {"pillow": "PIL", "opentelemetry-api": "opentelemetry.trace"}
_REQUIREMENT = re.compile(r"([\w.-]+)\s*\(?([^;)]*)")
_BOUND = re.compile(r"(>=|<|==)\s*([\d.]+)")
_PROVEN = frozenset({"linux"})


async def check_program(environ: Mapping[str, str], within_s: float) -> list[Finding]:
    """Every package is imported, in a process of its own: one that crashes there would crash the server."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    found = [ok(f"mcp-e2e {__version__} on Python {version}, {sys.executable}")]
    wanted = requirements()
    if not wanted:
        return [*found, note("its packages are not known: it runs without having been installed")]
    wrong = [finding for name, bounds in wanted.items() if (finding := _version_problem(name, bounds))]
    if not wrong:
        wrong = await _import_problems([module(name) for name in wanted], environ, within_s)
    return [*found, *(wrong or [ok(f"{len(wanted)} packages, as declared, and all can be imported")])]


def requirements() -> dict[str, str]:
    """The packages that this one needs to run, with the versions it takes; empty where it is not installed."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return {}
    found = (_REQUIREMENT.match(line) for line in declared if "extra ==" not in line)
    return {each[1]: each[2].strip() for each in found if each}


def module(package: str) -> str:
    return _IMPORTED_AS.get(package, package.replace("-", "_"))


def _version_problem(name: str, bounds: str) -> Finding | None:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return problem(f"the package {name} is not installed", _install())
    if not within(version, bounds):
        return problem(f"{name} {version} is installed, and {bounds} is needed", _install())
    return None


def within(version: str, bounds: str) -> bool:
    """Whether the numbers of ``version`` are what ``bounds`` (as ``>=2.3,<2.4``) takes."""
    return all(_holds(_numbers(version), sign, _numbers(bound)) for sign, bound in _BOUND.findall(bounds))


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    return {">=": version >= bound, "<": version < bound, "==": version[: len(bound)] == bound}[sign]


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _install() -> str:
    return f"Install mcp-e2e anew into {sys.prefix} (in its clone: make demo)."


async def _import_problems(modules: list[str], environ: Mapping[str, str], within_s: float) -> list[Finding]:
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    answer = await ask([sys.executable, "-P", "-c", code], Path(sys.prefix), environ, within_s, errors=True)
    if answer.late:
        return [note(f"its packages take longer than {within_s:g} s to import: the machine is busy, or its disk slow")]
    if answer.exit_code != 0:
        last = (answer.text.strip().splitlines() or [f"exit code {answer.exit_code}"])[-1]
        return [problem(f"a package cannot be imported: {last[:300]}", _install())]
    return []


def check_system() -> list[Finding]:
    """Platform and text."""
    return [_platform(), *_encodings()]


def _platform() -> Finding:
    if sys.platform in _PROVEN:
        return ok(f"{sys.platform}: all is tested there")
    return note(f"{sys.platform}: written for, but unproven (README, Platforms)")


def _encodings() -> Iterator[Finding]:
    names, text = sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)
    other = [f"{what} are {name}" for what, name in (("file names", names), ("texts", text)) if not _utf8(name)]
    if other:
        fix = "Set PYTHONUTF8=1" + ("." if sys.platform == "win32" else ", or LANG=C.UTF-8.")
        yield warning(f"{' and '.join(other)} here, not UTF-8: what other programs write may be misread", fix)
    else:
        yield ok("file names and texts are UTF-8")


def _utf8(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") == "utf8"


async def check_tools(environ: Mapping[str, str], project: Path | None, within_s: float) -> list[Finding]:
    """git, which tells what has changed, and the Python that tests get where it may not be the one that is meant."""
    return [await _git(environ, project, within_s), *_python(environ)]


def _python(environ: Mapping[str, str]) -> Iterator[Finding]:
    found = [path for name in ("python3", "python") if (path := shutil.which(name, path=environ.get("PATH")))]
    if found and Path(found[0]).parent == Path(sys.executable).parent and sys.prefix != sys.base_prefix:
        yield note(
            f"tests that say {Path(found[0]).name} get mcp-e2e's own, {found[0]}: is that the one with your packages?"
        )


async def _git(environ: Mapping[str, str], project: Path | None, within_s: float) -> Finding:
    in_git = project is not None and any((folder / ".git").exists() for folder in (project, *project.parents))
    path = shutil.which("git", path=environ.get("PATH"))
    if path is None:
        if in_git:
            return warning("git is not found, and the project is a checkout", "Install git, or put it on the PATH.")
        return note("git is not found: what has changed is then told by the files themselves")
    answer = await ask([path, "--version"], Path(path).parent, environ, within_s)
    if answer.exit_code != 0:
        return warning(f"{path} does not say its version", "Repair git: it tells what has changed.")
    told = answer.text.strip().removeprefix("git version ")
    if not in_git and project is not None:
        return note(f"git {told}; the project is no checkout: all of its folder counts as what may change")
    return ok(f"git {told}")
