"""mcp_e2e: slow end-to-end tests for coding agents, on a service that stays alive."""

__version__ = "0.1.0"
