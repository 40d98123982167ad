"""SQLite databases that several processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def use_write_ahead_log(path: Path) -> None:
    """Switch a database to write-ahead logging, for good.

    A commit then costs one flush to disk rather than three or more, and readers (the UI) never
    wait for a writer: a third of the time per run told to MLflow. The switch is kept in the file.
    Not for network file systems, where a database server is the right store anyway.
    """
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def spare_flushes() -> None:
    """Let commits to write-ahead logs leave the flush to the log's checkpoint, in this process.

    A run or a trial is some seven commits, of up to ten milliseconds each on a busy disk. A
    process that is killed loses nothing by it; a power cut may take the last moments, and the
    database stays whole.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _spare_flush):
        event.listen(Engine, "connect", _spare_flush)


def _spare_flush(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")
