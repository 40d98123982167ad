"""Cross-domain: trained on some sources, tested on another one over the common classes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bloomdiff.experiments.analysis.comparisons import bootstrap_table
from bloomdiff.experiments.analysis.predictions import Setting


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
    seed, confidence
        Of the bootstrap over the groups of the tested source: one fold has no other interval.

    Returns
    -------
    DataFrame
        `trained_on, tested_on, n` (test cells), and `bootstrap_table`.
    """
    parts = []
    for fold, trained_on, tested_on in crossed.itertuples(index=False):
        own = [one for one in settings if one.key["fold"] == fold]
        table = bootstrap_table(own, own[0].proba.shape[1], seed=seed, confidence=confidence)
        table.insert(0, "trained_on", trained_on)
        table.insert(1, "tested_on", tested_on)
        table.insert(2, "n", len(own[0].truth))
        parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
