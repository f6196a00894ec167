"""The project that many clients share: the soak's own, and one test more, which fails while its input says so."""

import json
import sys

from tests.soak.project import Project

SHAKY = "shaky"
PLANNED = ("quick", "slow", SHAKY)
PROGRAM = """
import os, urllib.request
from mark import mark
mark("tests", os.environ["MCP_E2E_ATTEMPT"], os.environ["MCP_E2E_JOB"], os.getpid())
assert urllib.request.urlopen(os.environ["MCP_E2E_SERVICE_URL"] + "/", timeout=20).read() == b"pong"
open(os.path.join(os.environ["MCP_E2E_OUTPUT_DIR"], "made.txt"), "w").write(os.environ["MCP_E2E_ATTEMPT"])
word, number = open("input.txt").read().split()
if word == "bad":
    raise SystemExit(f"the input {number} is bad")
"""


class Shared(Project):
    def write(self) -> None:
        super().write()
        (self.root / "shaky.py").write_text(PROGRAM)
        self.feed(0, good=True)
        argv = json.dumps([sys.executable, "-SB", "shaky.py"])
        with (self.root / "mcp-e2e.toml").open("a") as config:
            config.write(f'\n[[tests]]\nid = "{SHAKY}"\ncommand = {argv}\ntimeout_s = 60\nservice = "api"\n')

    def feed(self, number: int, *, good: bool) -> None:
        """Write the input of the shaky test."""
        (self.root / "input.txt").write_text(f"{'good' if good else 'bad'} {number}")
