"""MLflow's client on the project's store, quiet and offline."""

from __future__ import annotations

import gc
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError
from bloomdiff.experiments.mlflow_store import (
    check_database,
    check_server,
    database,
    default_uri,
    reason,
    tracking_uri,
    without_password,
)
from bloomdiff.experiments.moved_store import FOLDER, follow
from bloomdiff.experiments.sqlite import spare_flushes, use_write_ahead_log


def open_store(root: Path, experiment: str) -> tuple[Any, str]:
    """Open the store and the experiment, each created where missing."""
    uri = tracking_uri(root)
    check_server(uri)
    client = client_of(uri)
    with _one_line(uri):
        if uri == default_uri(root):
            client.search_experiments(max_results=1)  # creates the database
            use_write_ahead_log(database(root))
        found = client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage != "active":
            raise InputError(
                f"MLflow experiment {experiment!r}",
                f"was deleted from {without_password(uri)}",
                f"`mlflow experiments restore --experiment-id {found.experiment_id}` with that as"
                " MLFLOW_TRACKING_URI, or name another in tracking.experiment",
            )
        if found is not None:
            if uri == default_uri(root):
                follow(database(root), root, found.artifact_location)
            return client, found.experiment_id
        served = uri.startswith("http")  # a server knows where its artefacts belong
        location = None if served else (root / FOLDER).as_uri()
        return client, client.create_experiment(experiment, artifact_location=location)


def check_ui(root: Path) -> None:
    """Raise an `InputError` where MLflow's UI cannot serve the store of `root`."""
    uri = tracking_uri(root)
    if uri.startswith("http"):
        raise InputError(
            f"MLflow server {without_password(uri)}",
            "shows its runs itself",
            "open it in a browser, or unset MLFLOW_TRACKING_URI to see mlruns/mlflow.db",
        )
    client_of(uri)


@contextmanager
def _one_line(uri: str) -> Iterator[None]:
    """What keeps a store from being opened is an `InputError` that names it."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    mend = "mend the store, or MLFLOW_TRACKING_URI that names it"
    if uri.startswith("sqlite:"):
        mend = "mend the file or move it away, or name another store by MLFLOW_TRACKING_URI"
    try:
        yield
    except ImportError as error:
        mend = "install its driver, or mend MLFLOW_TRACKING_URI that names it"
        raise _refused(uri, error, mend) from None
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
        raise _refused(uri, error, mend) from None


def _refused(uri: str, error: Exception, mend: str) -> InputError:
    return InputError(f"MLflow store {without_password(uri)}", reason(error, uri), mend)


def quiet() -> None:
    """Keep MLflow from phoning home and from chatting."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def client_of(uri: str) -> Any:
    """The client of a store.

    Importing MLflow is most of a stage's start. It makes hundreds of thousands of objects that live
    as long as the process; going through them again and again, and once more at the end, would
    cost the garbage collector a third of a stage's start.

    Raises
    ------
    InputError
        MLflow knows no store of this kind, or it cannot be opened.
    """
    quiet()
    new, collecting = "mlflow" not in sys.modules, gc.isenabled()
    if new:
        gc.disable()
    try:
        from mlflow import MlflowClient

        spare_flushes()
        with _one_line(uri):
            check_database(uri)
            client = MlflowClient(tracking_uri=uri)
        if new:
            gc.freeze()
        return client
    finally:
        if collecting:
            gc.enable()
