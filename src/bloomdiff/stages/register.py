"""The best classifier of the sweep, registered: champion where the paired test supports it.

What is registered is the classifiers of the outer folds together, each scaled by the temperature
that its own training part gave; the threshold for deferring comes from their test folds. They are
fitted again from the pipeline's outputs and must score what the sweep says.
"""

from __future__ import annotations

import hashlib
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.ratios import largest_finite, ratio_name
from bloomdiff.experiments.summary import REAL_ONLY, summarise
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.experiments.tracking_registry import CHALLENGER, CHAMPION, Registered
from bloomdiff.files import sha256_file, to_json
from bloomdiff.metrics.calibration import reject_curve, scale_temperature
from bloomdiff.metrics.classification import class_indices
from bloomdiff.serving.cell_typer import CellTyper, Member
from bloomdiff.serving.package import package
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.swept import read_sweep
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.threads import one_thread


@dataclass(frozen=True)
class Choice:
    """The setting that is registered, and what speaks for it.

    Attributes
    ----------
    generator, ratio
        `none` at "0" is real cells only; the ratio as it is spelled in the tables.
    supported
        Whether the paired test shows a gain over real cells only.
    evidence
        One sentence.
    """

    generator: str
    ratio: str
    supported: bool
    evidence: str


def register_best(project: Project, run: StageRun) -> Registered:
    """Register the best setting's classifier under the experiment's name.

    Raises
    ------
    InputError
        The sweep has not been run.
    IntegrityError
        The sweep is about another classifier, or one that is fitted again does not score what it
        says.
    """
    if not (project.scores / "scores.parquet").exists():
        raise InputError(str(project.scores), "no such folder", "run `dvc repro` first")
    tables = read_sweep(project, "scores", "predictions", "calibration")
    choice = choose_setting(project, tables["scores"])
    own = {
        name: table[(table["generator"] == choice.generator) & (table["ratio"] == choice.ratio)]
        for name, table in tables.items()
    }
    with one_thread():  # as in the sweep
        members = [fit_member(project, fold, choice, own) for fold in fold_names(project)]
    header = EmbeddingSet.load(project.embeddings).header
    card = {
        **thresholds(own, project.params.seeds[0], project.params.serving.coverage),
        "dim": len(members[0].classifier._mean),
        "encoder": {
            "params": project.encoder_params.model_dump(mode="json"),
            "digest": header["digest"],
        },
        "classifier": project.params.primary,
        "generator": choice.generator,
        "ratio": choice.ratio,
        "evidence": choice.evidence,
    }
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        bundle.mkdir()
        CellTyper(members, card).save(bundle, weights_from=project.working / "encoders")

        def log() -> str:
            package(bundle, Path(scratch) / "model")
            return run.log_model("cell-typer", Path(scratch) / "model")

        return run.register_model(
            project.params.tracking.experiment,
            alias=CHAMPION if choice.supported else CHALLENGER,
            digest=_digest(bundle),
            log=log,
            description=choice.evidence,
            tags={key: str(card[key]) for key in ("classifier", "generator", "ratio", "threshold")},
        )


def register_with_report(project: Project, run: StageRun) -> None:
    """Register at the end of the pipeline, or say why not and go on: the report stands without it.

    An input may not have been checked out, and outputs that were computed on another processor may
    differ in a cell.
    """
    try:
        done = register_best(project, run)
    except (InputError, IntegrityError) as error:
        print(f"nothing was registered: {error}", file=sys.stderr)
    else:
        print(f"registered {done.name} version {done.version} as {done.alias}", file=sys.stderr)


def choose_setting(project: Project, scores: pd.DataFrame) -> Choice:
    """The best mean macro-F1 among the settings whose gain is shown, else among all."""
    params = project.params
    table, sentence = summarise(
        scores[scores["classifier"] == params.primary],
        metric="macro_f1",
        allocation=params.sweep.allocation,
        confidence=params.report.confidence,
        beforehand=(params.report.generator, params.report.ratio),
    )
    named = (table["generator"] == params.report.generator) & (
        table["ratio"] == ratio_name(params.report.ratio)
    )
    # The comparison that was named beforehand is tested alone, all others together.
    p_value = table["p_value"].where(named, table["p_holm"])
    shown = (table["gain"] > 0) & (p_value < 1 - params.report.confidence)
    among = table[shown] if shown.any() else table
    best = among.iloc[int(among["mean"].to_numpy().argmax())]
    setting = (
        "real cells only"
        if best["generator"] == REAL_ONLY
        else f"{best['generator']} at ratio {best['ratio']}"
    )
    verdict = (
        "the paired test shows a gain over real cells only"
        if shown.any()
        else "no gain over real cells only could be shown"
    )
    evidence = f"{setting}: mean macro-F1 {best['mean']:.3f}; {verdict}. {sentence}"
    return Choice(str(best["generator"]), str(best["ratio"]), bool(shown.any()), evidence)


