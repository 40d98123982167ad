"""Stages that DVC restored rather than ran get a run that says so: the history has no holes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from bloomdiff.experiments.lineage import (
    current_stages,
    dvc_inputs,
    git_tags,
    inputs_digest,
    outputs_of,
)
from bloomdiff.experiments.parents import RESTORED, WRITER, close_orphans
from bloomdiff.experiments.processes import this_process
from bloomdiff.experiments.runs_table import behind
from bloomdiff.experiments.tracking import ChildRun, StageRun
from bloomdiff.experiments.tracking_client import open_store
from bloomdiff.files import writable


def log_restored(
    root: Path, experiment: str, children: Callable[[str], Iterable[ChildRun]]
) -> list[str]:
    """Tell the stages whose outputs are here although no run in the store made them.

    Parameters
    ----------
    root
        The project.
    experiment
        Name of the MLflow experiment.
    children
        Maps a stage to the nested runs that its outputs still tell about.

    Returns
    -------
    list of str
        The stages that were told, in the pipeline's order; they share one parent run.
    """
    from filelock import FileLock

    root = Path(root).resolve()
    with writable(root / "mlruns"), FileLock(root / "mlruns" / ".lock"):
        client, experiment_id = open_store(root, experiment)
        close_orphans(client, experiment_id)
        stages = current_stages(root)
        missing = [s for s in stages if behind(client, experiment_id, root, s) is None]
        if not missing:
            return []
        tags = {WRITER: this_process(), RESTORED: "true"}
        # Read before there is a run: an output that is not here would leave it open.
        told = {stage: list(children(stage)) for stage in missing}
        run_id = client.create_run(experiment_id, run_name=RESTORED, tags=tags).info.run_id
        # Under the lock to the end: another one would not see yet what is told here.
        for stage in missing:
            run = StageRun(client, experiment_id, run_id, stage, root)
            inputs = {f"dvc.{path}": md5 for path, md5 in dvc_inputs(root, stage).items()}
            run.set_tags({"stage": stage, **tags, **git_tags(root), **inputs})
            run.log_children(told[stage])
            for path, md5 in outputs_of(root, stage).items():
                run.mark(f"out.{path}", md5)
            run.mark(f"inputs.{stage}", inputs_digest(root, stage))
            run.mark(f"stage.{stage}", RESTORED)
        client.set_terminated(run_id)
    return missing
