"""Principal components of labelled rows and pool together, for what learns from both."""

from __future__ import annotations

import numpy as np

from bloomdiff.data.embedding_set import Floats


def principal_axes(rows: Floats, n_components: int | None) -> Floats:
    """Leading directions of variance, orthonormal, float32 `(k, d)`.

    Parameters
    ----------
    rows
        float32 `(n, d)`, standardised.
    n_components
        k at most; as many as have variance where there are fewer, or where None.
    """
    from sklearn.decomposition import PCA

    k = min(rows.shape) if n_components is None else min(n_components, *rows.shape)
    found = PCA(k, svd_solver="full").fit(rows)
    # n rows span n - 1 directions: one more would be any, as rounding has it.
    size = found.singular_values_
    least = size[0] * max(rows.shape) * np.finfo(rows.dtype).eps
    axes = found.components_[: max(1, int((size > least).sum()))]
    return np.ascontiguousarray(axes, dtype=np.float32)
