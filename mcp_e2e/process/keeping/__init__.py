"""Parts of the keeper program: standard library only, relative imports only, one thread, no import of mcp_e2e."""
