"""Configuration: the file, ``.env`` and ``MCP_E2E_*`` become one frozen ``Settings``; nobody else reads them."""

from mcp_e2e.settings.discover import FILE_NAME, Where, discover, home_folder
from mcp_e2e.settings.expand import UnsetVariable, expand, masked, unset_names
from mcp_e2e.settings.expect import ExpectConfig, wishes
from mcp_e2e.settings.load import check, load
from mcp_e2e.settings.loaded import Loaded, shown
from mcp_e2e.settings.schema import (
    BreakerConfig,
    ExecConfig,
    GuardConfig,
    ProjectConfig,
    ReadyConfig,
    RunConfig,
    ServiceConfig,
    Settings,
    TestConfig,
    json_schema,
)
from mcp_e2e.settings.source import Source

__all__ = [
    "FILE_NAME",
    "BreakerConfig",
    "ExecConfig",
    "ExpectConfig",
    "GuardConfig",
    "Loaded",
    "ProjectConfig",
    "ReadyConfig",
    "RunConfig",
    "ServiceConfig",
    "Settings",
    "Source",
    "TestConfig",
    "UnsetVariable",
    "Where",
    "check",
    "discover",
    "expand",
    "home_folder",
    "json_schema",
    "load",
    "masked",
    "shown",
    "unset_names",
    "wishes",
]
