"""How many synthetic rows each class gets at a synthetic-to-real ratio.

The ratio is counted against the real training rows of the whole fold: 0 is real-only, 2 is two
synthetic rows per real one, `inf` is synthetic-only. The allocation shares the total out among the
classes. Every allocation is monotone in the ratio, so the rows of a smaller ratio are a prefix,
class by class, of the rows of a larger one, and a curve over ratios compares nested sets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Allocation = Literal["balance", "proportional", "uniform"]
Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[np.str_]


def allocate(
    real_counts: Mapping[str, int], ratio: float, allocation: Allocation
) -> dict[str, int]:
    """Synthetic rows per class.

    Parameters
    ----------
    real_counts
        Real training rows of each class, at least one each.
    ratio
        Synthetic rows per real row, finite and not negative.
    allocation
        ``balance`` fills the rare classes up to a common level before any other class gets a
        row; ``proportional`` keeps the real frequencies; ``uniform`` gives all classes the same.

    Returns
    -------
    dict
        Rows per class, in the order of `real_counts`; they add up to `round(ratio * n)`.
    """
    if not math.isfinite(ratio) or ratio < 0:
        raise ValueError(f"ratio must be finite and not negative, however: {ratio}")
    names = list(real_counts)
    counts = np.array([real_counts[name] for name in names], dtype=np.int64)
    total = round(ratio * int(counts.sum()))
    if allocation == "balance":
        shares = _fill_up(counts, total)
    elif allocation == "proportional":
        shares = _apportion(total, counts)
    else:
        shares = _apportion(total, np.ones_like(counts))
    return dict(zip(names, shares.tolist(), strict=True))


def class_counts(label: Labels) -> dict[str, int]:
    """Rows of each class, the classes sorted."""
    names, counts = np.unique(label, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def labels_wanted(label: Labels, ratio: float, allocation: Allocation) -> Labels:
    """Classes of the synthetic rows `(round(ratio * n),)` beside real rows of classes `(n,)`."""
    shares = allocate(class_counts(label), ratio, allocation)
    return np.repeat(np.array(list(shares)), list(shares.values()))


def _fill_up(counts: Counts, total: int) -> Counts:
    """Pour `total` rows onto the lowest classes, as water into a vessel with steps."""
    low, high = int(counts.min()), int(counts.max()) + total + 1
    while high - low > 1:
        level = (low + high) // 2
        if int(np.maximum(level - counts, 0).sum()) <= total:
            low = level
        else:
            high = level
    shares = np.maximum(low - counts, 0)
    # What is left is less than one row for each class at the level; the first of them get it.
    at_level = np.flatnonzero(counts <= low)
    shares[at_level[: total - int(shares.sum())]] += 1
    return shares


def _apportion(total: int, weights: Counts) -> Counts:
    """Share `total` out one row at a time to whoever is owed most (Sainte-Laguë).

    A divisor method, unlike rounding by largest remainder, never takes a row away from a class
    when the total grows: without that, ratios would not be nested.
    """
    limits = total * weights // weights.sum() + len(weights) + 1
    owner = np.repeat(np.arange(len(weights)), limits)
    earlier = np.concatenate([np.arange(limit) for limit in limits])
    # Classes tie often; a stable order keeps the result the same everywhere.
    served = np.argsort(-weights[owner] / (2 * earlier + 1), kind="stable")[:total]
    return np.bincount(owner[served], minlength=len(weights))


def ratio_name(ratio: float) -> str:
    """Spell a ratio as people read it: `0.5`, `10`, `inf`."""
    return f"{ratio:g}"


def largest_finite(ratios: Sequence[float]) -> float:
    """Return the largest finite ratio: its rows are those of `inf` as well; 1 where it is 0."""
    return max((ratio for ratio in ratios if 0 < ratio < math.inf), default=1.0)
