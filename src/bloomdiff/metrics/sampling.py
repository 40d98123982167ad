"""Drawing rows for a fair comparison: in the right class proportions, or from a simple model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.points import Doubles

Indices = npt.NDArray[np.intp]
Labels = npt.NDArray[np.str_]


def stratified_rows(y: Labels, y_like: Labels, at_most: int, rng: np.random.Generator) -> Indices:
    """Rows of `y` in the class proportions of `y_like`, as many as possible up to `at_most`.

    A class of `y_like` that `y` lacks is left out; the largest remainders round to whole rows.

    Returns
    -------
    ndarray
        Sorted positions in `y`, without repeats.
    """
    names, wanted = np.unique(y_like, return_counts=True)
    available = np.array([(y == name).sum() for name in names])
    names, wanted = names[available > 0], wanted[available > 0]
    available = available[available > 0]
    if len(names) == 0:
        return np.empty(0, dtype=np.intp)
    share = wanted / wanted.sum()
    # A class may fall short by its rounding, so that a rare one does not halve the sample.
    total = min(at_most, int(((available + 0.5) / share).min()))
    exact = total * share
    take = np.floor(exact).astype(np.intp)
    order = np.argsort(take - exact, kind="stable")
    take[order[: total - take.sum()]] += 1
    take = np.minimum(take, available)
    chosen = [
        rng.choice(np.flatnonzero(y == name), size=count, replace=False)
        for name, count in zip(names, take, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def group_halves(groups: Labels, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Cut rows by whole groups into two parts, as near to halves as the groups allow.

    Parameters
    ----------
    groups
        Group of each row `(n,)`, at least two of them.
    rng
        Shuffles the groups.

    Returns
    -------
    tuple of ndarray
        Positions of the rows of either part, group by group.
    """
    _, first, units = np.unique(groups, return_index=True, return_inverse=True)
    # Counted as they come, not by name: what the groups are called decides nothing.
    units = np.argsort(np.argsort(first))[units]
    shuffled = rng.permutation(len(first))
    ends = np.bincount(units)[shuffled].cumsum()[:-1]
    # Of an odd number of rows the first part has one more than the second.
    cut = int(ends[np.abs(2 * ends - len(groups) - 1).argmin()])
    order = np.argsort(np.argsort(shuffled)[units], kind="stable")
    return order[:cut], order[cut:]


def class_gaussian(X: Doubles, y: Labels, y_wanted: Labels, rng: np.random.Generator) -> Doubles:
    """Rows of a Gaussian per class with the shrunk covariance of all classes, `(n, d)`.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices.
    """
    from sklearn.covariance import ledoit_wolf

    names, index = np.unique(y, return_inverse=True)
    means = np.stack([X[index == position].mean(axis=0) for position in range(len(names))])
    covariance, _ = ledoit_wolf(X - means[index], assume_centered=True)
    variance, axes = np.linalg.eigh(covariance)
    noise = rng.standard_normal((len(y_wanted), X.shape[1]))
    noise *= np.sqrt(np.maximum(variance, 0))
    return means[np.searchsorted(names, y_wanted)] + noise @ axes.T
