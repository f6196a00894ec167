"""Programs we did not write against this server: the Inspector, the conformance suite, an older client."""
