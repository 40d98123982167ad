"""The synthetic sets' own metrics over the folds: as runs, and as a table for reading."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bloomdiff.experiments.tracking import ChildRun
from bloomdiff.metrics.base import OVERALL

CONTROLS = ["floor", "copycat", "class_gaussian", "wrong_labels"]


def fidelity_runs(table: pd.DataFrame, morphology: pd.DataFrame) -> Iterator[ChildRun]:
    """One run per fold and generator, the whole of its table beside it.

    Parameters
    ----------
    table
        Records of `bloomdiff.metrics.controls.judge` with the columns `fold` and `generator`.
    morphology
        Records of `bloomdiff.metrics.morphology.morphology_errors` with the same two columns; no
        row where the true parameters are not known.
    """
    shapes = morphology[morphology["scope"] == OVERALL].dropna(subset=["error"])
    errors = shapes.groupby(["fold", "generator"])[["error", "floor"]].mean().to_dict("index")
    for (fold, generator), part in table.groupby(["fold", "generator"], sort=False):
        overall = part[part["scope"] == OVERALL].set_index("metric")
        columns = {"value": "", "floor": ".floor", "copycat": ".copycat"}
        metrics = {
            f"{name}{suffix}": float(value)
            for column, suffix in columns.items()
            for name, value in overall[column].dropna().items()
        }
        if (fold, generator) in errors:
            mean = errors[fold, generator]
            metrics |= {"morphology_error": mean["error"], "morphology_error.floor": mean["floor"]}
        yield ChildRun(
            name=f"{generator} synthetic set {fold}",
            params={"fold": fold, "generator": generator},
            metrics=metrics,
            tags={"fold": str(fold), "kind": "synthetic_set"},
            artifacts={"synthetic_metrics.csv": part.to_csv(index=False)},
        )


def reading_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over folds of each metric for each generator, beside floor, controls and trust.

    Returns
    -------
    DataFrame
        One row a metric: `metric`, `better`, one column a generator, the floor and controls, and
        `verdict`: "trusted" where the controls landed where they must in every fold that could be
        checked; "not trustworthy (2 of 5 folds failed: why)"; or why nothing could be said, such
        as "too few: needs 100 held-out rows, has 52".
    """
    overall = table[table["scope"] == OVERALL]
    generators = overall.pivot_table(
        index="metric", columns="generator", values="value", aggfunc="mean", sort=False,
        dropna=False,
    )  # fmt: skip
    by_metric = overall.groupby("metric", sort=False)
    # Floor and controls are one per fold, repeated for each generator.
    controls = by_metric[CONTROLS].mean()
    joined = generators.join(controls)
    joined["verdict"] = [verdict(overall[overall["metric"] == name]) for name in joined.index]
    joined.insert(0, "better", by_metric["better"].first())
    return joined.reset_index().rename(columns={name: name.replace("_", " ") for name in CONTROLS})


def verdict(records: pd.DataFrame) -> str:
    """Whether one metric may be believed on these data, from its records of all folds."""
    if records["value"].isna().all():
        notes = [note for note in records["note"] if note]
        return notes[0] if notes else "undefined"
    folds = records.drop_duplicates("fold")
    checked = folds.dropna(subset=["trustworthy"])
    if checked.empty:
        return str(folds["reason"].iloc[0])
    failed = checked[~checked["trustworthy"].astype(bool)]
    if failed.empty:
        return "trusted"
    why = failed["reason"].mode().iloc[0]
    return f"**not trustworthy** ({len(failed)} of {len(checked)} folds failed: {why})"
