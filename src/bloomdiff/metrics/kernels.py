"""Unbiased squared maximum mean discrepancy, and its bootstrap in the same pass.

References
----------
Gretton et al. (2012), A kernel two-sample test; Bińkowski et al. (2018), Demystifying MMD GANs
(the cubic kernel, "KID"); Jayasumana et al. (2024), Rethinking FID (the Gaussian kernel, "CMMD").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.blocks import Block, Doubles, Indices, Reals, Singles, scan
from bloomdiff.metrics.points import as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

Kernel = Callable[[Reals, slice], Reals]
KernelName = Literal["cubic", "gaussian"]


def gaussian_kernel(bandwidth: float) -> Kernel:
    """exp(-d² / (2 bandwidth²))."""

    def evaluate(d2: Reals, rows: slice) -> Reals:
        # A Python float keeps the block's type.
        out = d2 * (-0.5 / bandwidth**2)
        return np.exp(out, out=out)

    return evaluate


def cubic_kernel(X: Doubles, Y: Doubles) -> Kernel:
    """(x·y / d + 1)³; the product comes from the distance, x·y = (|x|² + |y|² - d²) / 2."""
    dim = X.shape[1]
    left = np.einsum("ij,ij->i", X, X)[:, None] / (2 * dim) + 1
    right = np.einsum("ij,ij->i", Y, Y) / (2 * dim)

    def evaluate(d2: Reals, rows: slice) -> Reals:
        base = d2 * (-0.5 / dim)
        base += left[rows].astype(d2.dtype)
        base += right.astype(d2.dtype)
        cube = base * base
        cube *= base
        return cube

    return evaluate


def median_bandwidth(X: Doubles, *, at_most: int = 1000) -> float:
    """Median distance between the rows of `X`, of `at_most` evenly spaced ones; never zero."""
    from scipy.spatial.distance import pdist

    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), at_most)).astype(np.intp))
    median = float(np.median(pdist(X[rows]))) if len(rows) > 1 else 0.0
    return median if median > 0 else 1.0


class KernelSums:
    """Reducer: the sum of a kernel over all pairs, plain and under bootstrap counts.

    Parameters
    ----------
    kernel
        The kernel of a block.
    left, right
        Bootstrap counts float32 `(n, b)` and `(m, b)`.
    same
        Both sets are one: pairs of a point with itself do not count.
    groups
        Of one set alone, the group of each point `(n,)` where whole groups were drawn.
    n_groups
        How many they were drawn from, where some have no point in the set.

    Attributes
    ----------
    total
        Sum over the pairs.
    pairs
        Weight of all pairs in each resample, float64 `(b,)`.
    """

    def __init__(
        self,
        kernel: Kernel,
        left: Singles,
        right: Singles,
        *,
        same: bool,
        groups: npt.NDArray[np.str_] | None = None,
        n_groups: int | None = None,
    ) -> None:
        self._kernel, self._left, self._right, self._same = kernel, left, right, same
        self.total = 0.0
        self._draws = np.zeros(left.shape[1])
        self._groups: Indices | None = None
        n, m = (counts.sum(axis=0, dtype=np.float64) for counts in (left, right))
        self.pairs = n * m
        if same:
            self.pairs -= (left.astype(np.float64) ** 2).sum(axis=0)
        if same and groups is not None:
            _, first, self._groups = np.unique(groups, return_index=True, return_inverse=True)
            c, sizes = left[first].astype(np.float64), np.bincount(self._groups)
            # Drawn c times, a group has c² pairs of its own points beside c · c' with another's.
            # It is taken for c groups that share no pair, and its weight, whose mean is 1, brought
            # down to the mean of c · c'.
            self._too_much = c**2 - c * (1 - 1 / (n_groups or len(sizes)))
            self._mates = np.zeros(len(sizes))
            self.pairs -= (sizes * (sizes - 1.0)) @ self._too_much

    @property
    def draws(self) -> Doubles:
        """Sums weighted by the products of counts, two copies of a group being no pair, `(b,)`."""
        return self._draws if self._groups is None else self._draws - self._mates @ self._too_much

    def see(self, block: Block) -> None:
        """Add the block's pairs."""
        rows = slice(block.start, block.stop)
        with np.errstate(invalid="ignore"):
            values = self._kernel(block.d2, rows)
        if self._same:
            values[np.arange(len(values)), np.arange(block.start, block.stop)] = 0
        self.total += float(values.sum(axis=1).sum(dtype=np.float64))
        if len(self._draws):
            weighted = values @ self._right
            self._draws += np.einsum("ib,ib->b", self._left[rows], weighted, dtype=np.float64)
            if self._groups is not None:
                own = self._groups[rows]
                of_mates = np.where(own[:, None] == self._groups, values, 0).sum(axis=1)
                self._mates += np.bincount(own, of_mates, minlength=len(self._mates))


