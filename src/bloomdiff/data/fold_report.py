"""What the folds do with each class: the table that tells what could not be tested, and why."""

from __future__ import annotations

import pandas as pd


def fold_report(folds: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Tell, class by class, how often its cells are tested, and what was done where they are not.

    Parameters
    ----------
    folds
        Table of `make_folds`.
    cells
        The manifest that it was made from.

    Returns
    -------
    DataFrame
        One row a class, sorted by `label`: number of `cells` and `groups`; `folds_tested`, in how
        many of all folds the class is in the test part; `untested`, cells in no test part;
        `left_out`, the number of fold-cell pairs without a role; `least_train`, cells trained on
        in the fold with the fewest; and `note`, a sentence where something is out of the ordinary,
        otherwise ''. A fold's macro-F1 averages over the classes in its test part.
    """
    n_folds = folds["fold"].nunique()
    labelled = cells[cells["label"] != ""]
    roles = folds.merge(labelled[["cell_id", "label"]], on="cell_id")
    rows = []
    for label, members in labelled.groupby("label", sort=True):
        mine = roles[roles["label"] == label]
        tested = mine[mine["role"] == "test"]
        trained = mine[mine["role"] == "train"].groupby("fold").size()
        row = {
            "label": label,
            "cells": len(members),
            "groups": members["group"].nunique(),
            "folds_tested": tested["fold"].nunique(),
            "untested": len(members) - tested["cell_id"].nunique(),
            "left_out": len(members) * n_folds - len(mine),
            "least_train": int(trained.min()) if len(trained) == n_folds else 0,
        }
        rows.append({**row, "note": _note(row, len(trained), n_folds)})
    return pd.DataFrame(rows)


def _note(row: dict, folds_trained: int, n_folds: int) -> str:
    said = []
    if row["folds_tested"] == 0 and folds_trained == 0:
        said.append("never trained on, and so never tested")
    elif row["folds_tested"] == 0 and folds_trained < n_folds:
        said.append(
            f"trained on in {folds_trained} of {n_folds} folds, and in none in which its cells "
            "could be tested: never tested"
        )
    elif row["folds_tested"] == 0:
        why = "stands in one group, which is" if row["groups"] == 1 else "its groups are"
        said.append(f"{why} always trained on: never tested")
    elif row["folds_tested"] < n_folds:
        others = "in all others" if folds_trained == n_folds else f"in {folds_trained}"
        said.append(
            f"{row['groups']} groups: tested in {row['folds_tested']} of {n_folds} folds, trained "
            f"on {others}"
        )
    if row["folds_tested"] and row["untested"]:
        said.append(f"{row['untested']} cells are in no test part")
    if row["left_out"]:
        why = "its group or class is only under test, or it has no split"
        said.append(f"left out {row['left_out']} times: {why}")
    return "; ".join(said)
