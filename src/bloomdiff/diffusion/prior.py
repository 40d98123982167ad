"""What is known of the classes before any network is trained: centres and a common spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bloomdiff.diffusion.centres import Centres
from bloomdiff.diffusion.whitening import Doubles, Floats, Index, Whitening


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
        cls, X: Floats, y: Index, *, weight: Doubles | None = None, shrinkage: float | None = None
    ) -> ClassPrior:
        """Learn from rows `(n, d)` of classes `(n,)`; arguments as for `residual_covariance`."""
        whitening = Whitening.fit(X, y, weight=weight, shrinkage=shrinkage)
        observed = whitening.whiten(whitening.means)
        return cls(whitening, Centres.fit(observed, whitening.rows))

    def place(self, Z: Floats, index: int, noise: Floats) -> Floats:
        """Rows of class `index` from residuals `Z` and standard normal `noise`, both `(n, d)`.

        The noise moves the centre within its uncertainty, afresh for every row.
        """
        # The centre is shifted, not set: a direction without spread keeps its observed mean.
        shift = self.centres.mean[index] - self.whitening.whiten(self.whitening.means[index])
        error = self.centres.scatter(index, noise.astype(np.float64))
        return self.whitening.colour(Z + shift + error, index)
