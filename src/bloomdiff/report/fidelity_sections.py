"""Sections on the synthetic sets themselves: metrics, what predicts use, morphology."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bloomdiff.metrics.base import OVERALL
from bloomdiff.report.page import Section
from bloomdiff.report.tables import change

_AT_MOST = 12  # rows of a long table on the page; the whole of it lies in tables/


def fidelity_sections(tables: Mapping[str, pd.DataFrame], ratio: str) -> list[Section]:
    """All sections about the synthetic sets."""
    made = [
        metric_section(tables["fidelity"]),
        predictor_section(tables["predictors"], tables["fidelity"], ratio),
        morphology_section(tables["morphology"]),
    ]
    return [section for section in made if section is not None]


def metric_section(table: pd.DataFrame) -> Section:
    """Every metric beside floor and controls, with a verdict on the metric itself."""
    lead = (
        "Mean over folds. The floor is what real cells score; copycat, class Gaussian and wrong "
        "labels are controls whose faults are known. A metric whose controls do not land where "
        "they must is marked as not trustworthy on these data."
    )
    rows = [[_cell(value) for value in row] for row in table.to_numpy()]
    return Section("The synthetic sets themselves", lead, [str(c) for c in table.columns], rows)


def predictor_section(table: pd.DataFrame, fidelity: pd.DataFrame, ratio: str) -> Section:
    """Which metric's ranking of the generators agrees with their gain."""
    doubted = set(fidelity.loc[fidelity["verdict"].str.contains("not trustworthy"), "metric"])
    title = "Which metric predicts usefulness"
    found = table.dropna(subset=["rho"])
    if found.empty:
        notes = table.loc[table["note"] != "", "note"].mode()
        return Section(title, f"Nothing can be said: {notes[0] if len(notes) else 'no metric'}.")
    first = found.iloc[0]
    lead = (
        f"Spearman's correlation of each metric's ranking of the {first['n_generators']} "
        f"generators with their gain in macro-F1 at ratio {ratio}, mean over "
        f"{first['n_folds']} folds (+1: it predicts usefulness, in the metric's own direction), "
        "with the interval that so few generators allow and Holm's p over all metrics."
    )
    lead += (
        " **No metric could be shown to predict it.**"
        if not (found["p_adjusted"] < 1 - first["confidence"]).any()
        else ""
    )
    rows = [
        [
            row["metric"] + (" (not trustworthy)" if row["metric"] in doubted else ""),
            f"{row['rho']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]",
            f"{row['p_adjusted']:.3f}",
        ]
        for _, row in found.iterrows()
    ]
    return Section(title, lead, ["metric", "correlation", "Holm's p"], rows)


def morphology_section(table: pd.DataFrame) -> Section | None:
    """Errors of the morphological parameters; None where nobody knows the true ones."""
    if table.empty:
        return None
    overall = table[table["scope"] == OVERALL].dropna(subset=["error"])
    names = list(table["generator"].unique())
    order = overall.groupby("parameter")["r2"].mean().sort_values(ascending=False).index
    rows = []
    for parameter in order[:_AT_MOST]:
        own = overall[overall["parameter"] == parameter].set_index("generator")
        cells = [_excess(own.loc[name]) if name in own.index else "" for name in names]
        floor = f"{own['floor'].mean():.2f}"
        n = int(own["n_folds"].max())
        rows.append([str(parameter), f"{own['r2'].mean():.2f}", str(n), floor, *cells])
    unread = table.loc[table["scope"] == OVERALL, "parameter"].nunique() - len(order)
    lead = (
        "The phantom's true parameters, read off embeddings by a ridge regression that saw the "
        "training part only. 1-Wasserstein distance between synthetic and held-out cells, in "
        "deviations of the latter; the floor is real training cells, and in brackets stands the "
        "excess over it with its interval over the folds in which the parameter can be read. The "
        "best readable ones are shown; "
        f"{unread} cannot be read from these embeddings (R² below 0.3). By class: "
        "tables/morphology.parquet."
    )
    return Section("Morphology", lead, ["parameter", "R²", "folds", "floor", *names], rows)


def _excess(row: pd.Series) -> str:
    return f"{row['error']:.2f} ({change(row, 'excess')})"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}"
    return str(value)
