"""Cross-domain: trained on some sources, tested on another one over the common classes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bloomdiff.experiments.analysis.comparisons import bootstrap_table
from bloomdiff.experiments.analysis.predictions import Setting
from bloomdiff.experiments.summary import METHOD


def crossings(folds: pd.DataFrame, sources: pd.Series) -> pd.DataFrame:
    """The folds whose test cells come from sources that training has none of.

    Parameters
    ----------
    folds
        `fold`, `cell_id`, `role`.
    sources
        Source of each cell, indexed by `cell_id`.

    Returns
    -------
    DataFrame
        `fold`, `trained_on`, `tested_on`; several sources are joined by " + ".
    """
    records = []
    for fold, part in folds.assign(source=folds["cell_id"].map(sources)).groupby("fold"):
        train = sorted(set(part.loc[part["role"] == "train", "source"]))
        test = sorted(set(part.loc[part["role"] == "test", "source"]))
        if not set(train) & set(test):
            names = {"trained_on": " + ".join(train), "tested_on": " + ".join(test)}
            records.append({"fold": fold, **names})
    return pd.DataFrame(records, columns=["fold", "trained_on", "tested_on"])


def domain_table(
    settings: Sequence[Setting],
    crossed: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    seed: int,
    confidence: float,
) -> pd.DataFrame:
    """Macro-F1 on a source that training has none of, by method.

    Parameters
    ----------
    settings
        Of the primary classifier.
    crossed
        Of `crossings`.
    scores
        The primary classifier's: `fold, generator, ratio, seed, macro_f1, n`.
    seed, confidence
        Of the bootstrap over the groups of the tested source: one fold has no other interval.

    Returns
    -------
    DataFrame
        `trained_on, tested_on, generator, ratio, n` (test cells), `macro_f1` (mean over seeds) and
        `boot_*` of `bootstrap_table`.
    """
    parts = []
    for fold, trained_on, tested_on in crossed.itertuples(index=False):
        own = [one for one in settings if one.key["fold"] == fold]
        means = scores[scores["fold"] == fold].groupby(METHOD, sort=False)
        table = means.agg(macro_f1=("macro_f1", "mean"), n=("n", "first")).reset_index()
        n_classes = own[0].proba.shape[1]
        gains = bootstrap_table(own, n_classes, seed=seed, confidence=confidence)
        table.insert(0, "trained_on", trained_on)
        table.insert(1, "tested_on", tested_on)
        parts.append(table.merge(gains, on=METHOD, how="left"))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
