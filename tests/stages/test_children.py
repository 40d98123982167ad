"""Runs beside the folds' own: the ratio curves."""

from pathlib import Path

import pandas as pd
import pytest

from bloomdiff.params import load_params
from bloomdiff.stages.children import curve_runs

ROOT = Path(__file__).parents[2]


def test_a_curve_holds_the_ratios_that_have_a_step():
    params = load_params(ROOT / "params.yaml")
    rows = [("none", "0", 0.5), ("none", "0", 0.7), ("smote", "0.004", 0.1), ("smote", "inf", 0.2)]
    rows += [("smote", "0.12", 0.6), ("smote", "0.123", 0.8), ("smote", "0.29", 0.9)]
    scores = pd.DataFrame(rows, columns=["generator", "ratio", "macro_f1"])
    (run,) = curve_runs(scores.assign(classifier=params.primary), params)
    assert run.series["macro_f1_by_ratio"] == pytest.approx({0: 0.6, 12: 0.6, 29: 0.9})
