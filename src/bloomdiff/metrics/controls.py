"""Floors and controls: a metric is believed on this data only if they land where they should.

The *floor* is what real cells score: training rows, as many as there are synthetic ones, against
the held-out rows; where the metric looks at the training rows, the held-out rows themselves, which
no generator has seen. The *controls* are generators whose faults are known:

copycat
    Training rows, drawn with replacement. Memorisation metrics must catch it.
class_gaussian
    A Gaussian per class with one shrunk covariance. It must not seem better than real cells, and
    must not be taken for a copycat.
wrong_labels
    Training rows whose labels were shuffled. Metrics that see labels must catch it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.metrics.base import METRICS, OVERALL, Check, Metric, Record, Score, number
from bloomdiff.metrics.evaluation import evaluate, score
from bloomdiff.metrics.reference import Labels, Reference, check_labels
from bloomdiff.metrics.sampling import class_gaussian, stratified_rows
from bloomdiff.metrics.set_comparison import SetComparison, UnseenRows

CONTROLS = ("copycat", "class_gaussian", "wrong_labels")


@dataclass(frozen=True)
class Controls:
    """Scores of floor and controls for one fold and number of rows; generators share them.

    Attributes
    ----------
    n
        Rows of each control.
    scores
        Metric, then "floor" or a control, to its score.
    """

    n: int
    scores: dict[str, dict[str, Score]]

    def verdict(self, metric: Metric) -> tuple[bool | None, str]:
        """Whether every check held, and what failed; None where nothing could be checked."""
        found = self.scores[metric.name]
        failures, checked = [], 0
        for control, check in metric.checks.items():
            outcome = _holds(metric, check, found["floor"], found[control], found["copycat"])
            checked += outcome is not None
            if outcome is False:
                failures.append(_FAILURE[check].format(control=control.replace("_", " ")))
        if not checked:
            reason = (
                "no control could be scored with an interval"
                if metric.checks
                else "describes, does not judge"
            )
            return None, reason
        return not failures, "; ".join(failures)


_FAILURE: dict[Check, str] = {
    "worse": "does not tell {control} from real cells",
    "not_better": "scores {control} above real cells",
    "clears_copycat": "takes {control} for a copycat",
}


def _holds(
    metric: Metric, check: Check, floor: Score, control: Score, copycat: Score
) -> bool | None:
    """Whether the control lands where it must; None where a score or its interval is missing."""
    other = copycat if check == "clears_copycat" else floor
    if not np.isfinite([*control.interval(), *other.interval()]).all():
        return None
    if check == "worse":
        return clearly_better(other, control, metric)
    if check == "not_better":
        return not clearly_better(control, other, metric)
    return clearly_better(control, other, metric)


def clearly_better(a: Score, b: Score, metric: Metric) -> bool:
    """Whether `a` beats `b` with their intervals apart."""
    (a_low, a_high), (b_low, b_high) = a.interval(), b.interval()
    return a_low > b_high if metric.better == "higher" else a_high < b_low


def run_controls(reference: Reference, n: int) -> Controls:
    """Score floor and controls once for a fold.

    Parameters
    ----------
    reference
        The fold's real rows, with labels.
    n
        Rows of each control: as many as synthetic rows are judged, at most the training rows.

    Raises
    ------
    InputError
        No labels, or more rows asked for than there are training rows.
    """
    y = reference.y_train
    if y is None or reference.y_test is None:
        raise InputError("controls", "need the labels of the real rows", "give y_train and y_test")
    if not 2 <= n <= len(reference.train):
        raise InputError(
            "controls", f"asked for {n} rows of {len(reference.train)}", "ask for 2 rows to all"
        )
    rng = reference.rng(10)
    rows = stratified_rows(y, y, n, rng)
    repeated = rng.choice(rows, size=len(rows))
    sets = {
        "floor": SetComparison(reference, reference.train[rows], y[rows]),
        "copycat": SetComparison(reference, reference.train[repeated], y[repeated]),
        "class_gaussian": SetComparison(
            reference, class_gaussian(reference.train, y, y[rows], rng), y[rows]
        ),
        "wrong_labels": SetComparison(reference, reference.train[rows], rng.permutation(y[rows])),
    }
    unseen = UnseenRows(reference)
    scores: dict[str, dict[str, Score]] = {}
    for name in METRICS:
        metric = METRICS[name]
        scores[name] = {key: score(metric, one) for key, one in sets.items() if key != "floor"}
        real = unseen if metric.unseen_floor else sets["floor"]
        scores[name]["floor"] = score(metric, real)
    return Controls(n, scores)


def judge(
    reference: Reference,
    synthetic: npt.NDArray[Any],
    y_synthetic: Labels,
    controls: Controls | None = None,
) -> tuple[list[Record], Controls]:
    """Every metric at the training rows' class proportions, beside floor and controls.

    Parameters
    ----------
    reference
        The fold's real rows, with labels.
    synthetic, y_synthetic
        Rows `(n, d)` on the original scale and their class names `(n,)`; as many of each class
        are judged as the training proportions allow.
    controls
        Of an earlier generator of the fold, which this one shares; scored anew where this one
        allows another number of rows.

    Returns
    -------
    records
        As `evaluate_synthetic`; those of scope `OVERALL` have in addition `floor`, `floor_low`,
        `floor_high`, `copycat`, `class_gaussian`, `wrong_labels`, `trustworthy` (None where
        nothing could be checked) and `reason` (what failed).
    controls
        For the next generator of the fold.

    Raises
    ------
    InputError
        No labels, or no class in common with training.
    """
    labels = np.asarray(y_synthetic, dtype=str)
    check_labels(labels, len(synthetic), "synthetic")
    if reference.y_train is None:
        raise InputError("controls", "need the labels of the real rows", "give y_train and y_test")
    rows = stratified_rows(labels, reference.y_train, len(reference.train), reference.rng(11))
    if len(rows) < 2:
        raise InputError(
            "synthetic rows", "have no class in common with training", "sample every class"
        )
    comparison = SetComparison.of(reference, np.asarray(synthetic)[rows], labels[rows])
    if controls is None or controls.n != len(rows):
        controls = run_controls(reference, len(rows))
    records = evaluate(comparison)
    for one in records:
        if one["scope"] != OVERALL:
            continue
        metric = METRICS[one["metric"]]
        found = controls.scores[metric.name]
        low, high = found["floor"].interval()
        one.update(floor=number(found["floor"].value), floor_low=number(low))
        one.update(floor_high=number(high))
        one.update({name: number(found[name].value) for name in CONTROLS})
        one["trustworthy"], one["reason"] = controls.verdict(metric)
    return records, controls
