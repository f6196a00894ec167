"""``python -m mcp_e2e``: the same as ``mcp-e2e``."""

import sys

from mcp_e2e.entrypoints.mcp import quick


def main() -> None:
    argv = sys.argv[1:]
    if (serving := quick.options(argv)) is not None:
        quick.serve(**serving)
    try:
        from mcp_e2e.entrypoints.cli import run  # noqa: PLC0415  the quick start cannot wait for it
    except KeyboardInterrupt:  # from here on run answers it
        sys.exit(130)
    sys.exit(run(argv))


if __name__ == "__main__":
    main()
