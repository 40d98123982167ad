"""Runs told to MLflow, in the project's own SQLite store unless `MLFLOW_TRACKING_URI` names one.

One parent run stands for one execution of the pipeline, whichever processes its stages are; under
it lies one run per fold, generator, ratio and seed. Only `MlflowClient` is used: the fluent
interface would let `MLFLOW_RUN_ID` and friends in the environment override the parent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bloomdiff.experiments.lineage import dvc_inputs, git_tags, inputs_digest
from bloomdiff.experiments.parents import PARENT, WRITER, close_orphans, parent_of_execution
from bloomdiff.experiments.processes import this_process
from bloomdiff.experiments.run_artifacts import Content, write_artifacts
from bloomdiff.experiments.runs_table import runs_table
from bloomdiff.experiments.tracking_client import client_of, open_store
from bloomdiff.experiments.tracking_names import renamed, with_metric_names
from bloomdiff.experiments.tracking_records import ChildRun as ChildRun
from bloomdiff.experiments.tracking_records import RunHandle as RunHandle
from bloomdiff.experiments.tracking_registry import Registered, register_version
from bloomdiff.files import atomic_file, writable


@contextmanager
def pipeline_run(
    root: Path,
    *,
    stage: str,
    experiment: str,
    tags: Mapping[str, str] | None = None,
    lineage_of: str | None = None,
) -> Iterator[StageRun]:
    """Open the parent run of this pipeline execution for one stage; close it however it ends.

    The first stage of an execution creates the parent, the others take it up. Runs that a killed
    process left open are closed first.

    Parameters
    ----------
    root
        The project; `mlruns/` lies in it.
    stage
        Name of the stage; a stage that this execution ran already begins a new execution.
    experiment
        Name of the MLflow experiment.
    tags
        Tags of the parent, beside git's, DVC's and the stage's.
    lineage_of
        The stage of `dvc.yaml` whose inputs are read, where it has another name.

    Raises
    ------
    InputError
        The tracking server does not answer.
    """
    from filelock import FileLock

    root = Path(root).resolve()
    folder = root / "mlruns"
    # Two processes that create one database crash each other.
    with writable(folder), FileLock(folder / ".lock"):
        client, experiment_id = open_store(root, experiment)
        close_orphans(client, experiment_id)
        inputs = dvc_inputs(root, lineage_of or stage)
        hashes = {f"dvc.{path}": md5 for path, md5 in inputs.items()}
        lineage = {"stage": stage, WRITER: this_process(), **git_tags(root), **hashes}
        run_id = parent_of_execution(client, experiment_id, folder, stage)
        run = StageRun(client, experiment_id, run_id, stage, root)
        run.set_tags({**lineage, **(tags or {})})
    for path, md5 in inputs.items():
        run.log_input(path, md5, path, context=stage)
    run.mark(f"inputs.{stage}", inputs_digest(root, lineage_of or stage))
    outcome = "failed"
    try:
        yield run
        outcome = "finished"
    except KeyboardInterrupt:
        outcome = "killed"
        raise
    finally:
        run.mark(f"stage.{stage}", outcome)
        tags = client.get_run(run_id).data.tags
        outcomes = {value for key, value in tags.items() if key.startswith("stage.")}
        worst = next((o for o in ("failed", "killed") if o in outcomes), "finished")
        client.set_terminated(run_id, worst.upper())


class StageRun:
    """The parent run as one stage sees it: keys are prefixed with the stage's name.

    Attributes
    ----------
    run_id
        MLflow's id of the parent run.
    """

    def __init__(
        self, client: Any, experiment_id: str, run_id: str, stage: str, root: Path
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self.run_id = run_id
        self.stage = stage
        self._root = root
        self._tags: dict[str, str] = {}

    @property
    def handle(self) -> RunHandle:
        """Plain data that `attach` makes this run of again, in a worker process."""
        uri = str(self._client.tracking_uri)
        return RunHandle(
            uri, self._experiment_id, self.run_id, self.stage, self._root, dict(self._tags)
        )

    @classmethod
    def attach(cls, handle: RunHandle) -> StageRun:
        """The run of a handle."""
        run = cls(
            client_of(handle.uri), handle.experiment_id, handle.run_id, handle.stage, handle.root
        )
        run._tags = dict(handle.tags)
        return run

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Tell parameters of the stage."""
        self._log(self.run_id, params={f"{self.stage}.{k}": v for k, v in params.items()})

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Tell figures of the stage."""
        self._log(self.run_id, metrics={f"{self.stage}.{k}": v for k, v in metrics.items()})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tag the parent run, and every child and model that is logged from now on."""
        self._tags.update(tags)
        self._log(self.run_id, tags=tags)

    def mark(self, key: str, value: str) -> None:
        """Tag the parent run alone."""
        self._log(self.run_id, tags={key: value})

    def log_artifact(self, path: str | Path, folder: str = "") -> None:
        """Attach a file to the parent run, under `folder`, by default the stage's name."""
        path = Path(path)
        self.log_content({f"{folder or self.stage}/{path.name}": path})

    def log_content(self, artifacts: Mapping[str, Content]) -> None:
        """Attach files to the parent run: path inside the run to content, or to its file."""
        write_artifacts(self._client, self._client.get_run(self.run_id).info, artifacts)

    def log_children(self, children: Iterable[ChildRun]) -> list[str]:
        """Tell a run for each record, nested under the parent; return their ids in order."""
        from tqdm import tqdm

        told = with_metric_names(children)
        bar = tqdm(told, desc=f"{self.stage}: telling MLflow", unit="run", disable=None)
        return [self._log_child(child) for child in bar]

    def open_child(self, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run nested under the parent, to be told by `close_child`; return its id."""
        own = {**self._tags, **tags, PARENT: self.run_id, WRITER: this_process()}
        run = self._client.create_run(self._experiment_id, tags=own, run_name=name)
        return str(run.info.run_id)

    def close_child(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        status: str = "FINISHED",
    ) -> None:
        """Tell all about a run that `open_child` began, in one batch, and end it."""
        self._log(run_id, params=params, metrics=metrics, tags=tags)
        self._client.set_terminated(run_id, status)

    def log_model(self, name: str, folder: str | Path, *, run_id: str | None = None) -> str:
        """Log a folder as an MLflow 3 model of a run, the parent by default; return its id."""
        from mlflow.entities import LoggedModelOutput

        source = run_id or self.run_id
        model = self._client.create_logged_model(
            self._experiment_id, name=name, source_run_id=source, tags=self._tags
        )
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(source, [LoggedModelOutput(model.model_id, step=0)])
        return model.model_id

    def register_model(
        self,
        name: str,
        *,
        alias: str,
        digest: str,
        log: Callable[[], str],
        description: str,
        tags: Mapping[str, str],
    ) -> Registered:
        """Give a model's version an alias in the registry, see `register_version`."""
        return register_version(
            self._client,
            name,
            alias=alias,
            digest=digest,
            log=log,
            run_id=self.run_id,
            description=description,
            tags=tags,
        )

    def log_input(self, name: str, digest: str, source: str, *, context: str) -> None:
        """Tell a data set that the stage reads: its name, digest and path."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name=name, digest=digest[:36], source_type="local", source=source)
        tags = [InputTag("mlflow.data.context", context)]
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def export_runs(self, path: str | Path) -> None:
        """Write the runs behind the present outputs as sorted CSV, without ids or times."""
        table = runs_table(self._client, self._experiment_id, self._root, without=self.stage)
        with atomic_file(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")

    def _log_child(self, child: ChildRun) -> str:
        tags = {**self._tags, **child.tags, PARENT: self.run_id}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=child.name)
        self._log(run.info.run_id, params=child.params, metrics=child.metrics, series=child.series)
        write_artifacts(self._client, run.info, child.artifacts)
        self._client.set_terminated(run.info.run_id)
        return run.info.run_id

    def _log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        series: Mapping[str, Mapping[int, float]] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        told = renamed(series or {k: {0: v} for k, v in (metrics or {}).items()})
        self._client.log_batch(
            run_id,
            metrics=[Metric(k, float(v), now, s) for k, vs in told.items() for s, v in vs.items()],
            params=[Param(k, str(v)) for k, v in (params or {}).items()],
            tags=[RunTag(k, str(v)) for k, v in (tags or {}).items()],
        )
