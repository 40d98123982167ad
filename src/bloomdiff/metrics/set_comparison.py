"""One synthetic set beside real training and held-out rows, with what metrics share.

Distances are computed once: each pair of sets is scanned by one pass whose reducers feed all
metrics. What depends on the real rows alone lives in `Reference`, computed once per fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.blocks import Doubles, Indices, Singles, scan
from bloomdiff.metrics.bootstrap import bootstrap_counts
from bloomdiff.metrics.frechet import Moments
from bloomdiff.metrics.kernels import (
    KernelName,
    KernelSums,
    cubic_kernel,
    gaussian_kernel,
    median_bandwidth,
)
from bloomdiff.metrics.manifold import BallMembership
from bloomdiff.metrics.neighbours import NearestNeighbours, nearest
from bloomdiff.metrics.points import ZScore, as_points, same_dimension

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
    seed
        Seed of the bootstrap and of every thinning.
    n_bootstrap
        Replicates; 0 gives no intervals.
    k
        Neighbours of the manifold metrics.
    """

    train: Doubles
    test: Doubles
    scale: ZScore
    bandwidth: float
    y_train: Labels | None
    y_test: Labels | None
    seed: int
    n_bootstrap: int
    k: int

    @classmethod
    def of(
        cls,
        train: npt.NDArray[Any],
        test: npt.NDArray[Any],
        *,
        y_train: Labels | None = None,
        y_test: Labels | None = None,
        seed: int,
        n_bootstrap: int = 200,
        k: int = 5,
    ) -> Reference:
        """Check the rows `(m, d)` and `(t, d)` and bring them to scale.

        Raises
        ------
        InputError
            Fewer than two rows, different dimensions, or a value that is not finite.
        """
        a, b = as_points(train, "training", minimum=2), as_points(test, "test", minimum=2)
        same_dimension(b, a, "test")
        scale = ZScore.of(a)
        a, b = scale(a), scale(b)
        return cls(
            train=a,
            test=b,
            scale=scale,
            bandwidth=median_bandwidth(a),
            y_train=_labels(y_train, len(a), "training"),
            y_test=_labels(y_test, len(b), "test"),
            seed=seed,
            n_bootstrap=n_bootstrap,
            k=k,
        )

    def compare(self, synthetic: npt.NDArray[Any], y: Labels | None = None) -> SetComparison:
        """Set `synthetic` `(n, d)`, on its own scale, with labels `y` `(n,)` beside these rows."""
        points = as_points(synthetic, "synthetic", minimum=2)
        same_dimension(points, self.train, "synthetic")
        return SetComparison(self, self.scale(points), _labels(y, len(points), "synthetic"))

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng([self.seed, stream])

    def within(self, name: str) -> Reference | None:
        """The rows of one class, on the scale and with the kernel of all; None with none."""
        if self.y_train is None or self.y_test is None:
            return None
        train, test = self.y_train == name, self.y_test == name
        if train.sum() < 2 or test.sum() < 2:
            return None
        return replace(
            self, train=self.train[train], test=self.test[test], y_train=None, y_test=None
        )

    @cached_property
    def test_counts(self) -> Singles:
        """Bootstrap counts of the held-out rows `(t, b)`."""
        return bootstrap_counts(len(self.test), self.n_bootstrap, self.rng(1))

    @cached_property
    def test_scan(self) -> tuple[Doubles, Sums]:
        """Squared radii of the held-out rows' balls `(t,)` and their kernel sums."""
        return _self_scan(self.test, self.test_counts, self)

    @cached_property
    def test_moments(self) -> Moments:
        """Mean and covariance of the held-out rows."""
        return Moments.of(self.test)

    @cached_property
    def train_spacing(self) -> Doubles:
        """Distance of each training row to its nearest other one, `(m,)`."""
        return nearest(self.train, self.train, same=True)[0][:, 0]


