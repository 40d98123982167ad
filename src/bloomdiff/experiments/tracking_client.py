"""MLflow's client on the project's store, quiet and offline."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError
from bloomdiff.experiments.mlflow_store import check_server, database, default_uri, tracking_uri
from bloomdiff.experiments.sqlite import spare_flushes, use_write_ahead_log


def open_store(root: Path, experiment: str) -> tuple[Any, str]:
    """Open the store and the experiment, each created where missing."""
    uri = tracking_uri(root)
    check_server(uri)
    client = client_of(uri)
    from mlflow.exceptions import MlflowException

    try:
        if uri == default_uri(root):
            client.search_experiments(max_results=1)  # creates the database
            use_write_ahead_log(database(root))
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            return client, found.experiment_id
        served = uri.startswith("http")  # a server knows where its artefacts belong
        location = None if served else (root / "mlruns" / "artifacts").as_uri()
        return client, client.create_experiment(experiment, artifact_location=location)
    except MlflowException as error:
        raise _refused(uri, error) from None


def _refused(uri: str, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:200]
    return InputError(
        f"MLflow store {uri}", reason, "mend the store, or MLFLOW_TRACKING_URI that names it"
    )


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
        MLflow knows no store of this kind.
    """
    quiet()
    new, collecting = "mlflow" not in sys.modules, gc.isenabled()
    if new:
        gc.disable()
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        spare_flushes()
        try:
            client = MlflowClient(tracking_uri=uri)
        except MlflowException as error:
            raise _refused(uri, error) from None
        if new:
            gc.freeze()
        return client
    finally:
        if collecting:
            gc.enable()
