"""Whether anybody else has written, for those who look often."""

import sqlite3


def version(con: sqlite3.Connection) -> int:
    """Another number after each transaction of another connection, in any process; not to be compared over two."""
    (number,) = con.execute("PRAGMA data_version").fetchone()
    return int(number)
