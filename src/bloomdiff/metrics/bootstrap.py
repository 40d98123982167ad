"""Bootstrap counts: how often each row is drawn in each replicate, shared by all metrics.

Reference: Efron and Tibshirani (1993), An introduction to the bootstrap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


def bootstrap_counts(n: int, n_bootstrap: int, rng: np.random.Generator) -> Singles:
    """Counts of `n` rows in each of `n_bootstrap` resamples of size n, float32 `(n, b)`."""
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
    return np.ascontiguousarray(counts.T, dtype=np.float32)


def resampled_means(values: npt.NDArray[np.generic], counts: Singles) -> Doubles:
    """Mean of `values` `(n,)` in each resample, `(b,)`."""
    means: Doubles = (values.astype(np.float64) @ counts) / max(1, len(values))
    return means


def resampled_medians(values: Doubles, counts: Singles) -> Doubles:
    """Lower median of `values` `(n,)` in each resample, `(b,)`."""
    if counts.shape[1] == 0:
        return np.empty(0)
    order = np.argsort(values, kind="stable")
    reached = counts[order].cumsum(axis=0) >= len(values) / 2
    medians: Doubles = values[order][reached.argmax(axis=0)]
    return medians
