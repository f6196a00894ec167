"""A look at a database without touching it: its version, whether it is sound, the breaker."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.model.calls import Breaker
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store.migrations import scripts
from mcp_e2e.store.opening import looking
from mcp_e2e.store.transactions import is_damage

BUSY_S = 1.0


@dataclass(frozen=True)
class Examined:
    """``schema`` is the number of its migrations, ``known`` that of ours; ``breaker`` only of one that we can read."""

    schema: int = 0
    known: int = 0
    damage: str | None = None
    breaker: Breaker | None = None


def examine(path: Path) -> Examined:
    """Reads all of it once. Raises sqlite3.Error where it cannot be opened or is locked."""
    known = len(scripts())
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={looking(path, once=True)}", uri=True, timeout=BUSY_S
    )
    connection.row_factory = sqlite3.Row
    try:
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            return Examined(schema, known, str(told))
        return Examined(schema, known, breaker=breakers.load(connection) if 0 < schema <= known else None)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return Examined(known=known, damage=str(error))
    finally:
        connection.close()
