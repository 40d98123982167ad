"""Where MLflow's store is, and how to look at it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from bloomdiff.errors import InputError

TIMEOUT = 10
# How a database's driver is told after how many seconds to give up.
CONNECT = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "timeout"}


def database(root: Path) -> Path:
    """The project's own store."""
    return root / "mlruns" / "mlflow.db"


def default_uri(root: Path) -> str:
    """URI of the project's own store."""
    return f"sqlite:///{database(root)}"


def tracking_uri(root: Path) -> str:
    """Where the runs are told: the environment's `MLFLOW_TRACKING_URI`, or the project's store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)


def ui_command(root: Path, port: int) -> list[str]:
    """Command that serves the MLflow UI of this project on 127.0.0.1."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--backend-store-uri", tracking_uri(root)),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]


def check_server(uri: str) -> None:
    """Raise an `InputError` if a tracking server does not answer, rather than wait for minutes."""
    if not uri.startswith("http"):
        return
    try:
        # Unlike MLflow, urllib takes a user's name for a part of the host's.
        address = re.sub(r"://[^/?#]*@", "://", uri.rstrip("/"))
        urllib.request.urlopen(f"{address}/health", timeout=TIMEOUT).close()
    except HTTPError:
        pass  # it answers; a proxy may hide that one page
    except (OSError, ValueError, HTTPException) as error:
        raise InputError(
            f"MLflow server {without_password(uri)}",
            f"does not answer ({reason(error, uri)})",
            "start it, or unset MLFLOW_TRACKING_URI to use mlruns/mlflow.db",
        ) from None


def check_database(uri: str) -> None:
    """Connect to a store in a database once: MLflow would go on trying for minutes.

    Raises
    ------
    ImportError, ValueError, OSError, SQLAlchemyError
        The driver is missing, the URI cannot be read, or the database cannot.
    """
    kind = _kind(uri)
    if kind not in {"sqlite", *CONNECT}:
        return
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    if kind == "sqlite" and not (url.database and Path(url.database).exists()):
        return _check_new(url.database)
    engine = sqlalchemy.create_engine(
        url, connect_args=connect_timeout(uri), poolclass=sqlalchemy.pool.NullPool
    )
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def connect_timeout(uri: str) -> dict[str, int]:
    """What makes a database's driver give up after `TIMEOUT` seconds without an answer."""
    kind = _kind(uri)
    return {CONNECT[kind]: TIMEOUT} if kind in CONNECT else {}


def _kind(uri: str) -> str:
    """The database of a URI, without its driver."""
    return re.split(r"[:+]", uri, maxsplit=1)[0]


def _check_new(path: str | None) -> None:
    """MLflow makes the folders of a new SQLite file, and waits where it cannot make the file."""
    if path and path != ":memory:":
        folder = Path(path).absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def without_password(uri: str) -> str:
    """A URI as it may be told."""
    uri = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", uri)
    return re.sub(r"(password=)[^&]*", r"\1***", uri)


def reason(error: Exception, uri: str) -> str:
    """The first line of what went wrong, without the URI's password."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].replace(uri, without_password(uri))[:200]
