"""The real rows of one fold, and what depends on them alone: computed once for all generators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.metrics.base import OVERALL
from bloomdiff.metrics.blocks import Doubles, Indices, Singles, scan
from bloomdiff.metrics.bootstrap import MIN_GROUPS, bootstrap_counts
from bloomdiff.metrics.frechet import Moments
from bloomdiff.metrics.kernels import (
    Kernel,
    KernelName,
    KernelSums,
    cubic_kernel,
    gaussian_kernel,
    median_bandwidth,
)
from bloomdiff.metrics.neighbours import NearestNeighbours, nearest
from bloomdiff.metrics.points import ZScore, as_points, same_dimension
from bloomdiff.metrics.sampling import group_halves

Labels = npt.NDArray[np.str_]
Sums = dict[KernelName, KernelSums]


@dataclass(eq=False)
class Reference:
    """The real rows of one fold; make it with `of`.

    Attributes
    ----------
    train, test
        Real rows `(m, d)` and `(t, d)`, z-scored by the training rows.
    scale
        Brings further rows onto that scale.
    bandwidth
        Of the Gaussian kernel: the median distance among training rows.
    y_train, y_test
        Their labels, or None where there are none.
    test_groups
        Slide or patient of the held-out rows `(t,)`, which the bootstrap keeps together; None
        draws the rows one by one.
    seed
        Seed of the bootstrap and of every thinning.
    n_bootstrap
        Replicates; 0 gives no intervals.
    k
        Neighbours of the manifold metrics.
    drawn, n_drawn
        Bootstrap counts of the held-out rows `(t, b)` that were drawn with those of other rows, and
        the number of groups that they were drawn from; None draws them for these rows alone.
    """

    train: Doubles
    test: Doubles
    scale: ZScore
    bandwidth: float
    y_train: Labels | None
    y_test: Labels | None
    test_groups: Labels | None
    seed: int
    n_bootstrap: int
    k: int
    drawn: Singles | None = None
    n_drawn: int | None = None

    @classmethod
    def of(
        cls,
        train: npt.NDArray[Any],
        test: npt.NDArray[Any],
        *,
        y_train: Labels | None = None,
        y_test: Labels | None = None,
        test_groups: Labels | None = None,
        seed: int,
        n_bootstrap: int = 200,
        k: int = 5,
    ) -> Reference:
        """Check the rows `(m, d)` and `(t, d)` and bring them to scale.

        Raises
        ------
        InputError
            Fewer than two rows, different dimensions, a value that is not finite, or a class of
            the name of the records over all rows.
        """
        a, b = as_points(train, "training", minimum=2), as_points(test, "test", minimum=2)
        same_dimension(b, a, "test")
        labels = check_labels(y_test, len(b), "test")
        check_scopes(labels)
        scale = ZScore.of(a)
        a, b = scale(a), scale(b)
        return cls(
            train=a,
            test=b,
            scale=scale,
            bandwidth=median_bandwidth(a),
            y_train=check_labels(y_train, len(a), "training"),
            y_test=labels,
            test_groups=check_labels(test_groups, len(b), "test group"),
            seed=seed,
            n_bootstrap=n_bootstrap,
            k=k,
        )

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng([self.seed, stream])

    @cached_property
    def by_class(self) -> dict[str, Reference]:
        """The rows of each class with two rows of both kinds, on the scale and kernel of all."""
        if self.y_train is None or self.y_test is None:
            return {}
        parts = {}
        for name in np.unique(self.y_test).tolist():
            train, test = self.y_train == name, self.y_test == name
            if min(train.sum(), test.sum()) >= 2:
                parts[name] = replace(
                    self,
                    train=self.train[train],
                    test=self.test[test],
                    y_train=None,
                    y_test=None,
                    test_groups=None if self.test_groups is None else self.test_groups[test],
                )
        return parts

    @property
    def n_test_groups(self) -> int:
        """Slides or patients among the held-out rows, each row one where none are told."""
        return len(self.test if self.test_groups is None else np.unique(self.test_groups))

    @cached_property
    def test_halves(self) -> tuple[Indices, Indices]:
        """The held-out rows cut by whole slides, of two at least: a population, and rows to judge.

        No training row has a slide-mate in the population. Were a judged row to have one, it would
        seem more ordinary than any training row, and an honest generator would be accused.
        """
        rows = np.arange(len(self.test)).astype(str)
        return group_halves(rows if self.test_groups is None else self.test_groups, self.rng(23))

    @cached_property
    def to_population(self) -> tuple[Doubles, Doubles]:
        """Distances of training rows `(m,)` and of the rows to judge to the population's nearest.

        Of `test_halves`.
        """
        population, judged = self.test_halves
        points = self.test[population]
        return nearest(self.train, points)[0][:, 0], nearest(self.test[judged], points)[0][:, 0]

    @cached_property
    def test_counts(self) -> Singles:
        """Bootstrap counts of the held-out rows `(t, b)`; NaN with too few groups: no interval."""
        if self.drawn is not None:
            return self.drawn
        if self.n_test_groups < MIN_GROUPS:
            return np.full((len(self.test), self.n_bootstrap), np.nan, dtype=np.float32)
        return bootstrap_counts(
            len(self.test), self.n_bootstrap, self.rng(1), groups=self.test_groups
        )

    @cached_property
    def test_scan(self) -> tuple[Doubles, Sums]:
        """Squared distances `(t, k)` among the held-out rows, and their kernel sums."""
        return self_scan(self.test, self.test_counts, self, self.test_groups, self.n_drawn)

    @cached_property
    def test_moments(self) -> Moments:
        """Mean and covariance of the held-out rows."""
        return Moments.of(self.test)

    @property
    def test_spacing(self) -> Doubles:
        """Distance of each held-out row to its nearest other one, `(t,)`."""
        spacing: Doubles = np.sqrt(self.test_scan[0][:, 0])
        return spacing

    @cached_property
    def train_spacing(self) -> Doubles:
        """Distance of each training row to its nearest other one, `(m,)`."""
        return nearest(self.train, self.train, same=True)[0][:, 0]


def check_labels(y: Labels | None, n: int, name: str) -> Labels | None:
    """`y` as text `(n,)`, or None."""
    if y is None:
        return None
    labels = np.asarray(y, dtype=str)
    if labels.shape != (n,):
        raise ValueError(f"{name} labels must be ({n},), however: {labels.shape}")
    return labels


def check_scopes(y: Labels | None) -> None:
    """Refuse a class whose records would be taken for those over all rows."""
    if y is not None and (y == OVERALL).any():
        raise InputError(f"class {OVERALL!r}", "is what records over all rows say", "rename it")


def kernel_sums(
    X: Doubles,
    Y: Doubles,
    left: Singles,
    right: Singles,
    reference: Reference,
    *,
    same: bool,
    groups: Labels | None = None,
    n_groups: int | None = None,
) -> Sums:
    """Reducers of both kernels over the pairs of `X` and `Y`."""

    def sums(kernel: Kernel) -> KernelSums:
        return KernelSums(kernel, left, right, same=same, groups=groups, n_groups=n_groups)

    return {
        "cubic": sums(cubic_kernel(X, Y)),
        "gaussian": sums(gaussian_kernel(reference.bandwidth)),
    }


def self_scan(
    X: Doubles,
    counts: Singles,
    reference: Reference,
    groups: Labels | None = None,
    n_groups: int | None = None,
) -> tuple[Doubles, Sums]:
    """Squared distances to the k nearest among `X` `(n, k)`, and its kernel sums."""
    neighbours = NearestNeighbours(X, X, reference.k, same=True)
    sums = kernel_sums(X, X, counts, counts, reference, same=True, groups=groups, n_groups=n_groups)
    scan(X, X, [neighbours, *sums.values()], same=True)
    return neighbours.d2, sums
