"""Is a stated probability kept? Calibration error, Brier score, temperature, deferral.

All functions take class indices `(n,)` and probabilities `(n, c)` that were already checked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


def expected_calibration_error(y_true: Indices, proba: Doubles, *, n_bins: int = 15) -> float:
    """Gap between confidence and accuracy of the top class, over bins of equal width.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks.
    """
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == y_true
    # Bins are open below and closed above, as in the paper: (0, 1/15], (1/15, 2/15], ...
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    gap = np.bincount(bins, weights=confidence - correct, minlength=n_bins)
    return float(np.abs(gap).sum() / len(y_true))


def brier_score(y_true: Indices, proba: Doubles) -> float:
    """Mean squared distance from the one-hot truth, summed over classes: 0 to 2.

    References
    ----------
    Brier (1950), Verification of forecasts expressed in terms of probability.
    """
    chosen = proba[np.arange(len(y_true)), y_true]
    return float(((proba**2).sum(axis=1) - 2 * chosen + 1).mean())


def scale_temperature(proba: Doubles, temperature: float) -> Doubles:
    """Probabilities `(n, c)` whose logits were divided by `temperature` (1 changes nothing)."""
    logits = np.log(np.clip(proba, 1e-12, None)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled: Doubles = np.exp(logits)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(y_true: Indices, proba: Doubles) -> float:
    """The temperature that minimises the log-loss; fit it on inner validation rows only.

    Parameters
    ----------
    y_true, proba
        Validation labels `(n,)` and probabilities `(n, c)`, from the outer training part.

    Returns
    -------
    float
        Between 0.05 and 20; above 1 where the classifier is over-confident.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(y_true))

    def loss(log_temperature: float) -> float:
        scaled = scale_temperature(proba, float(np.exp(log_temperature)))
        return float(-np.log(np.clip(scaled[rows, y_true], 1e-12, None)).mean())

    bounds = (np.log(0.05), np.log(20.0))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def reject_curve(
    y_true: Indices, proba: Doubles, *, coverages: tuple[float, ...] = (1, 0.95, 0.9, 0.8, 0.7, 0.5)
) -> list[dict[str, float]]:
    """Accuracy of what remains when the least confident cells are deferred to a human.

    Parameters
    ----------
    y_true, proba
        Test labels `(n,)` and probabilities `(n, c)`.
    coverages
        Shares of cells that the classifier keeps, each in (0, 1].

    Returns
    -------
    list of dict
        `coverage` (share kept, after rounding up to whole cells), `accuracy` among the kept,
        `threshold` (their least confidence) and `n`. Of cells of equal confidence at the threshold
        no one goes before another: each counts by the share of them that is kept.

    References
    ----------
    Geifman and El-Yaniv (2017), Selective classification for deep neural networks.
    """
    confidence = proba.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    correct = (proba.argmax(axis=1) == y_true)[order]
    curve = []
    for coverage in coverages:
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must be in (0, 1], however: {coverage}")
        kept = int(np.ceil(coverage * len(order) - 1e-9))
        threshold = confidence[order[kept - 1]]
        above, tied = int((confidence > threshold).sum()), int((confidence == threshold).sum())
        right = correct[:above].sum() + (kept - above) * correct[above : above + tied].mean()
        curve.append(
            {
                "coverage": kept / len(order),
                "accuracy": float(right / kept),
                "threshold": float(threshold),
                "n": float(kept),
            }
        )
    return curve
