"""Whether stated confidence can be believed, and what deferring doubtful cells gains."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bloomdiff.experiments.analysis.predictions import Setting
from bloomdiff.experiments.summary import estimate_methods
from bloomdiff.metrics.calibration import reject_curve

SCORES = ("ece", "ece_scaled", "brier", "brier_scaled", "log_loss", "log_loss_scaled")
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def calibration_table(
    calibration: pd.DataFrame, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Calibration before and after temperature scaling: `score` and `estimate_methods`."""
    parts = []
    for score in (*SCORES, "temperature"):
        if calibration[score].notna().any():
            found = estimate_methods(
                calibration, score, test_fraction=test_fraction, confidence=confidence
            )
            parts.append(found.assign(score=score))
    return pd.concat(parts, ignore_index=True)


def reject_table(
    settings: Sequence[Setting], *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Accuracy of what a method keeps: `coverage` and `estimate_methods`."""
    records = []
    for one in settings:
        curve = reject_curve(one.truth, one.proba, coverages=COVERAGES)
        for coverage, point in zip(COVERAGES, curve, strict=True):
            records.append({**one.key, "coverage": coverage, "accuracy": point["accuracy"]})
    parts = [
        estimate_methods(
            part, "accuracy", test_fraction=test_fraction, confidence=confidence
        ).assign(coverage=coverage)
        for coverage, part in pd.DataFrame(records).groupby("coverage", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)
