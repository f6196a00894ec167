"""What a child sees of our environment: little for a command, nearly everything for a service. Pure."""

import fnmatch
import re
import sys
from collections.abc import Mapping, Sequence

JOB_MARKER = "MCP_E2E_JOB"

_POSIX_ALLOW = (
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_* TZ TMPDIR XDG_* DISPLAY WAYLAND_DISPLAY XAUTHORITY "
    "VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PYENV_ROOT PYENV_VERSION UV_CACHE_DIR PIP_CACHE_DIR NVM_DIR NODE_PATH "
    "JAVA_HOME GOPATH GOROOT GOCACHE CARGO_HOME RUSTUP_HOME LD_LIBRARY_PATH CUDA_HOME CUDA_PATH CUDA_VISIBLE_DEVICES "
    "NVIDIA_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HF_HOME TORCH_HOME PLAYWRIGHT_BROWSERS_PATH "
    "DOCKER_HOST SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS "
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy"
)
_WINDOWS_ALLOW = (
    "SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT TEMP TMP USERPROFILE USERNAME APPDATA LOCALAPPDATA PROGRAMDATA "
    "PROGRAMFILES PROGRAMFILES(X86) PROGRAMW6432 COMMONPROGRAMFILES NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE OS"
)
DEFAULT_ENV_ALLOW: tuple[str, ...] = tuple(
    f"{_POSIX_ALLOW} {_WINDOWS_ALLOW}".split() if sys.platform == "win32" else _POSIX_ALLOW.split()
)

# no questions, no colours, no pagers, no buffering
_HYGIENE = {
    "CI": "1",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GH_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
    "LC_ALL": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
}

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|COOKIE|PRIVATE|_PAT$|_DSN$", re.IGNORECASE)

# they tell a program who drives it: an agent, a test runner, a trace; a service that outlives them must not believe it
_HARNESS = (
    "CLAUDECODE CLAUDE_CODE_* CLAUDE_PROJECT_DIR CURSOR_AGENT CURSOR_TRACE_ID GEMINI_CLI CODEX_SANDBOX* CODEX_CLI* "
    "OPENCODE* AI_AGENT AIDER_* CLINE_* COPILOT_AGENT* PYTEST_* COVERAGE_PROCESS_START COV_CORE_* "
    "TRACEPARENT TRACESTATE BAGGAGE"
)
# they load code into every child, or open an interpreter that waits for input
_INJECTED = (
    "LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES BASH_ENV ENV PYTHONSTARTUP PYTHONINSPECT PYTHONBREAKPOINT NODE_OPTIONS "
    "PERL5OPT RUBYOPT JAVA_TOOL_OPTIONS __PYVENV_LAUNCHER__ PYTHONDONTWRITEBYTECODE VSCODE_INSPECTOR_OPTIONS"
)
_DROPPED = tuple(f"{_HARNESS} {_INJECTED} MCP_E2E_*".split())


def child_environment(
    base: Mapping[str, str], allow: Sequence[str], extra: Mapping[str, str], job: str
) -> dict[str, str]:
    """For a command: the allowed names of ``base``, our hygiene over them, ``extra`` over both, the job's marker.

    ``allow`` takes ``*`` patterns; a name that looks like a secret passes only when written out in full.
    """
    passed = {name: value for name, value in base.items() if _allowed(name, allow)}
    return {**passed, **_HYGIENE, **extra, JOB_MARKER: job}


def service_environment(base: Mapping[str, str], extra: Mapping[str, str], job: str) -> dict[str, str]:
    """For a service: the user's environment without marks of whoever started us and without injected code."""
    passed = {name: value for name, value in base.items() if not _matches(name, _DROPPED)}
    return {**passed, "PYTHONUNBUFFERED": "1", **extra, JOB_MARKER: job}


def looks_secret(name: str) -> bool:
    """By its name alone: KEY, TOKEN, SECRET, PASSWORD and their like."""
    return bool(_SECRET.search(name))


def _allowed(name: str, allow: Sequence[str]) -> bool:
    return name in allow or (_matches(name, allow) and not looks_secret(name))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    if sys.platform == "win32":
        name = name.upper()
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
