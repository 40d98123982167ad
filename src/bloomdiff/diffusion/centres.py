"""Where the classes are: means of few rows, shrunk by what the other classes' means tell.

Empirical Bayes in whitened coordinates, where the mean of m rows errs by I / m. The class means
are themselves taken as normal about the grand mean with covariance Φ = U diag(v) Uᵀ + f I: U and v
are the between-class components, weighted by rows as in the analysis of variance, so that the
common classes span the directions in which classes differ; the floor f leaves room for a class
that differs in a way of its own, and is the one under which each class is likeliest given the
others. The mean of a rare class then keeps what lies along directions in which classes differ and
loses most of the rest, which is mostly the noise of its few rows. Where classes have parents, the
means of siblings are correlated, and a rare class keeps what its siblings have as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bloomdiff.diffusion.whitening import Doubles, Floats, Index, signs
from bloomdiff.errors import ParameterError

FLOORS = np.geomspace(1e-3, 1e4, 71)
_MISSING = ("nan", "<NA>", "NaT")  # as NumPy and pandas spell them
CORRELATIONS = np.linspace(0, 0.9, 10)
LEAST = 1e-9  # variance of a component


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
    def fit(
        cls,
        observed: Doubles,
        rows: Doubles,
        parents: Index | None = None,
        *,
        seen: Doubles | None = None,
    ) -> Centres:
        """Shrink observed whitened means `(c, d)` of so many rows `(c,)`.

        Parameters
        ----------
        observed, rows
            Means, and the rows that each stands on.
        parents
            Index of each class's parent `(c,)`. Classes of one parent are taken as correlated
            about the grand mean, as strongly as makes each class likeliest given the others, so
            that a rare class is drawn towards its siblings. None for no parents.
        seen
            As for `between`; None for `rows`.
        """
        seen = rows if seen is None else seen
        grand, directions, v = between(observed, rows, seen)
        f = likeliest_floor(observed, rows, seen) if len(rows) > 1 else np.inf
        if parents is not None and np.isfinite(f):
            rho = likeliest_correlation(observed, rows, parents, f, seen)
            if rho > 0:
                return cls(*_kriged(observed, rows, correlation(parents, rho), f, seen))
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


def between(observed: Doubles, rows: Doubles, seen: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Grand mean `(d,)`, between-class components `(r, d)` and their variances `(r,)`.

    The variances are those beyond what the error of the means explains. Of n rows in all, each of
    the c - 1 components has d / n of the errors, for c of them lie in no more than that, where a
    direction that was not looked for has c / n (Gavish and Donoho 2017,
    doi:10.1109/TIT.2017.2653801, where d is far above c). Components with less than the latter are
    left out. Of the others the variance is known but for the deviation of the former, √(c d) / n
    (a semicircle's, where d is far above c), and is estimated by its mean given that it is not
    negative: the likeliest value is zero for components with less than d / n, and to take that for
    certain would make classes of few rows all the same. Where no class has two rows the units are
    not those of the error, and c / n alone is taken off.

    Parameters
    ----------
    observed, rows
        As for `Centres.fit`.
    seen
        Rows that were seen of each class, where `rows` is what they count for, `(c,)`: a pool row
        that is trusted as a tenth of a row has the error of a whole one.
    """
    share = rows / rows.sum()
    grand = share @ observed
    scaled = (observed - grand) * np.sqrt(share)[:, None]
    place, s, directions = np.linalg.svd(scaled, full_matrices=False)
    directions *= signs(place)[:, None]
    c, d = len(rows), _spread(observed)
    trusted = c / rows.sum()
    kept = s**2 - trusted > LEAST
    error = d / rows.sum() * float((rows / seen).mean())
    if seen.max() < 2:
        v = s[kept] ** 2 - trusted
    else:
        v = _not_negative(s[kept] ** 2 - max(error, trusted), error * np.sqrt(c / max(d, 1)))
    return grand, directions[kept], v


def _not_negative(observed: Doubles, deviation: float) -> Doubles:
    """Mean of what was observed with such a deviation, given that it is above zero."""
    from scipy.special import log_ndtr

    z = observed / deviation
    hazard = np.exp(-(z**2) / 2 - log_ndtr(z)) / np.sqrt(2 * np.pi)
    return np.asarray(np.maximum(deviation * (z + hazard), LEAST))


