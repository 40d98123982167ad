"""The differential count: a slide's shares of cell types, and how far chance alone moves them.

References
----------
Rümke (1979), The statistically expected variability in differential leukocyte counting; Rümke
(1985), Imprecision of ratio-derived differential leukocyte counts; Clopper and Pearson (1934), The
use of confidence or fiducial limits illustrated in the case of the binomial.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.metrics.base import Record

Indices = npt.NDArray[np.intp]


def rumke_interval(count: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial limits of a share, of which `count` among `n` cells were seen, 0 to 1.

    These are the entries of Rümke's table: 5 of 100 cells give 1.6 % to 11.3 %. They cover what
    endless counting would find. A second count of as many cells varies as the first did, and lies
    within them less often: in about 85 % of cases.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= n or n < 1:
        raise ValueError(f"count must be between 0 and n, however: {count} of {n}")
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))
    return low, high


def differential_counts(
    y_true: Indices,
    y_pred: Indices,
    slides: npt.NDArray[np.str_],
    classes: Sequence[str],
    *,
    minimum: int = 50,
) -> list[Record]:
    """Predicted against true share of each class on each slide.

    Parameters
    ----------
    y_true, y_pred
        Class indices `(n,)`.
    slides
        Slide of each cell `(n,)`.
    classes
        Class names.
    minimum
        Cells below which a slide has no differential count; laboratories count 100 or 200.

    Returns
    -------
    list of dict
        `slide`, `class`, `n`, `true_share`, `predicted_share`, `error` (predicted less true),
        `low`, `high` (Rümke's 95 % limits of the share behind the true count, see
        `rumke_interval`) and `within` (whether the predicted share lies between them).

    Raises
    ------
    InputError
        No slide has `minimum` cells.
    """
    records: list[Record] = []
    names, slide_of, counts = np.unique(slides, return_inverse=True, return_counts=True)
    order, ends = np.argsort(slide_of, kind="stable"), np.cumsum(counts)
    for number in np.flatnonzero(counts >= minimum):
        slide, n = str(names[number]), int(counts[number])
        rows = order[ends[number] - n : ends[number]]
        true = np.bincount(y_true[rows], minlength=len(classes))
        predicted = np.bincount(y_pred[rows], minlength=len(classes))
        for index, name in enumerate(classes):
            low, high = rumke_interval(int(true[index]), n)
            share, guess = float(true[index] / n), float(predicted[index] / n)
            records.append(
                {
                    "slide": slide,
                    "class": str(name),
                    "n": n,
                    "true_share": share,
                    "predicted_share": guess,
                    "error": guess - share,
                    "low": low,
                    "high": high,
                    "within": low <= guess <= high,
                }
            )
    if not records:
        raise InputError(
            "differential count", f"too few: no slide has {minimum} cells", "lower the minimum"
        )
    return records


def differential_summary(records: Sequence[Record]) -> dict[str, float]:
    """Over slides and classes: mean absolute error of the shares, and how many stay in limits.

    Returns
    -------
    dict
        `mean_absolute_error` (share, 0 to 1) and `within_limits` (share; a second faultless count
        of as many other cells has about 0.85), both over the pairs of slide and class that either
        count knows, since agreeing that a class is absent is easy; `n_slides`.
    """
    present = [r for r in records if r["true_share"] > 0 or r["predicted_share"] > 0]
    return {
        "mean_absolute_error": float(np.mean([abs(record["error"]) for record in present])),
        "within_limits": float(np.mean([record["within"] for record in present])),
        "n_slides": float(len({record["slide"] for record in records})),
    }
