"""Means, differences and their intervals over folds and seeds, without pretending independence.

Scores come as arrays `(folds, seeds)`. Seeds of one fold share training and test cells, so they are
averaged first: the fold is the unit. Folds share most of their training cells, which the plain
t-interval ignores; Nadeau and Bengio's correction widens it for that.

References
----------
Nadeau and Bengio (2003), Inference for the generalization error; Holm (1979), A simple
sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over folds with its interval.

    Attributes
    ----------
    mean, low, high
        The mean of the folds' means and its interval; NaN bounds with one fold.
    standard_error
        Corrected standard error of `mean`.
    n_folds, n_seeds
        Folds counted and seeds averaged within each.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    n_folds: int
    n_seeds: int

    def to_dict(self) -> dict[str, float | int]:
        """Plain data, for JSON and tables."""
        return asdict(self)


@dataclass(frozen=True)
class Difference(Estimate):
    """A paired difference `a - b` with its interval and test.

    Attributes
    ----------
    p_value
        Two-sided, of the corrected t-test that the mean difference is zero; NaN with one fold.
    effect_size
        Cohen's d of the folds' differences (mean over standard deviation); infinite where all
        folds differ equally, zero where none differs.
    """

    p_value: float
    effect_size: float


def fold_means(scores: Floats | Sequence[Sequence[float]]) -> tuple[Doubles, int]:
    """Mean over seeds of each fold, `(folds,)`, and the number of seeds.

    Parameters
    ----------
    scores
        `(folds, seeds)`; `(folds,)` counts as one seed.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"scores must be (folds, seeds), however: {array.shape}")
    if not np.isfinite(array).all():
        fold, seed = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"the score of fold {fold}, seed {seed} is not finite")
    return array.mean(axis=1), array.shape[1]


def _standard_error(values: Doubles, test_fraction: float) -> float:
    """Nadeau and Bengio's: the variance times 1/J + n_test/n_train instead of 1/J."""
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be in (0, 1), however: {test_fraction}")
    n = len(values)
    if n < 2:
        return float("nan")
    variance = float(values.var(ddof=1))
    # Equal values leave rounding behind; a spread below it is no spread.
    if variance <= (1e-12 * float(np.abs(values).max(initial=0.0))) ** 2:
        return 0.0
    return float(np.sqrt(variance * (1 / n + test_fraction / (1 - test_fraction))))


def _interval(mean: float, error: float, n: int, confidence: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    if n < 2:
        return float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    return mean - half, mean + half


def corrected_interval(
    scores: Floats | Sequence[Sequence[float]], test_fraction: float, *, confidence: float = 0.95
) -> Estimate:
    """Mean of a score over folds, with the corrected resampled t-interval.

    Parameters
    ----------
    scores
        `(folds, seeds)`.
    test_fraction
        Share of the rows that a fold tests on: 0.2 in 5-fold cross-validation.
    confidence
        Coverage of the interval.
    """
    values, n_seeds = fold_means(scores)
    mean, error = float(values.mean()), _standard_error(values, test_fraction)
    low, high = _interval(mean, error, len(values), confidence)
    return Estimate(mean, low, high, error, len(values), n_seeds)


def paired_difference(
    a: Floats | Sequence[Sequence[float]],
    b: Floats | Sequence[Sequence[float]],
    test_fraction: float,
    *,
    confidence: float = 0.95,
) -> Difference:
    """`a - b` over the same folds, with the corrected resampled t-test.

    Parameters
    ----------
    a, b
        `(folds, seeds)`; the same folds in the same order. The numbers of seeds may differ.
    test_fraction, confidence
        As in `corrected_interval`.
    """
    from scipy.special import stdtr

    (a_means, n_seeds), (b_means, _) = fold_means(a), fold_means(b)
    if len(a_means) != len(b_means):
        raise ValueError(f"{len(a_means)} folds against {len(b_means)}: not paired")
    values = a_means - b_means
    n, mean = len(values), float(values.mean())
    error = _standard_error(values, test_fraction)
    low, high = _interval(mean, error, n, confidence)
    if n < 2:
        p_value = effect = float("nan")
    elif error == 0:
        p_value = 1.0 if mean == 0 else 0.0
        effect = 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    else:
        p_value = float(2 * stdtr(n - 1, -abs(mean / error)))
        effect = mean / float(values.std(ddof=1))
    return Difference(mean, low, high, error, n, n_seeds, p_value, effect)


def holm(p_values: Sequence[float] | Doubles) -> Doubles:
    """Holm-adjusted p-values, in the order given; NaN stays NaN and counts as no test."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted
