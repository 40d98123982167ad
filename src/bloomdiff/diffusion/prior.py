"""What is known of the classes before any network is trained: centres and a common spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bloomdiff.diffusion.centres import Centres
from bloomdiff.diffusion.whitening import Doubles, Floats, Index, Whitening

STILL = 1e-3
"""Deviation of rows in a direction in which none varies, in units of how far the classes lie."""
ROUNDING = 1e-6
"""Of float32 rows, relative: less than this is no difference."""


@dataclass(frozen=True)
class ClassPrior:
    """Shrunk class centres with their uncertainty, and the covariance that all classes share.

    With standard normal residuals this is a generator by itself: each row is a draw from the
    posterior predictive distribution of a Gaussian with empirical-Bayes means.
    """

    whitening: Whitening
    centres: Centres

    @classmethod
    def fit(
        cls,
        X: Floats,
        y: Index,
        *,
        weight: Doubles | None = None,
        shrinkage: float | None = None,
        parents: Index | None = None,
    ) -> ClassPrior:
        """Learn from rows `(n, d)` of classes `(n,)`.

        Arguments as for `residual_covariance`, `parents` as for `Centres.fit`.
        """
        whitening = Whitening.fit(X, y, weight=weight, shrinkage=shrinkage)
        observed = whitening.whiten(whitening.means)
        rows = whitening.rows
        # Kish's: so many whole rows would err as much as these weighted ones.
        seen = rows if weight is None else rows**2 / np.bincount(y, weight**2, len(rows))
        return cls(whitening, Centres.fit(observed, rows, parents, seen=seen))

    def posterior(self, X: Floats) -> Doubles:
        """Class probabilities of rows `(n, d)` under equal frequencies, float64 `(n, c)`.

        Bayes' rule with the predictive Gaussians, in the directions in which the classes differ.
        """
        from scipy.special import softmax

        return np.asarray(softmax(self.scores(X), axis=1))

    def scores(self, X: Floats) -> Doubles:
        """Log-likelihoods in the directions in which the classes differ, `(n, c)`, but for 2 π.

        Where classes differ in directions in which their rows do not vary at all, the nearest of
        them there is by far the likeliest.
        """
        centres = self.centres
        along = self.whitening.whiten(X) @ centres.directions.T
        offset = along[:, None] - (centres.mean @ centres.directions.T)[None]
        variance = 1 + centres.along**2
        scores = -((offset**2 / variance) + np.log(variance)).sum(axis=2) / 2
        still = self.whitening.basis[:, self.whitening.scale == 0]
        if not still.shape[1]:
            return scores
        places = self.whitening.means @ still
        room = ((places - places.mean(axis=0)) ** 2).sum(axis=1).mean()
        # Constant columns are off by rounding alone, which is no difference.
        if room <= (ROUNDING * np.abs(self.whitening.means).max()) ** 2:
            return scores
        away = ((X @ still)[:, None] - places[None]) ** 2
        return scores - away.sum(axis=2) / (2 * STILL**2 * room)

    def standardize(self, whitened: Doubles, index: int) -> tuple[Doubles, float]:
        """Coordinates in which class `index` is standard normal, and the log density at their zero.

        Parameters
        ----------
        whitened
            Rows as `Whitening.whiten` gives them, `(n, d)`.
        index
            The class.

        Returns
        -------
        float64 `(n, d)`, and the logarithm of its predictive Gaussian's density at the centre.
        """
        centres, scale = self.centres, self.whitening.scale[self.whitening.scale > 0]
        offset = whitened - centres.mean[index]
        across = np.sqrt(1 + centres.across[index] ** 2)
        along = np.sqrt(1 + centres.along[index] ** 2)
        directions = centres.directions
        Z = offset / across + ((offset @ directions.T) * (1 / along - 1 / across)) @ directions
        beyond = len(scale) - len(along)
        volume = np.log(scale).sum() + np.log(along).sum() + beyond * np.log(across)
        return Z, float(-volume - len(scale) * np.log(2 * np.pi) / 2)

    def log_densities(self, X: Floats) -> Doubles:
        """Log density of rows `(n, d)` under the predictive Gaussian of each class, `(n, c)`.

        In all directions in which the rows of the training vary, those that the classes share too.
        """
        whitened = self.whitening.whiten(X)
        found = np.empty((len(X), len(self.centres.mean)))
        for index in range(found.shape[1]):
            Z, log_det = self.standardize(whitened, index)
            found[:, index] = log_det - (Z**2).sum(axis=1) / 2
        return found

    def place(self, Z: Floats, index: int, noise: Floats, *, nuisance_scale: float = 1.0) -> Floats:
        """Rows of class `index`, float32 `(n, d)`.

        Parameters
        ----------
        Z
            Whitened residuals `(n, d)`.
        index
            The class.
        noise
            Standard normal `(n, d)`; moves the centre within its uncertainty, afresh for each row.
        nuisance_scale
            Factor of the residual in the directions in which the classes do not differ.
        """
        if nuisance_scale != 1:
            directions = self.centres.directions.astype(np.float32)
            along = (Z @ directions.T) @ directions
            Z = (along + nuisance_scale * (Z - along)).astype(np.float32)
        return self.whitening.colour(
            Z + self._shift[index] + self.centres.scatter(index, noise), index
        )

    @cached_property
    def _shift(self) -> Floats:
        """From the observed to the shrunk centres, `(c, d)`.

        The centre is shifted, not set: a direction without spread keeps its observed mean.
        """
        shift = self.centres.mean - self.whitening.whiten(self.whitening.means)
        return shift.astype(np.float32)
