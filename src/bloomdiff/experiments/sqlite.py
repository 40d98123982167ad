"""SQLite databases that several processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def use_write_ahead_log(path: Path) -> None:
    """Switch a database to write-ahead logging, for good.

    A commit then costs one flush to disk rather than three or more, and readers (the UI) never
    wait for a writer: a third of the time per run told to MLflow. The switch is kept in the file.
    Not for network file systems, where a database server is the right store anyway.
    """
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
