"""The space that is diffused: rows about their class means, whitened within the classes.

A rare class has too few rows to learn a distribution from, but its rows scatter about their mean
much as those of the common classes do. Taking the means away and whitening by the covariance
pooled within the classes leaves a residual whose distribution all classes share to first order
(mean 0, covariance I), so that what the network learns on common classes serves the rare ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
CHUNK = 65_536
"""Rows whose residuals are taken together: a million rows fit into memory."""


def class_means(
    X: npt.NDArray[np.floating], y: Index, n_classes: int, weight: Doubles | None = None
) -> Doubles:
    """Weighted mean of the rows of each class, float64 `(c, d)`; every class must have a row."""
    weight = np.ones(len(y)) if weight is None else weight
    total = np.zeros((n_classes, X.shape[1]))
    np.add.at(total, y, X * weight[:, None])
    return total / np.bincount(y, weight, n_classes)[:, None]


def residual_covariance(
    X: npt.NDArray[np.floating],
    y: Index,
    *,
    weight: Doubles | None = None,
    shrinkage: float | None = None,
) -> Doubles:
    """Covariance pooled within the classes, shrunk towards a multiple of the identity.

    Parameters
    ----------
    X
        `(n, d)`.
    y
        Class indices `(n,)`, 0 to c - 1, every class present.
    weight
        How many rows each row stands for, `(n,)`; None for one each.
    shrinkage
        Weight of the scaled identity in [0, 1]; None for the estimate of Ledoit and Wolf (2004,
        doi:10.1016/S0047-259X(03)00096-4).

    Returns
    -------
    float64 `(d, d)`, zero in columns that are constant over all rows: they would be given spread by
    shrinkage, and take some from the others. Where no class has two rows, a multiple of the
    identity, as large as the covariance about the overall mean: such rows tell how far apart cells
    lie, but the directions in which they do are those between the classes.

    Notes
    -----
    A class has the rows (Σ w)² / Σ w² (Kish), which many rows of little weight are as well. The
    degrees of freedom are Σ w less one a class, which is right for whole rows; of fractional ones
    a class has Σ w - Σ w² / Σ w. So they are counted too low and the covariance is somewhat too
    large: at one label and 70 pool rows a class, which count for 0.1 each, by 11.25 %. They are
    counted right only where no class weighs two rows, where they could be near zero or below.
    """
    from sklearn.covariance import ledoit_wolf, shrunk_covariance

    varies = X.max(axis=0) > X.min(axis=0)
    if not varies.all():
        out = np.zeros((X.shape[1], X.shape[1]))
        if varies.any():
            own = residual_covariance(X[:, varies], y, weight=weight, shrinkage=shrinkage)
            out[np.ix_(varies, varies)] = own
        return out
    weight = np.ones(len(y)) if weight is None else weight
    n_classes = int(y.max()) + 1
    free = weight.sum() - n_classes
    total, squared = np.bincount(y, weight), np.bincount(y, weight**2)
    if (total**2 < 2 * squared).all():
        free = weight.sum() - 1
        y, n_classes, shrinkage = np.zeros(len(X), dtype=np.intp), 1, 1.0
    elif total.max() < 2:
        free = (total - squared / total).sum()
    if free <= 0:
        return np.zeros((X.shape[1], X.shape[1]))
    residual = X - class_means(X, y, n_classes, weight)[y]
    # Scaled so that the mean over rows is the sum over degrees of freedom, n - c of them.
    residual *= np.sqrt(weight * len(X) / free)[:, None]
    if shrinkage is None:
        return ledoit_wolf(residual, assume_centered=True)[0]
    return shrunk_covariance(residual.T @ residual / len(X), shrinkage=shrinkage)


@dataclass(frozen=True)
class Whitening:
    """Rows to whitened residuals about their class means, and back.

    Attributes
    ----------
    means
        Observed mean of each class, float64 `(c, d)`.
    rows
        Rows that each mean stands on, float64 `(c,)`.
    basis
        Eigenvectors of the pooled covariance by falling eigenvalue, float64 `(d, d)`, as columns.
    scale
        Square roots of the eigenvalues, float64 `(d,)`; zero where the rows do not vary.
    """

    means: Doubles
    rows: Doubles
    basis: Doubles
    scale: Doubles

    @property
    def dim(self) -> int:
        """Dimension d of the rows."""
        return len(self.scale)

    @classmethod
    def fit(
        cls, X: Floats, y: Index, *, weight: Doubles | None = None, shrinkage: float | None = None
    ) -> Whitening:
        """Learn means and covariance; arguments as for `residual_covariance`."""
        n_classes = int(y.max()) + 1
        value, vector = np.linalg.eigh(
            residual_covariance(X, y, weight=weight, shrinkage=shrinkage)
        )
        value = np.maximum(value[::-1], 0)
        value[value <= value[0] * 1e-10] = 0
        # The sign of an eigenvector is arbitrary; fixing it keeps results equal across libraries.
        vector = vector[:, ::-1]
        sign = np.sign(vector[np.abs(vector).argmax(axis=0), np.arange(len(value))])
        rows = np.bincount(y, weight, n_classes).astype(np.float64)
        return cls(class_means(X, y, n_classes, weight), rows, vector * sign, np.sqrt(value))

    @cached_property
    def _inwards(self) -> Doubles:
        inverse = np.divide(1, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        return self.basis * inverse

    @cached_property
    def _outwards(self) -> Floats:
        return np.ascontiguousarray((self.basis * self.scale).T, dtype=np.float32)

    def whiten(self, X: npt.NDArray[np.floating]) -> Doubles:
        """Rotate and scale differences of rows, float64 `(n, d)`."""
        return X @ self._inwards

    def residuals(self, X: Floats, y: Index) -> Floats:
        """Whitened residuals of rows of known class, float32 `(n, d)`, unbiased in scale.

        A row is closer to a mean that it helped to estimate than to the true one: by the factor
        sqrt((m - 1) / m) in a class of m rows, which is undone.
        """
        out = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            m = np.maximum(self.rows, 2)[y[part]]
            undo = np.sqrt(m / (m - 1))[:, None]
            out[part] = self.whiten(X[part] - self.means[y[part]]) * undo
        return out

    def colour(self, Z: npt.NDArray[np.floating], index: int) -> Floats:
        """Rows of class `index` from whitened residuals, float32 `(n, d)`."""
        return self.means[index].astype(np.float32) + Z.astype(np.float32) @ self._outwards
