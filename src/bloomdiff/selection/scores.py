"""A detector's opinion of the pool: scores and class probabilities, imported or from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.manifest import PROBABILITY, SCORE_COLUMN, read_csv
from bloomdiff.data.schema import MOST_OFF
from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.registry import nearest
from bloomdiff.selection.geometry import Doubles

MOST_PROBLEMS = 20  # lines that a broken table may print


@dataclass(frozen=True)
class Scores:
    """Detections' scores.

    Attributes
    ----------
    score
        Confidence that there is a cell, `(n,)`; NaN where it is not told.
    proba
        Class probabilities `(n, c)`; None where they are not told.
    classes
        Names of the columns of `proba`.
    """

    score: Doubles
    proba: Doubles | None
    classes: tuple[str, ...]

    @classmethod
    def imported(cls, cells: pd.DataFrame, known: set[str]) -> Scores:
        """What the manifest's rows `cells` carry, as `table_problems` has checked it.

        Classes are named as in `read_scores`.

        Class probabilities count where every cell has them: a pool in part judged by a detector
        and in part by nobody would be ranked by two measures.
        """
        names = [name for name in cells.columns if name.startswith(PROBABILITY)]
        values = cells[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
        score = np.full(len(cells), np.nan)
        if SCORE_COLUMN in cells:
            score = pd.to_numeric(cells[SCORE_COLUMN], errors="coerce").to_numpy(dtype=np.float64)
        if not names or np.isnan(values).all(axis=1).any():
            return cls(score, None, ())
        classes = [name.removeprefix(PROBABILITY) for name in names]
        proba, ours = _together(np.nan_to_num(values), classes, known)
        return cls(score, proba / proba.sum(axis=1, keepdims=True), ours)


def read_scores(path: Path, cell_ids: list[str], known: set[str]) -> Scores:
    """Read ``cell_id``, optionally ``score``, and a column of probabilities for each class.

    Parameters
    ----------
    path
        The table.
    cell_ids
        The pool's cells; every one needs a row.
    known
        Class names of the manifest, beside those of the vocabulary. A column named by a published
        code counts as the class that it stands for, by the manifest's name for it.

    Raises
    ------
    InputError
        Every problem in one pass, each naming the row: an unknown class, a cell that is listed
        twice or unknown, a value that is no probability, probabilities whose sum is not 1.
    """
    try:
        table, rows = read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise InputError(str(path), f"is no table ({reason})", "give a CSV file") from None
    if "cell_id" not in table.columns:
        raise InputError(str(path), "has no column cell_id", "name the cells")
    problems = _class_problems(path, table, known)
    ids = table["cell_id"]
    for row in np.flatnonzero(ids.duplicated()):
        told = f"cell {ids[row]!r} is there twice"
        problems.append(InputError(f"{path} row {rows[row]}", told, "keep one row a cell"))
    columns = [name for name in table.columns if name != "cell_id"]
    values = table[columns].apply(pd.to_numeric, errors="coerce")
    for name in columns:
        bad = np.flatnonzero(~values[name].between(0, 1).to_numpy())
        for row in bad:
            told = f"cell {ids[row]!r}: {name} '{table[name][row]}' is no probability"
            problems.append(InputError(f"{path} row {rows[row]}", told, "write 0 to 1"))
    classes = [name for name in columns if name != "score"]
    if classes and not problems:
        total = values[classes].sum(axis=1).to_numpy()
        for row in np.flatnonzero(np.abs(total - 1) > MOST_OFF):
            told = f"cell {ids[row]!r}: the probabilities add up to {total[row]:.3f}"
            problems.append(InputError(f"{path} row {rows[row]}", told, "make it 1"))
    at = pd.Index(ids).get_indexer(pd.Index(cell_ids)) if ids.is_unique else np.zeros(1)
    if (at < 0).any():
        cell = cell_ids[int(np.flatnonzero(at < 0)[0])]
        problems.append(InputError(f"{path}: cell {cell!r}", "has no row", "add it"))
    raise_all(problems[:MOST_PROBLEMS])
    part = values.iloc[at]
    score = part["score"].to_numpy() if "score" in part else np.full(len(at), np.nan)
    score = np.asarray(score, dtype=np.float64)
    if not classes:
        return Scores(score, None, ())
    proba, names = _together(part[classes].to_numpy(dtype=np.float64), classes, known)
    return Scores(score, proba, names)


def _together(
    proba: Doubles, columns: Sequence[str], known: set[str]
) -> tuple[Doubles, tuple[str, ...]]:
    """Columns `(n, k)` under the classes' own names; those of one class are added up."""
    # Names in use win: a manifest may hold a class and its code apart.
    in_use = {known_name(name) or name: name for name in sorted(known)} | {n: n for n in known}
    ours = []
    for name in columns:
        named = name if name in known else known_name(name) or name
        ours.append(in_use.get(named, named))
    names = list(dict.fromkeys(ours))
    out = np.zeros((len(proba), len(names)))
    for column, name in enumerate(ours):
        out[:, names.index(name)] += proba[:, column]
    return out, tuple(names)


def _class_problems(path: Path, table: pd.DataFrame, known: set[str]) -> list[BloomDiffError]:
    names = sorted({*known, *VOCABULARY})
    return [
        InputError(f"{path}: column {name!r}", "is no known class", nearest(str(name), names))
        for name in table.columns
        if name not in ("cell_id", "score", *known) and known_name(str(name)) is None
    ]