def fit_member(
    project: Project, fold: str, choice: Choice, tables: dict[str, pd.DataFrame]
) -> Member:
    """The fold's classifier of the first seed, fitted as the sweep did, with its temperature."""
    params = project.params
    rows = load_fold(project, fold)
    synthetic = None
    if choice.generator != REAL_ONLY:
        synthetic = SyntheticSet.load(project.synthetic_set(fold, choice.generator))
    ratio = float(choice.ratio)
    # What synthetic-only takes depends on the largest finite ratio, which must stand beside it.
    ratios = (ratio,) if math.isfinite(ratio) else (largest_finite(params.sweep.ratios), ratio)
    values = tuned_values(project.classifier_params, fold, params.primary, rows)
    *_, scored = sweep_fold(
        rows.train,
        rows.test,
        synthetic,
        ratios=ratios,
        seeds=params.seeds[:1],
        allocation=params.sweep.allocation,
        classifiers={params.primary: values},
        pool=rows.pool,
        device=params.device,
    )
    told = _one(tables["scores"], fold, params.seeds[0], classifier=params.primary)["macro_f1"]
    if abs(scored.scores["macro_f1"] - told) > 1e-9:
        raise IntegrityError(
            f"{fold}: {choice.generator} at ratio {choice.ratio}",
            f"scores {scored.scores['macro_f1']:.6f} when fitted again, not {told:.6f}",
            "run `dvc repro -f classify` here: the outputs do not belong together, or are of"
            " another processor",
        )
    temperature = _one(tables["calibration"], fold, params.seeds[0])["temperature"]
    return Member(scored.classifier, float(temperature) if math.isfinite(temperature) else 1.0)


def thresholds(tables: dict[str, pd.DataFrame], seed: int, coverage: float) -> dict[str, float]:
    """Confidence below which a cell is deferred, and what that gives on the test folds.

    Returns
    -------
    dict
        `threshold`, `coverage` (share of test cells kept: all whose confidence is not below the
        threshold, which may be more than was asked for), `accuracy` (among them) and
        `accuracy_all`.
    """
    predictions = tables["predictions"][tables["predictions"]["seed"] == seed]
    columns = [name for name in predictions.columns if name.startswith("p.")]
    classes = [name.removeprefix("p.") for name in columns]
    proba = predictions[columns].fillna(0.0).to_numpy(dtype=np.float64, copy=True)
    for fold in predictions["fold"].unique():
        temperature = _one(tables["calibration"], fold, seed)["temperature"]
        if math.isfinite(temperature):
            mask = (predictions["fold"] == fold).to_numpy()
            proba[mask] = scale_temperature(proba[mask], float(temperature))
    truth = class_indices(predictions["true"].to_numpy(dtype=str), classes)
    (wanted,) = reject_curve(truth, proba, coverages=(coverage,))
    kept, correct = proba.max(axis=1) >= wanted["threshold"], proba.argmax(axis=1) == truth
    return {
        "threshold": wanted["threshold"],
        "coverage": float(kept.mean()),
        "accuracy": float(correct[kept].mean()),
        "accuracy_all": float(correct.mean()),
    }


def _one(table: pd.DataFrame, fold: str, seed: int, **more: Any) -> Any:
    wanted = (table["fold"] == fold) & (table["seed"] == seed)
    for column, value in more.items():
        wanted &= table[column] == value
    return table[wanted].iloc[0]


def _digest(bundle: Path) -> str:
    """Digest of all files of a bundle."""
    files = {str(p.relative_to(bundle)): p for p in bundle.rglob("*") if p.is_file()}
    text = to_json({name: sha256_file(path) for name, path in sorted(files.items())})
    return hashlib.sha256(text.encode()).hexdigest()