class SetComparison:
    """A synthetic set beside a `Reference`; every property is computed once, when asked for."""

    def __init__(self, reference: Reference, synthetic: Doubles, y: Labels | None) -> None:
        self.reference, self.synthetic, self.y = reference, synthetic, y

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return int(self.synthetic.shape[1])

    @cached_property
    def counts(self) -> Singles:
        """Bootstrap counts of the synthetic rows `(n, b)`."""
        return bootstrap_counts(
            len(self.synthetic), self.reference.n_bootstrap, self.reference.rng(3)
        )

    @cached_property
    def self_scan(self) -> tuple[Doubles, Sums]:
        """Squared radii of the synthetic rows' balls `(n,)` and their kernel sums."""
        return _self_scan(self.synthetic, self.counts, self.reference)

    @cached_property
    def _cross_scan(self) -> tuple[BallMembership, NearestNeighbours, Sums]:
        real, synthetic = self.reference.test, self.synthetic
        balls = BallMembership(synthetic, real, self.self_scan[0], self.reference.test_scan[0])
        neighbours = NearestNeighbours(synthetic, real, self.reference.k)
        sums = _kernel_sums(
            synthetic, real, self.counts, self.reference.test_counts, self.reference, same=False
        )
        scan(synthetic, real, [balls, neighbours, *sums.values()])
        return balls, neighbours, sums

    @property
    def balls(self) -> BallMembership:
        """Who lies in whose ball, synthetic against held-out rows."""
        return self._cross_scan[0]

    @cached_property
    def to_test(self) -> tuple[Doubles, Indices]:
        """Distances and rows `(n, k)` of the nearest held-out rows."""
        return np.sqrt(self._cross_scan[1].d2), self._cross_scan[1].index

    @property
    def cross_sums(self) -> Sums:
        """Kernel sums between synthetic and held-out rows."""
        return self._cross_scan[2]

    @cached_property
    def to_train(self) -> tuple[Doubles, Indices]:
        """Distances `(n,)` and rows `(n,)` of the nearest training row."""
        distance, index = nearest(self.synthetic, self.reference.train)
        return distance[:, 0], index[:, 0]

    @cached_property
    def by_class(self) -> dict[str, SetComparison]:
        """Comparisons within each class that has two rows of each kind at least."""
        if self.y is None or self.reference.y_test is None:
            return {}
        parts = {}
        for name in np.unique(self.reference.y_test).tolist():
            within, rows = self.reference.within(name), self.y == name
            if within is not None and rows.sum() >= 2:
                parts[name] = SetComparison(within, self.synthetic[rows], None)
        return parts


class UnseenRows(SetComparison):
    """The held-out rows themselves in the place of synthetic ones: no generator has seen them.

    A row is not its own neighbour. Only what asks for nearest rows makes sense here.
    """

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference, reference.test, reference.y_test)

    @cached_property
    def to_test(self) -> tuple[Doubles, Indices]:
        """Distances and rows `(t, k)` of the nearest other held-out rows."""
        return nearest(self.synthetic, self.synthetic, k=self.reference.k, same=True)


def _labels(y: Labels | None, n: int, name: str) -> Labels | None:
    if y is None:
        return None
    labels = np.asarray(y, dtype=str)
    if labels.shape != (n,):
        raise ValueError(f"{name} labels must be ({n},), however: {labels.shape}")
    return labels


def _kernel_sums(
    X: Doubles, Y: Doubles, left: Singles, right: Singles, reference: Reference, *, same: bool
) -> Sums:
    return {
        "cubic": KernelSums(cubic_kernel(X, Y), left, right, same=same),
        "gaussian": KernelSums(gaussian_kernel(reference.bandwidth), left, right, same=same),
    }


def _self_scan(X: Doubles, counts: Singles, reference: Reference) -> tuple[Doubles, Sums]:
    neighbours = NearestNeighbours(X, X, reference.k, same=True)
    sums = _kernel_sums(X, X, counts, counts, reference, same=True)
    scan(X, X, [neighbours, *sums.values()], same=True)
    return neighbours.d2[:, -1], sums
