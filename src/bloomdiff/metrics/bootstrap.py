"""Bootstrap counts: how often each row is drawn in each replicate, shared by all metrics.

Reference: Efron and Tibshirani (1993), An introduction to the bootstrap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

# Fewer slides cannot say how slides differ; resampling them would only look like it.
MIN_GROUPS = 5


def bootstrap_counts(
    n: int,
    n_bootstrap: int,
    rng: np.random.Generator,
    groups: npt.NDArray[np.str_] | None = None,
) -> Singles:
    """Counts of `n` rows in each of `n_bootstrap` resamples, float32 `(n, b)`.

    Whole groups are drawn where `groups` `(n,)` are given, as many as there are: cells of one slide
    resemble each other, and drawing them one by one would pretend to more evidence than there is.
    The resamples then differ in their number of rows.
    """
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(units.max()) + 1
    counts = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_bootstrap)
    return np.ascontiguousarray(counts.T[units], dtype=np.float32)


def resampled_means(values: npt.NDArray[np.generic], counts: Singles) -> Doubles:
    """Mean of `values` `(n,)` in each resample, `(b,)`; NaN where none of the rows was drawn."""
    with np.errstate(invalid="ignore"):
        means: Doubles = (values.astype(np.float64) @ counts) / counts.sum(axis=0, dtype=np.float64)
    return means


def resampled_medians(values: Doubles, counts: Singles) -> Doubles:
    """Lower median of `values` `(n,)` in each resample, `(b,)`; NaN where the counts are."""
    if counts.shape[1] == 0:
        return np.empty(0)
    order = np.argsort(values, kind="stable")
    total = counts.sum(axis=0)
    reached = counts[order].cumsum(axis=0) >= total / 2
    medians: Doubles = values[order][reached.argmax(axis=0)]
    return np.where(np.isnan(total), np.nan, medians)
