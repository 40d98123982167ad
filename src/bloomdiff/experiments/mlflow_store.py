"""Where MLflow's store is, and how to look at it."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from bloomdiff.errors import InputError


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
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()
    except HTTPError:
        pass  # it answers; a proxy may hide that one page
    except OSError as error:
        raise InputError(
            f"MLflow server {uri}",
            f"does not answer ({error})",
            "start it, or unset MLFLOW_TRACKING_URI to use mlruns/mlflow.db",
        ) from None
