"""The synthetic sets' own metrics over the folds: as runs, and as a table for reading."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bloomdiff.experiments.tracking import ChildRun

CONTROLS = ["floor", "copycat", "class_gaussian", "wrong_labels"]


def fidelity_runs(table: pd.DataFrame) -> Iterator[ChildRun]:
    """One run per fold and generator, the whole of its table beside it.

    Parameters
    ----------
    table
        Records of `bloomdiff.metrics.controls.judge` with the columns `fold` and `generator`.
    """
    for (fold, generator), part in table.groupby(["fold", "generator"], sort=False):
        overall = part[part["scope"] == "all"].set_index("metric")
        columns = {"value": "", "floor": ".floor", "copycat": ".copycat"}
        metrics = {
            f"{name}{suffix}": float(value)
            for column, suffix in columns.items()
            for name, value in overall[column].dropna().items()
        }
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
        `trusted`: in how many of the folds where a check was possible the controls landed where
        they must.
    """
    overall = table[table["scope"] == "all"]
    generators = overall.pivot_table(
        index="metric", columns="generator", values="value", aggfunc="mean", sort=False
    )
    by_metric = overall.groupby("metric", sort=False)
    # Floor and controls are one per fold, repeated for each generator.
    controls = by_metric[CONTROLS].mean()
    checked = overall.dropna(subset=["trustworthy"]).drop_duplicates(["metric", "fold"])
    held = checked.groupby("metric")["trustworthy"].agg(lambda one: f"{int(sum(one))}/{len(one)}")
    # A metric that no fold had enough cells for says nothing.
    generators = generators.dropna(how="all")
    joined = generators.join(controls).assign(trusted=held)
    joined.insert(0, "better", by_metric["better"].first())
    return joined.reset_index().rename(columns={name: name.replace("_", " ") for name in CONTROLS})
