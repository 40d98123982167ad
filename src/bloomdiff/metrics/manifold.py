"""Precision, recall, density and coverage: balls around points, and who lies in them.

The ball of a point reaches to its k-th nearest neighbour in its own set; a point lies in it when it
is strictly nearer.

References
----------
Kynkäänniemi et al. (2019), Improved precision and recall metric for assessing generative models;
Naeem et al. (2020), Reliable fidelity and diversity metrics for generative models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.blocks import Block, Doubles, Indices, exact_d2, scan
from bloomdiff.metrics.bootstrap import resampled_means
from bloomdiff.metrics.neighbours import radii_squared
from bloomdiff.metrics.points import as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison


class BallMembership:
    """Reducer over synthetic X and real Y: which point lies in which ball.

    Radii come squared, as they were computed: a root and its square need not be the same number,
    and a point exactly on a ball's edge must not fall in by rounding.

    Attributes
    ----------
    balls_of_synthetic
        Real balls that each synthetic point lies in, intp `(n_synthetic,)`.
    real_ball_hit
        Whether each real ball holds a synthetic point, bool `(n_real,)`.
    real_inside
        Whether each real point lies in some synthetic ball, bool `(n_real,)`.
    """

    def __init__(
        self, synthetic: Doubles, real: Doubles, synthetic_r2: Doubles, real_r2: Doubles
    ) -> None:
        self._synthetic, self._real = synthetic, real
        self._synthetic_r2, self._real_r2 = synthetic_r2, real_r2
        self.balls_of_synthetic = np.zeros(len(synthetic), dtype=np.intp)
        self.real_ball_hit = np.zeros(len(real), dtype=bool)
        self.real_inside = np.zeros(len(real), dtype=bool)

    def see(self, block: Block) -> None:
        """Count the block's memberships."""
        part = slice(block.start, block.stop)
        rows, columns = self._members(block, self._real_r2[None, :])
        self.balls_of_synthetic += np.bincount(rows, minlength=len(self._synthetic))
        self.real_ball_hit[columns] = True
        _, columns = self._members(block, self._synthetic_r2[part, None])
        self.real_inside[columns] = True

    def _members(self, block: Block, r2: Doubles) -> tuple[Indices, Indices]:
        """Pairs with d2 < r2: the block finds the candidates, differences settle the close ones."""
        limit = r2.astype(block.d2.dtype)
        flat = np.flatnonzero((block.d2 < limit + block.error).ravel())
        rows, columns = np.divmod(flat, block.d2.shape[1])
        exact_r2 = np.broadcast_to(r2, block.d2.shape)[rows, columns]
        d2 = block.d2[rows, columns].astype(np.float64)
        close = np.flatnonzero(d2 >= exact_r2 - block.error[rows, 0])
        rows += block.start
        d2[close] = exact_d2(self._synthetic, self._real, rows[close], columns[close])
        inside = d2 < exact_r2
        return rows[inside], columns[inside]


def precision_recall_density_coverage(
    real: npt.NDArray[Any], synthetic: npt.NDArray[Any], *, k: int = 5
) -> dict[str, float]:
    """The four shares of one synthetic set against real held-out points.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`.
    k
        Neighbours that set the radius of a ball.

    Returns
    -------
    dict
        `precision` (synthetic points in a real ball), `recall` (real points in a synthetic
        ball), `density` (real balls per synthetic point, over k; may exceed 1), `coverage` (real
        balls that hold a synthetic point).

    Raises
    ------
    InputError
        A set with no more than `k` points, or a value that is not finite.
    """
    real, synthetic = as_pair(real, synthetic, minimum=k + 1)
    balls = BallMembership(synthetic, real, radii_squared(synthetic, k), radii_squared(real, k))
    scan(synthetic, real, [balls])
    return {
        "precision": float((balls.balls_of_synthetic > 0).mean()),
        "recall": float(balls.real_inside.mean()),
        "density": float(balls.balls_of_synthetic.mean() / k),
        "coverage": float(balls.real_ball_hit.mean()),
    }


# The intervals resample the points that are judged and keep the balls: resampling the points
# behind a ball repeats some of them, and a repeated point's nearest neighbour is its own copy.
def _share(values: npt.NDArray[Any], counts: npt.NDArray[np.float32]) -> Score:
    return Score(float(values.mean()), resampled_means(values, counts))


@metric("precision", "Precision (improved)", better="higher", family="fidelity", minimum=20)
def _precision(comparison: SetComparison) -> Score:
    return _share(comparison.balls.balls_of_synthetic > 0, comparison.counts)


@metric("density", "Density", better="higher", family="fidelity", minimum=20)
def _density(comparison: SetComparison) -> Score:
    return _share(comparison.balls.balls_of_synthetic / comparison.reference.k, comparison.counts)


@metric("recall", "Recall (improved)", better="higher", family="coverage", minimum=20)
def _recall(comparison: SetComparison) -> Score:
    return _share(comparison.balls.real_inside, comparison.reference.test_counts)


@metric("coverage", "Coverage", better="higher", family="coverage", minimum=20)
def _coverage(comparison: SetComparison) -> Score:
    return _share(comparison.balls.real_ball_hit, comparison.reference.test_counts)
