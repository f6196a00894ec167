"""Where a ComfyUI writes, told by the flags that it says it was started with. Pure."""

from collections.abc import Sequence
from pathlib import Path

_SHORTEST = 5  # argparse takes any beginning of a flag that no other one has, such as --out


def output_folder(argv: Sequence[str], cwd: Path) -> Path:
    """The output folder of a server whose process began in ``cwd``; ``argv`` begins with its program."""
    chosen, base = _value(argv, "--output-directory"), _value(argv, "--base-directory")
    if chosen is not None:
        return cwd / chosen
    return cwd / base / "output" if base is not None else (cwd / (argv[0] if argv else "main.py")).parent / "output"


def _value(argv: Sequence[str], flag: str) -> str | None:
    """The last one given, as for the server."""
    found = None
    for word, following in zip(argv, [*argv[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if len(name) >= _SHORTEST and flag.startswith(name):
            found = value if equals else following
    return found
