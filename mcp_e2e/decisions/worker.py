"""Whether the one thread of a ComfyUI that runs prompts has died, told by signs of life from outside. Pure."""

from mcp_e2e.model.work import Pulse

BUSY = 0.2  # of one core; an idle ComfyUI takes 0.02 to 0.04


def has_died(before: Pulse | None, then: Pulse | None, now: Pulse | None, span_s: float) -> bool:
    """Of a prompt that is called running and of which nothing was heard from ``then`` to ``now``, ``span_s`` apart.

    Measured on 0.3.64, 0.9.2 and 0.33.0: four threads stand when the server is ready, all of them for as long as it
    works; when a node calls ``sys.exit()`` one of them is gone and the process idles. So both together are asked for: a
    thread from ``before`` the prompt is missing, and no work is done. Nothing known is no proof.
    """
    if before is None or then is None or now is None:
        return False
    missing = before.threads - now.threads
    idle = now.cpu_s - then.cpu_s <= BUSY * span_s
    return bool(missing) and idle
