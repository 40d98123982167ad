"""The parent run of a pipeline execution: one for all its stages, closed when its writer dies.

The stages of one execution are processes of their own; the parent's id goes from one to the next
in `mlruns/executions.json`, under the name of the process that owns the execution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bloomdiff.experiments.processes import is_alive, pipeline_owner, this_process
from bloomdiff.files import read_json, write_json

PARENT = "mlflow.parentRunId"
WRITER = "process"
TRIAL, CURVE = "trial", "curve"
FINISHED, RESTORED = "finished", "restored"
OPEN, KILLED = "open", "killed"
PAGE = 1000


def search(client: Any, experiment_id: str, filter_string: str) -> list[Any]:
    """Every run that a filter matches, oldest first."""
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def close_orphans(client: Any, experiment_id: str) -> None:
    """Mark as KILLED every run that is open although its writer died, and the stages open in it.

    A parent whose execution goes on is taken up again thereafter; what became of its stages stays.
    """
    for run in search(client, experiment_id, "attributes.status = 'RUNNING'"):
        writer = run.data.tags.get(WRITER)
        if writer is not None and not is_alive(writer):
            for key, outcome in run.data.tags.items():
                if key.startswith("stage.") and outcome == OPEN:
                    client.set_tag(run.info.run_id, key, KILLED)
            client.set_terminated(run.info.run_id, "KILLED")


def close_lost(client: Any, run_id: str) -> None:
    """Mark a run as KILLED whose writer is known to be gone, unless it ended or is not here."""
    run = _find(client, run_id)
    if run is not None and run.info.status == "RUNNING":
        client.set_terminated(run_id, "KILLED")


def parent_of_execution(client: Any, experiment_id: str, folder: Path, stage: str) -> str:
    """Id of the open parent run of this execution, created or taken up, with the stage open in it.

    A stage that the parent has seen already belongs to a new execution, since an execution runs
    each stage once.

    Parameters
    ----------
    client, experiment_id
        The open store.
    folder
        `mlruns/`; the caller holds its lock.
    stage
        The stage that is about to run.
    """
    path = folder / "executions.json"
    known = {}
    if path.exists():
        known = {owner: entry for owner, entry in read_json(path).items() if is_alive(owner)}
    owner = pipeline_owner()
    entry = known.get(owner)
    if entry is not None and entry["experiment"] == experiment_id:
        run = _find(client, entry["run"])
        if run is not None and f"stage.{stage}" not in run.data.tags:
            client.set_tag(entry["run"], f"stage.{stage}", OPEN)
            client.set_tag(entry["run"], WRITER, this_process())
            client.update_run(entry["run"], status="RUNNING")
            return str(entry["run"])
    tags = {WRITER: this_process(), f"stage.{stage}": OPEN}
    run = client.create_run(experiment_id, run_name="pipeline", tags=tags)
    run_id = str(run.info.run_id)
    known[owner] = {"run": run_id, "experiment": experiment_id}
    write_json(path, known)
    return run_id


def _find(client: Any, run_id: str) -> Any:
    """The run, or None where another store is in use by now or it was deleted."""
    try:
        run = client.get_run(run_id)
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None
