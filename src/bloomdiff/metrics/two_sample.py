"""Classifier two-sample test: whether a classifier can tell synthetic from held-out rows.

References
----------
Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests; Rahimi and Recht (2007), Random
features for large-scale kernel machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import bootstrap_counts, resampled_means
from bloomdiff.metrics.kernels import median_bandwidth
from bloomdiff.metrics.points import Doubles, as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

_AT_MOST = 5000  # rows a side: more make the test slower, not fairer
_FEATURES = 512


def two_sample_test(
    real: npt.NDArray[Any], synthetic: npt.NDArray[Any], *, seed: int, confidence: float = 0.95
) -> dict[str, float]:
    """Accuracy of telling the two sets apart on rows not trained on; 0.5 is best.

    A ridge classifier on the z-scored columns and on random Fourier features, so that it sees
    shifts and shapes. Equal numbers of both sets; it is fitted on one half and judged on the
    other. (Cross-validation would judge all rows, but its folds' errors go together, and its
    interval would be too narrow.)

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`, at least 10 each.
    seed
        Seed of thinning, features and halves.
    confidence
        Coverage of the Wilson interval.

    Returns
    -------
    dict
        `accuracy`, `low`, `high`, `n` (rows judged).

    Raises
    ------
    InputError
        Fewer than 10 points, or a value that is not finite.
    """
    from scipy.special import ndtri

    X, Y = as_pair(real, synthetic, minimum=10)
    told = _correct_rows(X, Y, median_bandwidth(X), np.random.default_rng(seed))
    correct = np.concatenate([told.real, told.synthetic])
    n, share = len(correct), float(correct.mean())
    z = float(ndtri(0.5 + confidence / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return {
        "accuracy": share,
        "low": max(0.0, float(centre - half)),
        "high": min(1.0, float(centre + half)),
        "n": float(n),
    }


class _Told(NamedTuple):
    """Whether each row of the second halves was told right, and which real rows these are."""

    real: npt.NDArray[np.bool_]
    synthetic: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.intp]


def _correct_rows(X: Doubles, Y: Doubles, bandwidth: float, rng: np.random.Generator) -> _Told:
    """Judge the rows of the second halves by a model of the first halves."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    n = min(len(X), len(Y), _AT_MOST)
    drawn = [rng.choice(len(P), size=n, replace=False) for P in (X, Y)]
    rows = np.concatenate([X[drawn[0]], Y[drawn[1]]])
    side = np.repeat([0, 1], n)
    fitted = np.tile(np.arange(n) < n // 2, 2)
    directions = rng.standard_normal((rows.shape[1], _FEATURES)) / bandwidth
    waves = np.cos(rows @ directions + rng.uniform(0, 2 * np.pi, _FEATURES))
    features = np.hstack([rows, waves])
    scaler = StandardScaler().fit(features[fitted])
    model = RidgeClassifierCV(alphas=np.logspace(0, 5, 11))
    model.fit(scaler.transform(features[fitted]), side[fitted])
    correct = model.predict(scaler.transform(features[~fitted])) == side[~fitted]
    return _Told(correct[: n - n // 2], correct[n - n // 2 :], drawn[0][n // 2 :])


@metric(
    "two_sample_accuracy",
    "Classifier two-sample accuracy",
    better="lower",
    family="fidelity",
    minimum=20,
)
def _two_sample(comparison: SetComparison) -> Score:
    reference = comparison.reference
    told = _correct_rows(
        reference.test, comparison.synthetic, reference.bandwidth, reference.rng(21)
    )
    # Real rows are drawn by whole slides, as everywhere; synthetic ones belong to none.
    counts = bootstrap_counts(len(told.synthetic), reference.n_bootstrap, reference.rng(22))
    draws = resampled_means(told.real, reference.test_counts[told.rows])
    draws = (draws + resampled_means(told.synthetic, counts)) / 2
    return Score(float((told.real.mean() + told.synthetic.mean()) / 2), draws)
