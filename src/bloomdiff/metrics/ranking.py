"""Mean ranks of several methods over folds, and the difference of ranks that means something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def mean_ranks(
    scores: npt.NDArray[np.floating[Any]], names: Sequence[str], *, alpha: float = 0.05
) -> dict[str, Any]:
    """Friedman's test, mean ranks and Nemenyi's critical difference.

    Parameters
    ----------
    scores
        `(blocks, methods)`, larger is better; a block is a fold, its seeds averaged before.
    names
        The methods `(methods,)`.
    alpha
        Level of the critical difference, 0.05 or any other.

    Returns
    -------
    dict
        `ranks` (name to mean rank, best first; 1 is best), `critical_difference`,
        `friedman_p` (NaN with fewer than 3 methods) and `groups`: the maximal runs of methods
        whose ranks differ by less than the critical difference, for the diagram's bars.

    References
    ----------
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(names) or scores.shape[0] < 2 or len(names) < 2:
        raise ValueError(
            f"scores must be (blocks >= 2, methods >= 2) for {len(names)} names, "
            f"however: {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    n_blocks, n_methods = scores.shape
    ranks = rankdata(-scores, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    quantile = float(studentized_range.ppf(1 - alpha, n_methods, np.inf)) / np.sqrt(2)
    critical = float(quantile * np.sqrt(n_methods * (n_methods + 1) / (6 * n_blocks)))
    p_value = float("nan")
    if n_methods >= 3 and not (scores == scores[:, :1]).all():
        p_value = float(friedmanchisquare(*scores.T).pvalue)
    sorted_ranks = ranks[order]
    groups: list[list[str]] = []
    last_end = 0
    for start in range(n_methods):
        end = int(np.searchsorted(sorted_ranks, sorted_ranks[start] + critical, side="left"))
        if end - start > 1 and end > last_end:
            groups.append([names[i] for i in order[start:end]])
            last_end = end
    return {
        "ranks": {names[i]: float(ranks[i]) for i in order},
        "critical_difference": critical,
        "friedman_p": p_value,
        "groups": groups,
    }
