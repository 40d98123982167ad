"""The tests behind the headline: resampled slides beside resampled folds, and ranks over folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.experiments.analysis.predictions import Setting
from bloomdiff.experiments.summary import METHOD, REAL_ONLY, estimate_methods, fold_values
from bloomdiff.metrics.classification import macro_f1
from bloomdiff.metrics.ranking import mean_ranks
from bloomdiff.metrics.resampling import bootstrap_interval, paired_bootstrap
from bloomdiff.metrics.statistics import holm

BOOTSTRAP = [
    *("pooled", "pooled_low", "pooled_high"),
    *("boot_gain", "boot_low", "boot_high", "boot_p"),
]


def bootstrap_table(
    settings: Sequence[Setting], n_classes: int, *, seed: int, confidence: float
) -> pd.DataFrame:
    """Macro-F1 over all test cells and its difference to real-only, whole groups resampled.

    The folds' test cells are pooled, each with the predictions of its own fold under every seed.
    Where the corrected t-test over folds asks about other training cells, this asks about other
    test slides, the fitted classifiers kept; repeated folds are left out, since they test the same
    cells again.

    Returns
    -------
    DataFrame
        `generator`, `ratio`, `pooled`, `pooled_low`, `pooled_high`, and against real-only (NaN for
        itself) `boot_gain`, `boot_low`, `boot_high`, `boot_p`.
    """
    pooled = _pooled(settings)
    truth, baseline, groups = pooled[REAL_ONLY, "0"]
    score = partial(macro_f1, n_classes=n_classes)
    resampling: dict[str, Any] = {"seed": seed, "groups": groups, "confidence": confidence}
    records = []
    for (generator, ratio), (_, predicted, _) in pooled.items():
        low, high = bootstrap_interval(truth, predicted, score, **resampling)
        record = {"generator": generator, "ratio": ratio, "pooled": score(truth, predicted)}
        record |= {"pooled_low": low, "pooled_high": high}
        if generator != REAL_ONLY:
            found = paired_bootstrap(truth, predicted, baseline, score, **resampling)
            record |= {"boot_gain": found["difference"], "boot_p": found["p_value"]}
            record |= {"boot_low": found["low"], "boot_high": found["high"]}
        records.append(record)
    return pd.DataFrame(records).reindex(columns=[*METHOD, *BOOTSTRAP])


def _pooled(settings: Sequence[Setting]) -> dict[tuple[str, str], tuple[Any, Any, Any]]:
    """Truth, prediction and group of each test cell once a seed, by method, in one order."""
    parts: dict[tuple[str, str], list[Setting]] = {}
    for one in settings:
        parts.setdefault((one.key["generator"], one.key["ratio"]), []).append(one)
    pooled = {}
    for method, folds in parts.items():
        folds = sorted(folds, key=lambda one: (one.key["fold"], one.key["seed"]))
        cells = np.concatenate([one.cell_ids for one in folds])
        seeds = np.repeat([one.key["seed"] for one in folds], [len(one.truth) for one in folds])
        frame = pd.DataFrame({"seed": seeds, "cell": cells}).drop_duplicates()
        rows = frame.sort_values(["seed", "cell"]).index.to_numpy()
        pooled[method] = (
            np.concatenate([one.truth for one in folds])[rows],
            np.concatenate([one.predicted for one in folds])[rows],
            np.concatenate([one.groups for one in folds])[rows],
        )
    return pooled


def rank_table(
    scores: pd.DataFrame, metric: str, methods: Sequence[tuple[str, str]], *, confidence: float
) -> Any:
    """Mean ranks of several methods over the folds: `mean_ranks`, or None with one fold.

    Parameters
    ----------
    scores
        One classifier's: `fold, generator, ratio, seed` and `metric`.
    metric
        Larger is better.
    methods
        Generator and ratio of each method.
    confidence
        Of the critical difference.
    """
    columns: Mapping[str, pd.Series] = {
        generator: fold_values(
            scores[(scores["generator"] == generator) & (scores["ratio"] == ratio)], metric
        ).mean(axis=1)
        for generator, ratio in methods
    }
    table = pd.DataFrame(columns).dropna()
    if len(table) < 2 or table.shape[1] < 2:
        return None
    names = [str(name) for name in table.columns]
    return mean_ranks(table.to_numpy(), names, alpha=1 - confidence)


def ranks_frame(found: dict[str, Any]) -> pd.DataFrame:
    """`mean_ranks` as a table: `generator, mean_rank, critical_difference, friedman_p, bars`.

    `bars` numbers the groups of methods that cannot be told apart and that the method is in.
    """
    ranks: dict[str, float] = found["ranks"]
    bars = {n: [i for i, group in enumerate(found["groups"]) if n in group] for n in ranks}
    return pd.DataFrame(
        {
            "generator": list(ranks),
            "mean_rank": list(ranks.values()),
            "critical_difference": found["critical_difference"],
            "friedman_p": found["friedman_p"],
            "bars": list(bars.values()),
        }
    )


def classifier_table(
    scores: pd.DataFrame, *, primary: str, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Every classifier on real cells only, and its paired difference to the primary one.

    Returns
    -------
    DataFrame
        `classifier`, the primary one first, and the columns of `estimate_methods`; `p_holm` is over
        the classifiers. Empty where there is one classifier.
    """
    alone = scores[scores["generator"] == REAL_ONLY]
    if alone["classifier"].nunique() < 2:
        return pd.DataFrame()
    # Each classifier in the place of a generator, the primary one in that of real-only.
    playing = alone["classifier"].where(alone["classifier"] != primary, REAL_ONLY)
    table = estimate_methods(
        alone.assign(generator=playing),
        "macro_f1",
        test_fraction=test_fraction,
        confidence=confidence,
    )
    named = table["generator"].where(table["generator"] != REAL_ONLY, primary)
    table.insert(0, "classifier", named)
    return table.drop(columns=METHOD).assign(p_holm=holm(table["p_value"].to_numpy(np.float64)))
