"""What each kind of service needs to be driven: a kind is one file here and one row in ``ADAPTERS``."""

from collections.abc import Mapping

from mcp_e2e.adapters.comfyui.looking import ComfyUIAdapter
from mcp_e2e.adapters.command import CommandAdapter
from mcp_e2e.contracts import ServiceAdapter

ADAPTERS: Mapping[str, ServiceAdapter] = {"comfyui": ComfyUIAdapter(), "command": CommandAdapter()}
