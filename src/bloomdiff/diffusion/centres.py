"""Where the classes are: means of few rows, shrunk by what the other classes' means tell.

Empirical Bayes in whitened coordinates, where the mean of m rows errs by I / m. The class means
are themselves taken as normal about the grand mean with covariance Φ = U diag(v) Uᵀ + f I: U and v
are the between-class components, weighted by rows as in the analysis of variance, so that the
common classes span the directions in which classes differ; the floor f leaves room for a class
that differs in a way of its own, and is the one under which each class is likeliest given the
others. The mean of a rare class then keeps what lies along directions in which classes differ and
loses most of the rest, which is mostly the noise of its few rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bloomdiff.diffusion.whitening import Doubles, Floats

FLOORS = np.geomspace(1e-3, 1e4, 71)


@dataclass(frozen=True)
class Centres:
    """Posterior of the class means.

    Attributes
    ----------
    mean
        Posterior means, float64 `(c, d)`.
    directions
        Orthonormal between-class components U, float64 `(r, d)`, as rows.
    along
        Posterior deviations along the directions, float64 `(c, r)`.
    across
        Posterior deviations in every direction at right angles to them, float64 `(c,)`.
    """

    mean: Doubles
    directions: Doubles
    along: Doubles
    across: Doubles

    @classmethod
    def fit(cls, observed: Doubles, rows: Doubles) -> Centres:
        """Shrink observed whitened means `(c, d)` of so many rows `(c,)`."""
        grand, directions, v = between(observed, rows)
        f = likeliest_floor(observed, rows) if len(rows) > 1 else np.inf
        error = 1 / rows[:, None]
        keep_along = _ratio(v + f, v + f + error)
        keep_across = _ratio(np.full_like(error, f), f + error)
        offset = observed - grand
        along = offset @ directions.T
        across = offset - along @ directions
        return cls(
            mean=grand + (along * keep_along) @ directions + across * keep_across,
            directions=directions,
            along=np.sqrt(keep_along * error),
            across=np.sqrt(keep_across * error)[:, 0],
        )

    @property
    def places(self) -> Doubles:
        """Coordinates of the classes among one another, mean 0 and mean square 1, `(c, r)`."""
        along = self.mean @ self.directions.T
        along = along - along.mean(axis=0)
        size = np.sqrt((along**2).mean()) if along.size else 0.0
        return along / size if size > 0 else np.zeros((len(self.mean), 1))

    def scatter(self, index: int, noise: Floats) -> Floats:
        """Draws of the error of a class's mean from standard normal `noise`, float32 `(b, d)`."""
        directions = self.directions.astype(np.float32)
        across = np.float32(self.across[index])
        beyond = (self.along[index] - self.across[index]).astype(np.float32)
        return across * noise + ((noise @ directions.T) * beyond) @ directions


def between(observed: Doubles, rows: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Grand mean `(d,)`, between-class components `(r, d)` and their variances `(r,)`.

    The variances are those beyond what the error of the means explains; components without any
    are left out.
    """
    share = rows / rows.sum()
    grand = share @ observed
    scaled = (observed - grand) * np.sqrt(share)[:, None]
    _, s, directions = np.linalg.svd(scaled, full_matrices=False)
    v = s**2 - len(rows) / rows.sum()
    kept = v > 1e-9
    return grand, directions[kept], v[kept]


def likeliest_floor(observed: Doubles, rows: Doubles) -> float:
    """The floor under which every class's mean is likeliest given those of the others."""
    c, d = observed.shape
    log_likelihood = np.zeros(len(FLOORS))
    for i in range(c):
        others = np.arange(c) != i
        grand, directions, v = between(observed[others], rows[others])
        offset = observed[i] - grand
        along = (directions @ offset) ** 2
        across = max(float(offset @ offset - along.sum()), 0.0)
        variance = FLOORS + 1 / rows[i]
        total = v + variance[:, None]
        log_likelihood -= (np.log(total) + along / total).sum(axis=1) / 2
        log_likelihood -= ((d - len(v)) * np.log(variance) + across / variance) / 2
    return float(FLOORS[log_likelihood.argmax()])


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    """`part / whole`, one where both are infinite."""
    return np.where(np.isinf(whole), 1.0, part / np.where(np.isinf(whole), 1.0, whole))
