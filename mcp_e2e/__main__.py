"""``python -m mcp_e2e``: the same as ``mcp-e2e``."""

import sys

from mcp_e2e.entrypoints.cli import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
