"""Programs that we did not write against ``mcp-e2e serve``, in both eras, over stdio and HTTP. Run by ``make interop``.

Needs npm, and the network the first time. One line per check; exit code 0 only if none failed; the last line counts.
With words (``conformance``, ``inspector``, ``typescript``): only these.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue

from tests.interop import conformance, inspector, packages, typescript
from tests.interop.outcome import EXPECTED, FAILED, PASSED, VACUOUS, Outcome, judged
from tests.leftovers import end_leftovers

Lane = Callable[[Path], Iterator[Outcome]]

PATIENT: list[Lane] = [typescript.over_stdio, typescript.over_http]  # they wait most of their time
BUSY: list[Lane] = [
    conformance.over_http,
    *(partial(inspector.over_stdio, era) for era in inspector.ERAS),
    *(partial(inspector.over_http, era) for era in inspector.ERAS),
]
AT_ONCE = 2


def main(words: Sequence[str]) -> int:
    patient, busy = ([lane for lane in lanes if not words or _name(lane) in words] for lanes in (PATIENT, BUSY))
    try:
        packages.install()
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    count = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-interop-") as folder:
        scratch = Path(folder).resolve()
        for outcome in _outcomes(scratch, patient, busy):
            count[outcome.kind] += 1
            print(outcome, flush=True)
    print(
        f"{count[PASSED]} passed, {count[FAILED]} failed; "
        f"{count[EXPECTED]} failed as expected, {count[VACUOUS]} passed vacuously"
    )
    return 1 if count[FAILED] or not count[PASSED] else 0


def _name(lane: Lane) -> str:
    module = lane.func.__module__ if isinstance(lane, partial) else lane.__module__
    return module.rpartition(".")[2]


def _outcomes(scratch: Path, patient: Sequence[Lane], busy: Sequence[Lane]) -> Iterator[Outcome]:
    """What the lanes find, as they find it; at last, whether they left a process behind."""
    found: Queue[Outcome | None] = Queue()
    with ThreadPoolExecutor(len(PATIENT)) as waiting, ThreadPoolExecutor(AT_ONCE) as working:
        for lane in patient:
            waiting.submit(_walk, lane, scratch, found)
        for lane in busy:
            working.submit(_walk, lane, scratch, found)
        for _ in [*patient, *busy]:
            while (outcome := found.get()) is not None:
                yield outcome
    yield _left(scratch)


def _walk(lane: Lane, scratch: Path, found: Queue[Outcome | None]) -> None:
    """One lane to its end, whatever happens in it; None says that it is over."""
    try:
        for outcome in lane(scratch):
            found.put(outcome)
    except Exception as error:
        found.put(judged(f"{_name(lane)} ran to its end", repr(error)))
    finally:
        found.put(None)


def _left(scratch: Path) -> Outcome:
    try:
        end_leftovers(scratch)
    except AssertionError as error:
        return judged("no process is left", str(error))
    return judged("no process is left", None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