def combine(xx: KernelSums, yy: KernelSums, xy: KernelSums, n: int, m: int) -> float:
    """The unbiased estimate: mean of k(x, x') plus mean of k(y, y') less twice that of k(x, y)."""
    return xx.total / (n * (n - 1)) + yy.total / (m * (m - 1)) - 2 * xy.total / (n * m)


def combine_draws(xx: KernelSums, yy: KernelSums, xy: KernelSums) -> Doubles:
    """`combine` under bootstrap counts; two copies of one point, or of one group, are no pair.

    Leaving those pairs out keeps the estimate free of the bias that drawing with replacement
    brings.
    """
    # A resample may be one point over and over, which has no pair: its draw is NaN.
    with np.errstate(invalid="ignore", divide="ignore"):
        draws: Doubles = xx.draws / xx.pairs + yy.draws / yy.pairs - 2 * xy.draws / xy.pairs
    draws[~np.isfinite(draws)] = np.nan
    return draws


def mmd2(
    real: npt.NDArray[Any],
    synthetic: npt.NDArray[Any],
    *,
    kernel: KernelName = "cubic",
    bandwidth: float | None = None,
) -> float:
    """Unbiased squared MMD between two point sets; about 0 for equal distributions, or below.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`, at least two each.
    kernel
        "cubic" (the kernel distance, KD) or "gaussian".
    bandwidth
        Of the Gaussian kernel; None takes the median distance among the real points, so that
        every generator is measured with the same kernel.
    """
    X, Y = as_pair(real, synthetic, minimum=2)
    if bandwidth is None:
        bandwidth = median_bandwidth(X)
    sums = []
    for a, b, same in ((X, X, True), (Y, Y, True), (X, Y, False)):
        one = cubic_kernel(a, b) if kernel == "cubic" else gaussian_kernel(bandwidth)
        empty_a, empty_b = (np.empty((len(p), 0), dtype=np.float32) for p in (a, b))
        sums.append(KernelSums(one, empty_a, empty_b, same=same))
        scan(a, b, [sums[-1]], same=same)
    return combine(sums[0], sums[1], sums[2], len(X), len(Y))


def mmd2_score(comparison: SetComparison, kernel: KernelName) -> Score:
    """`mmd2` of synthetic against held-out rows, from the shared passes, with its bootstrap."""
    reference = comparison.reference
    sums = (
        comparison.self_scan[1][kernel],
        reference.test_scan[1][kernel],
        comparison.cross_sums[kernel],
    )
    value = combine(*sums, len(comparison.synthetic), len(reference.test))
    return Score(value, combine_draws(*sums))


@metric("kernel_distance", "Kernel distance (cubic MMD²)", better="lower", family="fidelity")
def _kernel_distance(comparison: SetComparison) -> Score:
    return mmd2_score(comparison, "cubic")


@metric("gaussian_mmd", "Gaussian MMD²", better="lower", family="fidelity")
def _gaussian_mmd(comparison: SetComparison) -> Score:
    return mmd2_score(comparison, "gaussian")
