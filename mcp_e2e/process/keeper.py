"""The keeper program: owns the process tree of one job and outlives whoever started it.

``python -I -S keeper.py JOBDIR [LOCKFD]``; standard library only, nothing of mcp_e2e but the folder ``keeping`` beside
it. stdin: one JSON object ``{"env": {...}}``, the child's whole environment, never written to disk. stdout: one JSON
line, ``{"ok": true}`` or ``{"error": "exec|stopped|locked|used|spec|version", "message": "..."}``, then nothing more.
``LOCKFD`` is the job's lock, already held by the launcher, so that no moment exists in which nobody holds it.
``--spare`` waits for the folder, the environment and the lock on the socket that is its stdin (``process/spare.py``).
``--look RULE OFFSET`` (Windows) ends with 0 when what the rule, as JSON, asks for is there.
``--try-layers FOLDER`` instead tells which layers of confinement hold on this system (``keeping/trial.py``).
"""

import os
import sys

if __name__ == "__main__":
    # appended, not put first: no file of ours can ever shadow the standard library
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1] == "--try-layers":
        from keeping.trial import main as tried  # type: ignore[import-not-found,unused-ignore]

        tried(sys.argv[2])
    elif sys.argv[1] == "--look":
        from keeping.quiet import loads  # type: ignore[import-not-found,unused-ignore]
        from keeping.searching import seen  # type: ignore[import-not-found,unused-ignore]

        sys.exit(0 if seen(loads(sys.argv[2]), int(sys.argv[3])) else 1)
    elif sys.platform == "win32":
        from keeping.program_windows import main  # type: ignore[import-not-found,unused-ignore]

        main(sys.argv)
    elif sys.argv[1] == "--spare":
        from keeping.program import spare  # type: ignore[import-not-found,unused-ignore]

        spare()
    else:
        from keeping.program import main  # type: ignore[import-not-found,unused-ignore]

        main(sys.argv)
