"""Summaries: means, paired gains and the headline, from planted scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bloomdiff.errors import InputError
from bloomdiff.experiments.scores import SCORES, score_of
from bloomdiff.experiments.summary import fraction_tested, summarise
from bloomdiff.metrics.classification import score_classification
from bloomdiff.report.tables import legend, ratio_grid, text_table


def scores(gain=0.0, n_folds=5, n_seeds=3, noise=0.01):
    rng = np.random.default_rng(0)
    level = 0.7 + 0.05 * rng.standard_normal(n_folds)
    rows = []
    for generator, ratio, shift in (
        ("none", "0", 0.0),
        ("smote", "1", 0.0),
        ("diffusion", "1", gain),
        ("diffusion", "inf", -0.2),
    ):
        for fold in range(n_folds):
            for seed in range(n_seeds):
                value = level[fold] + shift + noise * rng.standard_normal()
                rows.append((f"r0f{fold}", generator, ratio, seed, 80, 20, value))
    columns = ["fold", "generator", "ratio", "seed", "n_train", "n", "macro_f1"]
    return pd.DataFrame(rows, columns=columns)


def summary(table, metric="macro_f1"):
    return summarise(
        table.rename(columns={"macro_f1": metric}),
        metric=metric,
        allocation="balance",
        confidence=0.95,
        beforehand=("diffusion", 1.0),
    )


def test_order_means_and_paired_gain():
    data = scores(gain=0.05)
    table, _ = summary(data)
    assert table[["generator", "ratio"]].to_numpy().tolist() == [
        ["none", "0"],
        ["smote", "1"],
        ["diffusion", "1"],
        ["diffusion", "inf"],
    ]
    part = data[(data["generator"] == "diffusion") & (data["ratio"] == "1")]
    assert table.loc[2, "mean"] == pytest.approx(part["macro_f1"].mean())
    real = data[data["generator"] == "none"].groupby("fold")["macro_f1"].mean()
    gains = part.groupby("fold")["macro_f1"].mean() - real
    half = stats.t.ppf(0.975, 4) * gains.std(ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.8)
    assert table.loc[2, "gain"] == pytest.approx(gains.mean())
    assert table.loc[2, "gain_high"] - table.loc[2, "gain"] == pytest.approx(half)
    assert np.isnan(table.loc[0, "gain"])


def test_headline_follows_from_the_test():
    named, together = summary(scores(gain=0.08))[1].split("All together: ")
    assert named.startswith("Named beforehand: diffusion: at ratio 1, balanced, macro-F1 rises")
    assert "Holm" not in named
    assert "Holm-adjusted" in together
    assert summary(scores(gain=0.0, noise=0.05))[1].count("no gain could be shown") == 2


def test_grid_marks_what_holds():
    table, _ = summary(scores(gain=0.08))
    head, rows = ratio_grid(table, 0.95)
    assert head == ["generator", "ratio 0", "ratio 1", "synthetic only"]
    cells = {row[0]: row for row in rows}
    assert cells["diffusion"][2].endswith(" +")
    assert cells["diffusion"][3].endswith(" -")
    assert not cells["smote"][2].endswith(("+", "-"))
    assert cells["smote"][3] == ""


def test_marks_and_legend_are_of_the_level_of_the_intervals():
    table, _ = summary(scores(gain=0.08))
    table["p_holm"] = 0.1
    for confidence, marked in ((0.95, False), (0.8, True)):
        cells = {row[0]: row for row in ratio_grid(table, confidence)[1]}
        assert cells["diffusion"][2].endswith(" +") == marked
    assert legend(0.95).endswith("(Holm-adjusted p < 0.05)")
    assert legend(0.8).endswith("(Holm-adjusted p < 0.2)")


def test_text_columns_align():
    text = text_table(["name", "score"], [["a", "1"], ["longer", "22"]])
    assert text.splitlines() == ["name    score", "-------------", "a           1", "longer     22"]


def test_one_fold_has_no_interval():
    table, sentence = summary(scores(n_folds=1))
    assert "no interval" in ratio_grid(table, 0.95)[1][0][1]
    assert "no gain could be shown" in sentence


def test_intervals_stay_within_the_score():
    data = scores(n_folds=2)
    data["macro_f1"] = np.where(data["fold"] == "r0f0", 0.99, 0.2)
    table, _ = summary(data)
    assert table["high"].max() <= 1
    assert table["low"].min() >= 0


def test_intervals_end_where_each_score_does():
    data = scores(n_folds=2)
    for metric, low, high, ends in (
        ("mcc", -0.9, 0.9, (-1, 1)),
        ("brier_scaled", 0.1, 1.9, (0, 2)),
        ("ece_knn", 0.1, 0.9, (0, 1)),
        ("log_loss", 0.1, 3.0, (0, np.inf)),
    ):
        data["macro_f1"] = np.where(data["fold"] == "r0f0", low, high)
        table, _ = summary(data, metric)
        assert table["mean"].to_numpy() == pytest.approx((low + high) / 2)
        assert (table["low"] == ends[0]).all()
        assert (table["high"] == ends[1]).all() or table["high"].min() > 3


def test_less_is_a_gain_where_smaller_is_better():
    rises = scores(gain=0.08)
    falls = rises.assign(macro_f1=1 - rises["macro_f1"])
    table, sentence = summary(rises, "accuracy")
    mirrored, told = summary(falls, "log_loss_knn")
    own = ["gain", "gain_low", "gain_high", "p_value", "p_holm", "effect_size"]
    np.testing.assert_allclose(mirrored[own], table[own], rtol=1e-6)
    np.testing.assert_allclose(mirrored["mean"], 1 - table["mean"])
    np.testing.assert_allclose(mirrored["high"], 1 - table["low"])
    assert told == sentence.replace("accuracy", "minus log_loss_knn")
    assert "minus log_loss_knn rises by 9.0 points" in told
    cells = {row[0]: row for row in ratio_grid(mirrored, 0.95)[1]}
    assert cells["diffusion"][2].endswith(" +")
    assert cells["diffusion"][3].endswith(" -")


def test_what_is_no_score_is_one_line():
    every = score_classification(["a", "b"], np.eye(2), ["a", "b"])
    assert {*SCORES} == {*every} - {"n", "n_classes_scored"}
    for name in ("temperature", "n_classes_scored", "n_classes_scored_knn", "n", "nothing"):
        with pytest.raises(InputError, match=rf"'{name}': is no score; name one of: macro_f1, "):
            summary(scores(), name)
    assert score_of("log_loss").points == "points (hundredths of a nat, smaller is better)"
    assert score_of("brier_scaled").points == "points (smaller is better)"
    assert score_of("balanced_accuracy_knn").points == "points"


def test_a_score_that_is_nowhere_defined_has_no_rows():
    table, sentence = summary(scores().assign(macro_f1=np.nan), "auroc")
    assert table.empty
    assert "nothing was compared" in sentence


def test_few_shots_leave_folds_as_independent_as_all_cells_do():
    """Few shots share fewer cells between the folds: their intervals are no wider for it."""
    data = scores(gain=0.05)
    twice = pd.concat([data, data.assign(fold=data["fold"].str.replace("r0", "r1"))])
    for table in (data, twice, data.assign(n_train=20), twice.assign(n_train=20)):
        assert fraction_tested(table) == pytest.approx(0.2)
    one = data[data["fold"] == "r0f0"]
    assert fraction_tested(one.assign(n_train=20)) == pytest.approx(0.5)
