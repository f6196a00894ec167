"""The quick start: a client's first requests are answered while the SDK loads, about a second that clients wait.

Nothing but cheap modules of the standard library may be imported here, nor by what this imports.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mcp_e2e.entrypoints.mcp.ending import DEFECT
from mcp_e2e.entrypoints.mcp.line import Line

_SWITCH_S = 0.0005  # how long an import may keep the answering threads waiting
_OPTIONS = ("--project", "--config")


def options(argv: Sequence[str]) -> dict[str, str] | None:
    """``project`` and ``config`` of a plain ``serve`` on stdio; None for all else, which the command line reads."""
    found: dict[str, str] = {}
    words, commands = iter(argv), []
    for word in words:
        name, equals, value = word.partition("=")
        if name in _OPTIONS:
            found[name.removeprefix("--")] = value = value if equals else next(words, "")
            if not value or value.startswith("-"):
                return None
        else:
            commands.append(word)
    return found if commands == ["serve"] else None


def serve(project: str | None = None, config: str | None = None) -> NoReturn:
    """Be the MCP server on stdin and stdout, from the first instant on; ends the process."""
    line = Line()
    try:
        _load_and_run(line, project, config)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(DEFECT)


def _load_and_run(line: Line, project: str | None, config: str | None) -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    gc.disable()  # what is imported stays
    import anyio  # noqa: PLC0415  here the long second begins

    from mcp_e2e.entrypoints.mcp import server  # noqa: PLC0415

    gc.enable()
    gc.freeze()
    sys.setswitchinterval(usual)
    environ = dict(os.environ)  # each look into the other decodes it anew
    anyio.run(server.serve, project, config, environ, line)
