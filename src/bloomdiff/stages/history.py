"""The tracker's history: what DVC restored is told, and the sweep is read back from the store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from bloomdiff.errors import InputError
from bloomdiff.experiments.fidelity import fidelity_runs
from bloomdiff.experiments.mlflow_store import database, default_uri, tracking_uri
from bloomdiff.experiments.runs_table import HOW_TO_HAVE_ONE, sweep_scores
from bloomdiff.experiments.scores import score_of
from bloomdiff.experiments.summary import REAL_ONLY, summarise
from bloomdiff.experiments.tracking import ChildRun
from bloomdiff.experiments.tracking_client import open_store
from bloomdiff.experiments.tracking_restored import log_restored
from bloomdiff.files import atomic_file, read_table
from bloomdiff.report.figures import ratio_curves
from bloomdiff.report.tables import legend, ratio_grid, text_table
from bloomdiff.stages.children import curve_runs, sweep_runs, training_counts
from bloomdiff.stages.project import Project


def complete_history(project: Project) -> list[str]:
    """Tell the tracker about stages that DVC restored; return their names."""
    experiment = project.params.tracking.experiment
    return log_restored(project.root, experiment, partial(_children, project))


def _children(project: Project, stage: str) -> Iterator[ChildRun]:
    """The nested runs that a restored stage's outputs tell about."""
    if stage == "evaluate":
        yield from fidelity_runs(read_table(project.fidelity), read_table(project.morphology))
    if stage == "classify":
        paths = sorted(project.scores.glob("*.parquet"))
        tables = {path.stem: read_table(path) for path in paths}
        for _, child in sweep_runs(tables, project.params, training_counts(project)):
            yield child
        yield from curve_runs(tables["scores"], project.params)


def compare(project: Project, metric: str, picture: Path) -> str:
    """The present sweep's ratio curves, from the store alone: a table, and a PNG.

    Parameters
    ----------
    project
        Its `params.yaml` says which experiment, and which comparison was named beforehand.
    metric
        `macro_f1` or any other score of the runs that `score_of` knows.
    picture
        PNG to write.

    Raises
    ------
    InputError
        The store holds no finished sweep, or no such metric; or it is no score; or no PNG can be
        written there.
    """
    params = project.params
    score = score_of(metric)
    _check_picture(picture)
    if (
        tracking_uri(project.root) == default_uri(project.root)
        and not database(project.root).exists()
    ):
        raise InputError(str(database(project.root)), "no such file", HOW_TO_HAVE_ONE)
    client, experiment_id = open_store(project.root, params.tracking.experiment)
    scores = sweep_scores(client, experiment_id, project.root, metric)
    table, sentence = summarise(
        scores,
        metric=metric,
        allocation=str(scores["allocation"].iloc[0]),
        confidence=params.report.confidence,
        beforehand=(params.report.generator, params.report.ratio),
    )
    if REAL_ONLY not in set(table["generator"]):
        raise InputError(f"metric {metric!r}", "is undefined in every fold", "name another score")
    primary = str(scores["classifier"].iloc[0])
    title = f"{_whose(metric, primary, params.sweep.classifiers)} classifier"
    with atomic_file(picture) as temporary:
        ratio_curves(table, temporary, score=metric, title=title)
    confidence = params.report.confidence
    percent = f"{100 * confidence:g} %"
    told = f"{metric} in {score.points}, mean [{percent} interval], {title}"
    key = legend(confidence)
    if not score.larger_is_better:
        key += "; + is better, the score falls"
    return "\n".join([told, text_table(*ratio_grid(table, confidence)), key, sentence])


def _whose(metric: str, primary: str, classifiers: Iterable[str]) -> str:
    """The classifier that a metric is of: its name stands behind the score's, but the primary's."""
    return next((name for name in classifiers if metric.endswith(f"_{name}")), primary)


def _check_picture(path: Path) -> None:
    """Refuse what the drawing could not be moved to, before anything is read."""
    if path.is_dir():
        raise InputError(str(path), "is a folder", "name a PNG in it")
    if path.suffix.lower() != ".png":
        raise InputError(str(path), "is not named as a PNG", "name a file that ends in .png")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise InputError(str(above), "is no folder that can be written to", "name another place")
