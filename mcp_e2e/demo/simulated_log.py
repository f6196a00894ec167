"""The log of the SIMULATED ComfyUI: lines on stderr, as the real one writes them."""

import sys


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
