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
        k at most; as many as rows and columns allow where there are fewer, or where None.
    """
    from sklearn.decomposition import PCA

    k = min(rows.shape) if n_components is None else min(n_components, *rows.shape)
    axes = PCA(k, svd_solver="full").fit(rows).components_
    return np.ascontiguousarray(axes, dtype=np.float32)
