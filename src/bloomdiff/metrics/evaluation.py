"""All metrics of one synthetic set, with intervals, as a table of records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import METRICS, OVERALL, Metric, Record, Score, number
from bloomdiff.metrics.bootstrap import MIN_GROUPS
from bloomdiff.metrics.reference import Labels, Reference
from bloomdiff.metrics.set_comparison import SetComparison


def evaluate_synthetic(
    synthetic: npt.NDArray[Any],
    train: npt.NDArray[Any],
    test: npt.NDArray[Any],
    *,
    seed: int,
    n_bootstrap: int = 200,
    k: int = 5,
    y_synthetic: Labels | None = None,
    y_train: Labels | None = None,
    y_test: Labels | None = None,
    test_groups: Labels | None = None,
) -> list[Record]:
    """Every registered metric, over all rows and within each class.

    All rows are z-scored by the training rows first. Fidelity and coverage compare the synthetic
    with the held-out rows; memorisation looks at the training rows as well. The synthetic rows
    should have the class proportions of the training rows, or every distance measures the
    proportions too; `controls.judge` draws them so.

    Parameters
    ----------
    synthetic, train, test
        Rows `(n, d)`, `(m, d)`, `(t, d)`.
    seed
        Seed of the bootstrap and of every thinning.
    n_bootstrap
        Replicates behind the 95 % intervals; 0 for none.
    k
        Neighbours of the manifold metrics and of label agreement.
    y_synthetic, y_train, y_test
        Class names; without them there is no record within a class.
    test_groups
        Slide or patient of each held-out row, which the bootstrap keeps together.

    Returns
    -------
    list of dict
        `metric`, `scope` (`OVERALL` or a class), `value`, `low`, `high` (None where undefined),
        `n_synthetic`, `n_real` (held-out rows), `better`, `family`, `note`.

    Raises
    ------
    InputError
        Fewer than two rows, rows of different dimensions, or a value that is not finite.
    """
    reference = Reference.of(
        train,
        test,
        y_train=y_train,
        y_test=y_test,
        test_groups=test_groups,
        seed=seed,
        n_bootstrap=n_bootstrap,
        k=k,
    )
    return evaluate(SetComparison.of(reference, synthetic, y_synthetic))


def score(metric: Metric, comparison: SetComparison, *, within_class: bool = False) -> Score:
    """The metric's score, or NaN with a note where a side has too few rows."""
    needed = metric.required_rows(comparison.dim, within_class=within_class)
    needed = max(needed, comparison.reference.k + 1)
    for side, rows in (
        ("synthetic", len(comparison.synthetic)),
        ("held-out", len(comparison.reference.test)),
    ):
        if rows < needed:
            return _too_few(needed, side, rows)
    result = metric.compute(comparison)
    if not np.isfinite(result.value) and not result.note:
        return replace(result, note="no finite number: rows lie too far out")
    return result


def evaluate(comparison: SetComparison) -> list[Record]:
    """`evaluate_synthetic` on a comparison that was set up before."""
    metrics = [METRICS[name] for name in METRICS]
    records = [record(metric, comparison, score(metric, comparison)) for metric in metrics]
    reference, y = comparison.reference, comparison.y
    labels = reference.y_test
    if labels is None or reference.y_train is None or y is None:
        return records
    for name in np.unique(labels).tolist():
        part = comparison.by_class.get(name)
        for metric in metrics:
            if metric.needs_labels:
                continue
            if part is not None:
                result = score(metric, part, within_class=True)
                records.append(record(metric, part, result, scope=name))
                continue
            needed = metric.required_rows(comparison.dim, within_class=True)
            sides = {"synthetic": int((y == name).sum()), "held-out": int((labels == name).sum())}
            side = min(sides, key=lambda key: sides[key])
            empty = _too_few(needed, side, sides[side])
            if sides[side] >= 2:  # then training has fewer than two, see `by_class`
                empty = _too_few(2, "training", int((reference.y_train == name).sum()))
            row = record(metric, comparison, empty, scope=name)
            row.update(n_synthetic=sides["synthetic"], n_real=sides["held-out"])
            records.append(row)
    return records


def record(
    metric: Metric, comparison: SetComparison, result: Score, *, scope: str = OVERALL
) -> Record:
    """One row of the table."""
    low, high = result.interval()
    reference, note = comparison.reference, result.note
    if np.isfinite(result.value) and np.isnan(low) and reference.n_test_groups < MIN_GROUPS:
        few = f"no interval: needs {MIN_GROUPS} slides, has {reference.n_test_groups}"
        note = f"{note}; {few}" if note else few
    return {
        "metric": metric.name,
        "scope": scope,
        "value": number(result.value),
        "low": number(low),
        "high": number(high),
        "n_synthetic": len(comparison.synthetic),
        "n_real": len(reference.test),
        "better": metric.better,
        "family": metric.family,
        "note": note,
    }


def _too_few(needed: int, side: str, rows: int) -> Score:
    return Score(float("nan"), note=f"too few: needs {needed} {side} rows, has {rows}")
