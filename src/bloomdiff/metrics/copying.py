"""The C_T test: whether synthetic rows lie nearer to training rows than held-out rows do.

References
----------
Meehan et al. (2020), A non-parametric test to detect data-copying in generative models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import resampled_means
from bloomdiff.metrics.membership import placements
from bloomdiff.metrics.neighbours import nearest
from bloomdiff.metrics.points import Doubles, as_pair, as_points, same_dimension

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

Indices = npt.NDArray[np.intp]
_ROWS_PER_CELL = 20  # of each kind, for the normal approximation of U


def copying_test(
    synthetic: npt.NDArray[Any],
    train: npt.NDArray[Any],
    held_out: npt.NDArray[Any],
    *,
    seed: int,
    n_cells: int = 5,
) -> float:
    """C_T: a z-score; far below 0 is copying, far above 0 under-fitting.

    Space is cut by k-means on the training rows. In each cell the Mann-Whitney statistic compares
    the distances of held-out and of synthetic rows to the training rows of the cell; the cells'
    z-scores are averaged by their share of held-out rows. Cells with fewer than 20 rows of either
    kind are left out.

    Parameters
    ----------
    synthetic, train, held_out
        Points `(n, d)`, `(m, d)`, `(t, d)`.
    seed
        Seed of k-means.
    n_cells
        Cells; 1 is the plain Mann-Whitney test.

    Returns
    -------
    float
        NaN where no cell has enough rows.
    """
    train, synthetic = as_pair(train, synthetic)
    held_out = as_points(held_out, "held-out")
    same_dimension(held_out, train, "held-out")
    cells = _cells(train, (held_out, synthetic), n_cells, seed)
    return _average(train, held_out, synthetic, cells)[0]


def _cells(train: Doubles, sets: tuple[Doubles, ...], n_cells: int, seed: int) -> list[Indices]:
    """Cell of each training row, then of each row of `sets`."""
    from sklearn.cluster import KMeans

    if n_cells == 1:
        return [np.zeros(len(points), dtype=np.intp) for points in (train, *sets)]
    found = KMeans(min(n_cells, len(train)), n_init=1, random_state=seed).fit(train)
    return [found.labels_.astype(np.intp), *(found.predict(p).astype(np.intp) for p in sets)]


def _average(
    train: Doubles, held_out: Doubles, synthetic: Doubles, cells: list[Indices]
) -> tuple[float, Doubles, Doubles]:
    """C_T, and its influence function at the held-out and at the synthetic rows."""
    pull_held_out, pull_synthetic = np.zeros(len(held_out)), np.zeros(len(synthetic))
    total, weight = 0.0, 0
    for cell in np.unique(cells[0]):
        rows = [np.flatnonzero(labels == cell) for labels in cells]
        real, fake = rows[1], rows[2]
        if min(len(real), len(fake)) < _ROWS_PER_CELL:
            continue
        inside = train[rows[0]]
        d_real = nearest(held_out[real], inside)[0][:, 0]
        d_fake = nearest(synthetic[fake], inside)[0][:, 0]
        # Placement of each fake row among the real ones, ties by half; their mean is U/(nm).
        place_fake, place_real = placements(d_fake, d_real), 1 - placements(d_real, d_fake)
        n, m = len(real), len(fake)
        deviation = np.sqrt((n + m + 1) / (12 * n * m))
        total += n * float((place_fake.mean() - 0.5) / deviation)
        weight += n
        pull_synthetic[fake] = n * (place_fake - place_fake.mean()) / deviation * len(synthetic) / m
        pull_held_out[real] = n * (place_real - place_real.mean()) / deviation * len(held_out) / n
    if weight == 0:
        return float("nan"), pull_held_out, pull_synthetic
    return total / weight, pull_held_out / weight, pull_synthetic / weight


@metric("copying_test", "C_T test of copying", better="higher", family="memorisation", minimum=20)
def _copying_test(comparison: SetComparison) -> Score:
    """The floor is 0 by construction: held-out rows against themselves."""
    reference = comparison.reference
    n_cells = max(1, min(10, len(reference.test) // (5 * _ROWS_PER_CELL)))
    cells = _cells(reference.train, (reference.test, comparison.synthetic), n_cells, reference.seed)
    value, of_held_out, of_synthetic = _average(
        reference.train, reference.test, comparison.synthetic, cells
    )
    if not np.isfinite(value):
        return Score(value, note=f"too few: no cell has {_ROWS_PER_CELL} rows of both kinds")
    draws = value + resampled_means(of_held_out, reference.test_counts)
    return Score(value, draws + resampled_means(of_synthetic, comparison.counts))
