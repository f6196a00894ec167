"""MCP over Streamable HTTP at ``/mcp``: many clients, both protocol eras, one process."""
