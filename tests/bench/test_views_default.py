"""The benchmark of whitening with all labels: both runs on the same folds, told as a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from viewed import cells

import views_default
from bloomdiff.stages.inputs import FoldRows


def test_the_same_fold_is_scored_with_views_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_default, "TRIALS", 2)
    monkeypatch.setattr(views_default, "INNER_FOLDS", 2)
    train, test = cells(24, "train", 0), cells(80, "test", 1)
    table = pd.concat(
        views_default.both(FoldRows(f"r0f{i}", train, test, train.take([])), "made", "knn")
        for i in range(2)
    )
    assert len(table) == 2 * 2 * len(views_default.SEEDS)
    score = table.groupby("units")["macro_f1"].mean()
    assert score["whitened"] > score["as they are"] + 0.1
    text = views_default.tell(table)
    plain, white = (100 * score[units] for units in ("as they are", "whitened"))
    assert f"| made | 104 | knn | {plain:.1f} | {white:.1f} | {white - plain:+.1f}, " in text


def test_without_views_nothing_else_changes() -> None:
    given = cells(6, "cell", 0)
    bare = views_default.without_views(given)
    assert bare.views is None
    np.testing.assert_array_equal(bare.X, given.X)
    assert replace(bare, views=given.views).fingerprint == given.fingerprint
