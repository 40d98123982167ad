"""Vendi score: the effective number of different points.

References
----------
Friedman and Dieng (2023), The Vendi score: a diversity evaluation metric for machine learning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import resampled_means
from bloomdiff.metrics.points import Doubles, as_points

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison


def vendi_score(X: npt.NDArray[Any]) -> float:
    """Exponential of the entropy of the eigenvalues of the mean cosine kernel, 1 to min(n, d).

    It says how varied points are, not whether they look real, and grows with their number:
    compare it at equal sizes, with real cells.

    Parameters
    ----------
    X
        Points `(n, d)`; points at the origin have no direction and do not count.
    """
    return _with_influences(as_points(X, "synthetic"))[0]


def _with_influences(X: Doubles) -> tuple[float, Doubles]:
    """The score, and its influence function at each point `(n,)`."""
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    counts = norms[:, 0] > 0
    n = max(1, int(counts.sum()))
    unit = X / np.where(norms > 0, norms, 1.0)
    # The d × d matrix has the non-zero eigenvalues of the n × n kernel.
    eigenvalues, axes = np.linalg.eigh(unit.T @ unit / n)
    kept = eigenvalues > 1e-12
    logs = np.log(eigenvalues[kept])
    entropy = -float(eigenvalues[kept] @ logs)
    score = float(np.exp(entropy))
    spectrum = (unit @ axes[:, kept]) ** 2
    influence: Doubles = -score * (spectrum @ (logs + 1))
    # A resample's score, too, is one of the points that count, of which it has more or fewer.
    return score, np.where(counts, influence - influence.sum() / n, 0.0) * (len(X) / n)


@metric("vendi_score", "Vendi score", better="higher", family="coverage")
def _vendi(comparison: SetComparison) -> Score:
    """The interval is that of the first-order expansion."""
    value, influence = _with_influences(comparison.synthetic)
    return Score(value, value + resampled_means(influence, comparison.counts))
