"""A SIMULATED ComfyUI server: for the demo and for tests on machines without the real one.

    python -m mcp_e2e.demo.simulated_comfyui --port 8188 --boot-seconds 3 --output-directory out

It is not ComfyUI and generates nothing with a model; it boots slowly, opens its port last, and speaks enough of the
HTTP API and its event socket that the ``comfyui`` adapter drives it unchanged. ``/system_stats`` reports the version
``0.0.0-simulated``, so a simulated result cannot pass for a real one. One suite of tests holds it to the real one.

What is imitated was seen on 0.3.64, 0.9.2 and 0.33.0; ``--imitate`` chooses one of the three, and the tests of the
wire (tests/adapters/test_wire*.py) hold both sides to it. Every difference from the real server that is known:

- Nodes: seven of the real ones, and five of its own whose names begin with Simulated. Their prose (messages, details,
  tracebacks) is its own; types, names of fields and statuses are the real ones.
- Missing: uploads, ``/models``, ``/embeddings``, ``/userdata``, ``/settings``, ``/internal`` with its log, the web
  page, cancelling and sorting and previews in ``/api/jobs``, refusal of a foreign ``Origin``, compression of answers.
- Times: the gap before a history entry is always 0.03 s. Loading a checkpoint and ``SimulatedText`` hear no interrupt,
  as in reality; ``SimulatedSlow`` hears it at once and not at its next step.
- Memory: each checkpoint takes a fixed part of ``vram_free``, and nothing else does. An out-of-memory error belongs to
  the one node that raises it; the real one may fail in any node from then on.
- Previews are sent for every step; the real one sends them only when started with ``--preview-method``.
- Temporary pictures live in memory, not in a folder; ``LoadImage`` knows ``[output]`` but not ``[temp]``.
- A ``client_id`` that is a list or an object ends the real server; here the prompt runs and nobody is told.
- The default cache of 0.33 gives way under memory pressure; here it is the classic one, as which it behaved otherwise.
- 0.8.0 calls an interrupted job failed; here it is cancelled, as from 0.9.2 on.
- Of its own: ``POST /simulated/drop-sockets``, which cuts all sockets, and the options of the second group below.
"""

import argparse
import time
from pathlib import Path

from mcp_e2e.demo.simulated_api import VERSION, Api
from mcp_e2e.demo.simulated_cache import Cache
from mcp_e2e.demo.simulated_http import Handler, Server
from mcp_e2e.demo.simulated_log import log
from mcp_e2e.demo.simulated_queue import Engine
from mcp_e2e.demo.simulated_sockets import Sockets
from mcp_e2e.demo.simulated_studio import Studio
from mcp_e2e.demo.simulated_versions import NEWEST, VERSIONS

STAGES = ("Device: simulated", "Importing simulated nodes", "Loading the simulated model list")


def options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulated_comfyui", description="A SIMULATED ComfyUI, not the real one.")
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--output-directory", type=Path, default=Path("output"))
    parser.add_argument("--input-directory", type=Path, help="default: input, beside the outputs")
    caches = parser.add_mutually_exclusive_group()
    caches.add_argument("--cache-classic", action="store_true", help="remember the latest prompt (default)")
    caches.add_argument("--cache-lru", type=int, default=0, metavar="N", help="remember up to N results")
    caches.add_argument("--cache-none", action="store_true")
    own = parser.add_argument_group("what no real server has")
    own.add_argument("--imitate", choices=VERSIONS, default=NEWEST, help="the version whose wire is imitated")
    own.add_argument("--boot-seconds", type=float, default=3.0)
    own.add_argument("--run-seconds", type=float, default=0.0, help="extra time of a prompt that executes something")
    own.add_argument("--load-seconds", type=float, default=0.1, help="time that a checkpoint takes to load")
    own.add_argument("--drop-sockets-after", type=int, default=0, metavar="N", help="cut each socket after N messages")
    return parser.parse_args(argv)


def engine(chosen: argparse.Namespace) -> Engine:
    outputs = chosen.output_directory.resolve()
    outputs.mkdir(parents=True, exist_ok=True)
    inputs = (chosen.input_directory or outputs.parent / "input").resolve()
    studio, cache = Studio(outputs, inputs, chosen.load_seconds), Cache(most=chosen.cache_lru, off=chosen.cache_none)
    return Engine(studio, cache, Sockets(chosen.drop_sockets_after), VERSIONS[chosen.imitate], chosen.run_seconds)


def main(argv: list[str] | None = None) -> int:
    chosen = options(argv)
    log(f"SIMULATED ComfyUI {VERSION} (part of mcp_e2e): no model runs here, pictures are drawn")
    for stage in STAGES:
        log(stage)
        time.sleep(chosen.boot_seconds / len(STAGES))
    Handler.api = Api(engine(chosen))
    log("Starting server")
    try:
        server = Server((chosen.listen, chosen.port), Handler)
    except OSError as error:
        log(f"Cannot listen on {chosen.listen}:{chosen.port}: {error}")
        return 1
    log(f"\nTo see the GUI go to: http://{chosen.listen}:{chosen.port} (simulated: there is none)")
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        log("Stopped server")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
