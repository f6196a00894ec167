"""The keeper's parts on Windows: ctypes and the standard library only. Written by the documentation, not yet run."""
