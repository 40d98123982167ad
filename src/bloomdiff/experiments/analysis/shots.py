"""Where the gain falls: by class, and by the number of real training cells of a class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bloomdiff.experiments.summary import KEYS, estimate_methods

EDGES = (-1, 0, 5, 10, 20, 50, 100, np.inf)
BINS = ("none", "1 to 5", "6 to 10", "11 to 20", "21 to 50", "51 to 100", "over 100")


def training_counts(folds: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """Real training cells: `fold`, `class`, `shots`.

    Parameters
    ----------
    folds
        `fold`, `cell_id`, `role`.
    labels
        Label of each cell, indexed by `cell_id`.
    """
    train = folds[folds["role"] == "train"]
    named = train.assign(**{"class": train["cell_id"].map(labels)})
    return named.groupby(["fold", "class"]).size().rename("shots").reset_index()


def class_gains(
    per_class: pd.DataFrame, counts: pd.DataFrame, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """F1 of each class: `class`, mean `shots` of the folds that test it, and `estimate_methods`.

    Parameters
    ----------
    per_class
        The primary classifier's: `fold, generator, ratio, seed, class, f1` (NaN without a test
        cell).
    counts
        Of `training_counts`.
    test_fraction, confidence
        As in `estimate_methods`.
    """
    shots = counts.set_index(["class", "fold"])["shots"]
    parts = []
    for name, part in per_class.groupby("class"):
        tested = part.loc[part["f1"].notna(), "fold"].unique()
        if len(tested):
            found = estimate_methods(part, "f1", test_fraction=test_fraction, confidence=confidence)
            found.insert(0, "class", name)
            # A fold that trains on none of a class has no row there.
            found.insert(1, "shots", float(np.mean([shots.get((name, f), 0) for f in tested])))
            parts.append(found)
    return pd.concat(parts, ignore_index=True)


def shot_gains(
    per_class: pd.DataFrame, counts: pd.DataFrame, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Mean F1 of the classes with so many real training cells: `shots`, `n_classes`, and gains.

    The unit is the fold, as everywhere: its classes within a bin are averaged first.
    """
    joined = per_class.merge(counts, on=["fold", "class"], how="left").dropna(subset=["f1"])
    joined = joined.assign(bin=pd.cut(joined["shots"].fillna(0), EDGES, labels=BINS))
    parts = []
    for name, part in joined.groupby("bin", observed=True):
        means = part.groupby(KEYS, sort=False)["f1"].mean().reset_index()
        found = estimate_methods(means, "f1", test_fraction=test_fraction, confidence=confidence)
        found.insert(0, "shots", str(name))
        found.insert(1, "n_classes", part["class"].nunique())
        parts.append(found)
    return pd.concat(parts, ignore_index=True)