def likeliest_floor(observed: Doubles, rows: Doubles, seen: Doubles) -> float:
    """The floor under which every class's mean is likeliest given those of the others."""
    c, d = len(observed), _spread(observed)
    log_likelihood = np.zeros(len(FLOORS))
    for i in range(c):
        others = np.arange(c) != i
        grand, directions, v = between(observed[others], rows[others], seen[others])
        offset = observed[i] - grand
        along = (directions @ offset) ** 2
        across = max(float(offset @ offset - along.sum()), 0.0)
        variance = FLOORS + 1 / rows[i]
        total = v + variance[:, None]
        log_likelihood -= (np.log(total) + along / total).sum(axis=1) / 2
        log_likelihood -= ((d - len(v)) * np.log(variance) + across / variance) / 2
    return float(FLOORS[log_likelihood.argmax()])


def parent_indices(classes: Sequence[str], parents: Mapping[str, Any]) -> Index:
    """Index of each class's parent, `(c,)`; a class without one is its own.

    Raises
    ------
    ParameterError
        As `parent_name`.
    """
    named = {c: parent_name(c, parents.get(c)) for c in classes}
    names = [f"parent {named[c]}" if named[c] else f"class {c}" for c in classes]
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def parent_name(of: Any, parent: Any) -> str:
    """A class's parent; '' for none, as which missing values of any kind are taken.

    Raises
    ------
    ParameterError
        Something else than text.
    """
    if isinstance(parent, str):
        return str(parent)
    if parent is None or str(parent) in _MISSING:
        return ""
    raise ParameterError(
        f"parents: class {of!r}",
        f"has the parent {parent!r}, which is no text",
        "name its parent, or give None for no parent",
    )


def correlation(parents: Index, rho: float) -> Doubles:
    """One on the diagonal, `rho` between classes of one parent, zero elsewhere, `(c, c)`."""
    same = parents[:, None] == parents
    return np.where(np.eye(len(parents), dtype=bool), 1.0, rho * same)


def likeliest_correlation(
    observed: Doubles, rows: Doubles, parents: Index, f: float, seen: Doubles
) -> float:
    """The correlation of siblings under which each class's mean is likeliest given the others."""
    c, d = len(observed), _spread(observed)
    log_likelihood = np.zeros(len(CORRELATIONS))
    for i in range(c):
        others = np.arange(c) != i
        grand, directions, v = between(observed[others], rows[others], seen[others])
        offset = observed - grand
        along = offset @ directions.T
        across = offset - along @ directions
        phi = np.append(v, 0) + f
        for k, rho in enumerate(CORRELATIONS):
            K = correlation(parents, rho)
            # (r + 1, c - 1): what the others weigh in the prediction of class i, direction by
            # direction; the last is that of all directions at right angles to the others.
            noisy = phi[:, None, None] * K[np.ix_(others, others)] + np.diag(1 / rows[others])
            shared = phi[:, None] * K[i, others]
            weigh = np.linalg.solve(noisy, shared[..., None])[..., 0]
            variance = phi + 1 / rows[i] - (weigh * shared).sum(axis=1)
            miss = along[i] - (weigh[:-1] * along[others].T).sum(axis=1)
            far = across[i] - weigh[-1] @ across[others]
            log_likelihood[k] -= (np.log(variance[:-1]) + miss**2 / variance[:-1]).sum() / 2
            log_likelihood[k] -= (d - len(v)) * np.log(variance[-1]) / 2
            log_likelihood[k] -= float(far @ far) / variance[-1] / 2
    return float(CORRELATIONS[log_likelihood.argmax()])


def _kriged(
    observed: Doubles, rows: Doubles, K: Doubles, f: float, seen: Doubles
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Posterior of correlated class means: the fields of `Centres`."""
    grand, directions, v = between(observed, rows, seen)
    phi = np.append(v, 0) + f
    prior = phi[:, None, None] * K
    keep = np.swapaxes(np.linalg.solve(prior + np.diag(1 / rows), prior), 1, 2)
    offset = observed - grand
    along = offset @ directions.T
    across = offset - along @ directions
    kept = np.einsum("rij,jr->ir", keep[:-1], along)
    left = np.diagonal(prior - keep @ prior, axis1=1, axis2=2)
    deviation = np.sqrt(np.maximum(left, 0))
    mean = grand + kept @ directions + keep[-1] @ across
    return mean, directions, deviation[:-1].T, deviation[-1]


def _spread(observed: Doubles) -> int:
    """Directions in which rows vary: whitened means are zero in the others, and tell nothing."""
    return int(np.count_nonzero(observed.any(axis=0)))


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    """`part / whole`, one where both are infinite."""
    return np.where(np.isinf(whole), 1.0, part / np.where(np.isinf(whole), 1.0, whole))
