"""A project that was moved or copied: its store's addresses follow it.

MLflow writes down where an experiment's files lie as an absolute address. In another place new runs
would put theirs into the old folder, which may be another project's by then, and no link of the
earlier ones would lead anywhere.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

FOLDER = "mlruns/artifacts"
# Table and column of MLflow's schema; a store of an earlier one lacks some.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def follow(store: Path, root: Path, told: str) -> bool:
    """Rewrite a store's addresses if `told`, an experiment's, is of another place than `root`.

    Parameters
    ----------
    store
        The project's own SQLite store.
    root
        Where the project is now.
    told
        Address at which the experiment keeps its files.

    Returns
    -------
    Whether anything was rewritten. An address that this project would not have chosen is somebody's
    wish, and stays.
    """
    here = (root / FOLDER).as_uri()
    if told == here or not (told.startswith("file:") and told.endswith(f"/{FOLDER}")):
        return False
    with closing(sqlite3.connect(store)) as connection, connection:
        there = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in there}
        for table, column in _ADDRESSES:
            if table not in tables:
                continue
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            if column in columns:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                    f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here, len(told) + 1, told, len(told) + 1, f"{told}/"),
                )
    return True
