"""The tracker's history: what DVC restored is told, and the sweep is read back from the store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from bloomdiff.errors import InputError
from bloomdiff.experiments.fidelity import fidelity_runs
from bloomdiff.experiments.mlflow_store import database, default_uri, tracking_uri
from bloomdiff.experiments.runs_table import sweep_scores
from bloomdiff.experiments.summary import summarise
from bloomdiff.experiments.tracking import ChildRun
from bloomdiff.experiments.tracking_client import open_store
from bloomdiff.experiments.tracking_restored import log_restored
from bloomdiff.files import atomic_file
from bloomdiff.report.figures import ratio_curves
from bloomdiff.report.tables import LEGEND, ratio_grid, text_table
from bloomdiff.stages.children import curve_runs, sweep_runs, training_counts
from bloomdiff.stages.project import Project


def complete_history(project: Project) -> list[str]:
    """Tell the tracker about stages that DVC restored; return their names."""
    experiment = project.params.tracking.experiment
    return log_restored(project.root, experiment, partial(_children, project))


def _children(project: Project, stage: str) -> Iterator[ChildRun]:
    """The nested runs that a restored stage's outputs tell about."""
    if stage == "evaluate":
        yield from fidelity_runs(
            pd.read_parquet(project.fidelity), pd.read_parquet(project.morphology)
        )
    if stage == "classify":
        paths = sorted(project.scores.glob("*.parquet"))
        tables = {path.stem: pd.read_parquet(path) for path in paths}
        for _, child in sweep_runs(tables, project.params, training_counts(project)):
            yield child
        yield from curve_runs(tables["scores"], project.params)


def compare(project: Project, metric: str, picture: Path) -> str:
    """The latest sweep's ratio curves, from the store alone: a table, and a PNG.

    Parameters
    ----------
    project
        Its `params.yaml` says which experiment, and which comparison was named beforehand.
    metric
        `macro_f1` or any other score of the runs; larger is better.
    picture
        PNG to write.

    Raises
    ------
    InputError
        The store holds no finished sweep, or no such metric.
    """
    params = project.params
    if (
        tracking_uri(project.root) == default_uri(project.root)
        and not database(project.root).exists()
    ):
        raise InputError(str(database(project.root)), "no such file", "run `dvc repro` first")
    client, experiment_id = open_store(project.root, params.tracking.experiment)
    scores = sweep_scores(client, experiment_id, metric)
    table, sentence = summarise(
        scores,
        metric=metric,
        allocation=str(scores["allocation"].iloc[0]),
        confidence=params.report.confidence,
        beforehand=(params.report.generator, params.report.ratio),
    )
    title = f"{scores['classifier'].iloc[0]} classifier"
    with atomic_file(picture) as temporary:
        ratio_curves(table, temporary, score=metric, title=title)
    told = f"{metric} in points, mean [{100 * params.report.confidence:g} % interval], {title}"
    return "\n".join([told, text_table(*ratio_grid(table)), LEGEND, sentence])
