"""A whole configuration to begin with where the service is no ComfyUI; the README shows the same."""

EXAMPLE = """\
[services.web]
kind = "command"
command = ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]    # as you start it by hand
# env = { PORT = "{port}" }                 # if it takes its port from there
port = 0                                    # 0: a free one at each start
ready = { http = "/" }                      # it is up when this answers

[[tests]]
id = "answers"                              # passed: exit code 0. Yours may be ["pytest", "tests/e2e"]
command = ["python3", "-c", "import os, urllib.request as r; r.urlopen(os.environ['MCP_E2E_SERVICE_URL'])"]
timeout_s = 300
"""
