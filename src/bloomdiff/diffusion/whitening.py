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


def signs(columns: Doubles) -> Doubles:
    """Signs that make the largest entry of every column positive, `(k,)`.

    Those of singular and eigenvectors are arbitrary; fixing them keeps results equal across
    libraries.
    """
    return np.sign(columns[np.abs(columns).argmax(axis=0), np.arange(columns.shape[1])])


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
        What each row counts for, `(n,)`; None for one each.
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
    A weight says how far a row is trusted, not how often it was seen: with m rows of one weight a
    class has m - 1 degrees of freedom whatever the weight, as without it. In general they are, in
    units in which the weighted squares are summed, Σ w - Σ w² / Σ w, which is unbiased for weights
    that do not depend on the rows. A class has the rows (Σ w)² / Σ w² (Kish).
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
    total, squared = np.bincount(y, weight), np.bincount(y, weight**2)
    if (total**2 < 2 * squared).all():
        y, n_classes, shrinkage = np.zeros(len(X), dtype=np.intp), 1, 1.0
        total, squared = total.sum(keepdims=True), squared.sum(keepdims=True)
    free = (total - squared / total).sum()
    if free <= 0:
        return np.zeros((X.shape[1], X.shape[1]))
    residual = X - class_means(X, y, n_classes, weight)[y]
    # Scaled so that the mean over rows is the sum over degrees of freedom.
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
        vector = vector[:, ::-1]
        rows = np.bincount(y, weight, n_classes).astype(np.float64)
        means = class_means(X, y, n_classes, weight)
        return cls(means, rows, vector * signs(vector), np.sqrt(value))

    @cached_property
    def _inwards(self) -> Doubles:
        inverse = np.divide(1, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        return self.basis * inverse

    @cached_property
    def _outwards(self) -> Floats:
        return np.ascontiguousarray((self.basis * self.scale).T, dtype=np.float32)

    @cached_property
    def _axes(self) -> Floats:
        return self.basis.astype(np.float32)

    def whiten(self, X: npt.NDArray[np.floating]) -> Doubles:
        """Rotate and scale differences of rows, float64 `(n, d)`."""
        return X @ self._inwards

    def rotate(self, noise: Floats) -> Floats:
        """Standard normal rows in the features' own axes, in the whitened ones, float32 `(n, d)`.

        Where there are fewer rows than dimensions many eigenvalues are equal, and which axes stand
        for them hangs on how a library rounds. What was drawn before does not: `colour` then gives
        the same rows by any of them.
        """
        return np.ascontiguousarray(noise @ self._axes)

    def residuals(
        self,
        X: Floats,
        y: Index,
        *,
        weight: Doubles | None = None,
        squares: Doubles | None = None,
    ) -> Floats:
        """Whitened residuals of rows of known class, float32 `(n, d)`, unbiased in scale.

        A row is closer to a mean that it helped to estimate than to the true one: its variance
        about a mean of weights W in all, its own w among them, is 1 - 2 w / W + Σ w² / W² of what
        it is about the true mean, which is (m - 1) / m in a class of m rows. That is undone.

        Parameters
        ----------
        X, y
            Rows `(n, d)` and their class indices `(n,)`.
        weight
            What each row counted for in the mean of its class, `(n,)`; None for one each.
        squares
            Sum of the squares of all weights in the mean of each class, `(c,)`; None for the rows.
        """
        squares = self.rows if squares is None else squares
        out = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            own = 1.0 if weight is None else weight[part]
            all_of = self.rows[y[part]]
            left = all_of**2 - 2 * own * all_of + squares[y[part]]
            # A lone row is its mean; there is nothing to undo.
            undo = np.sqrt(all_of**2 / np.where(left > 0, left, all_of**2))[:, None]
            out[part] = self.whiten(X[part] - self.means[y[part]]) * undo
        return out

    def colour(self, Z: npt.NDArray[np.floating], index: int) -> Floats:
        """Rows of class `index` from whitened residuals, float32 `(n, d)`."""
        return self.means[index].astype(np.float32) + Z.astype(np.float32) @ self._outwards
