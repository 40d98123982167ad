"""One synthetic set beside the real rows of a fold, with what metrics share.

Distances are computed once: each pair of sets is scanned by one pass whose reducers feed all
metrics.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.blocks import Doubles, Indices, Singles, scan
from bloomdiff.metrics.bootstrap import bootstrap_counts
from bloomdiff.metrics.manifold import BallMembership
from bloomdiff.metrics.neighbours import NearestNeighbours, nearest, nearest_elsewhere
from bloomdiff.metrics.points import as_points, same_dimension
from bloomdiff.metrics.reference import (
    Labels,
    Reference,
    Sums,
    check_labels,
    kernel_sums,
    self_scan,
)


class SetComparison:
    """A synthetic set beside a `Reference`; every property is computed once, when asked for."""

    def __init__(self, reference: Reference, synthetic: Doubles, y: Labels | None) -> None:
        self.reference, self.synthetic, self.y = reference, synthetic, y

    @classmethod
    def of(
        cls, reference: Reference, synthetic: npt.NDArray[Any], y: Labels | None = None
    ) -> SetComparison:
        """Set `synthetic` `(n, d)`, on its own scale, with labels `y` `(n,)` beside real rows.

        Raises
        ------
        InputError
            Fewer than two rows, another dimension, or a value that is not finite.
        """
        points = as_points(synthetic, "synthetic", minimum=2)
        same_dimension(points, reference.train, "synthetic")
        labels = check_labels(y, len(points), "synthetic")
        return cls(reference, reference.scale(points), labels)

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
        """Squared distances `(n, k)` among the synthetic rows, and their kernel sums."""
        return self_scan(self.synthetic, self.counts, self.reference)

    @cached_property
    def _cross_scan(self) -> tuple[BallMembership, NearestNeighbours, Sums]:
        real, synthetic = self.reference.test, self.synthetic
        balls = BallMembership(
            synthetic, real, self.self_scan[0][:, -1], self.reference.test_scan[0][:, -1]
        )
        neighbours = NearestNeighbours(synthetic, real, self.reference.k)
        sums = kernel_sums(
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
    def from_train(self) -> tuple[Doubles, Indices]:
        """Distances `(m,)` of the training rows to their nearest synthetic rows, and these."""
        distance, index = nearest(self.reference.train, self.synthetic)
        return distance[:, 0], index[:, 0]

    @cached_property
    def from_test(self) -> tuple[Doubles, Indices]:
        """Distances `(t,)` of the held-out rows to their nearest synthetic rows, and these."""
        distance, index = nearest(self.reference.test, self.synthetic)
        return distance[:, 0], index[:, 0]

    @cached_property
    def by_class(self) -> dict[str, SetComparison]:
        """Comparisons within each class that has two rows of each kind at least."""
        if self.y is None:
            return {}
        parts = {}
        for name, reference in self.reference.by_class.items():
            rows = self.y == name
            if rows.sum() >= 2:
                parts[name] = SetComparison(reference, self.synthetic[rows], None)
        return parts


class UnseenRows(SetComparison):
    """The held-out rows themselves in the place of synthetic ones: no generator has seen them.

    A row is not its own neighbour, nor are the other rows of its slide: a generator fitted on
    other slides draws no slide-mates of a held-out row. Only what asks for nearest rows makes
    sense here.
    """

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference, reference.test, reference.y_test)

    @cached_property
    def counts(self) -> Singles:
        """Those of the held-out rows: whole slides, and NaN where there are too few."""
        return self.reference.test_counts

    @cached_property
    def _slides(self) -> Labels | None:
        """Slides of the held-out rows; None where they are single rows, or all rows are of one."""
        groups = 2 <= self.reference.n_test_groups < len(self.reference.test)
        return self.reference.test_groups if groups else None

    @cached_property
    def to_test(self) -> tuple[Doubles, Indices]:
        """Distances and rows `(t, k)` of the nearest other held-out rows, slide-mates left out."""
        points, slides, k = self.synthetic, self._slides, self.reference.k
        if slides is None:
            return nearest(points, points, k=k, same=True)
        return nearest_elsewhere(points, slides, points, slides, k=k)

    @cached_property
    def from_test(self) -> tuple[Doubles, Indices]:
        """The same, one neighbour a row: `(t,)` and `(t,)`."""
        distance, index = self.to_test
        return distance[:, 0], index[:, 0]

    @cached_property
    def from_train(self) -> tuple[Doubles, Indices]:
        """Distances `(m,)` of the training rows to their nearest held-out rows, and these.

        Each leaves out a slide as well, drawn for it: with more rows to choose from than held-out
        rows have it would be nearer to one, and seem known.
        """
        train, slides = self.reference.train, self._slides
        if slides is None:
            return super().from_train
        # Of those whose rows the calibrated attack judges, so that the two sides are alike there.
        drawn = self.reference.rng(26).choice(self.reference.test_halves[1], size=len(train))
        distance, index = nearest_elsewhere(train, slides[drawn], self.synthetic, slides)
        return distance[:, 0], index[:, 0]
