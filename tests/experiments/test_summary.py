"""Summaries: means, paired gains and the headline, from planted scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bloomdiff.experiments.summary import summarise
from bloomdiff.report.tables import ratio_grid, text_table


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


def summary(table):
    return summarise(
        table,
        metric="macro_f1",
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
    head, rows = ratio_grid(table)
    assert head == ["generator", "ratio 0", "ratio 1", "synthetic only"]
    cells = {row[0]: row for row in rows}
    assert cells["diffusion"][2].endswith(" +")
    assert cells["diffusion"][3].endswith(" -")
    assert not cells["smote"][2].endswith(("+", "-"))
    assert cells["smote"][3] == ""


def test_text_columns_align():
    text = text_table(["name", "score"], [["a", "1"], ["longer", "22"]])
    assert text.splitlines() == ["name    score", "-------------", "a           1", "longer     22"]


def test_one_fold_has_no_interval():
    table, sentence = summary(scores(n_folds=1))
    assert "no interval" in ratio_grid(table)[1][0][1]
    assert "no gain could be shown" in sentence


def test_intervals_stay_within_the_score():
    data = scores(n_folds=2)
    data["macro_f1"] = np.where(data["fold"] == "r0f0", 0.99, 0.2)
    table, _ = summary(data)
    assert table["high"].max() <= 1
    assert table["low"].min() >= 0
