"""What lies near each synthetic cell, and whether that is nearer or farther than real cells lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.neighbours import nearest

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

NEAREST = 4
SUSPECTS = 12
NEAR_SHARE = 0.05


@dataclass(frozen=True)
class Usual:
    """Distances that real cells keep from one another, across the border of the fold.

    No group lies on both sides, so that cells of one slide cannot make the usual distance small.

    Attributes
    ----------
    to_train
        Of held-out cells to their nearest training cell, ascending.
    to_test
        Of training cells to their nearest held-out cell, ascending.
    """

    to_train: Doubles
    to_test: Doubles

    @classmethod
    def of(cls, train: Doubles, test: Doubles, some_train: Indices, some_test: Indices) -> Self:
        """Measure from the chosen rows `some_*` to all rows of the other side."""
        return cls(
            np.sort(nearest(test[some_test], train)[0][:, 0]),
            np.sort(nearest(train[some_train], test)[0][:, 0]),
        )


def percentile(distance: Doubles, usual: Doubles) -> Doubles:
    """Share of `usual` (ascending) that is smaller than each distance, in per cent."""
    return 100 * np.searchsorted(usual, distance, side="left") / len(usual)


@dataclass(frozen=True)
class Neighbourhood:
    """Neighbours of synthetic cells among real ones.

    Attributes
    ----------
    train, test
        Rows of the nearest training and held-out cells, nearest first, `(n, k)`.
    train_distance, test_distance
        Euclidean distances to them in the embedding, `(n, k)`.
    """

    train: Indices
    train_distance: Doubles
    test: Indices
    test_distance: Doubles

    @classmethod
    def of(cls, synthetic: Doubles, train: Doubles, test: Doubles) -> Self:
        """Search all real cells; `k` is `NEAREST`, or as many as there are."""
        near = nearest(synthetic, train, k=min(NEAREST, len(train)))
        held_out = nearest(synthetic, test, k=min(NEAREST, len(test)))
        return cls(near[1], near[0], held_out[1], held_out[0])


def suspects(near: Neighbourhood, believed: Doubles) -> dict[str, list[int]]:
    """Rows worth a look, the most suspicious first.

    Parameters
    ----------
    near
        Neighbours of the synthetic cells.
    believed
        Probability `(n,)` that a classifier of real cells gives to each cell's own label.

    Returns
    -------
    dict
        `memorised` (nearest to a training cell), `disputed` (least believed) and `farthest` (from
        any training cell); at most `SUSPECTS` rows each, equals in the order of the rows.
    """
    distance = near.train_distance[:, 0]
    orders = {"memorised": distance, "disputed": believed, "farthest": -distance}
    return {
        name: np.argsort(values, kind="stable")[:SUSPECTS].tolist()
        for name, values in orders.items()
    }


def share_too_near(near: Neighbourhood, usual: Usual) -> float:
    """Share as near to a training cell as `NEAR_SHARE` of the held-out cells are.

    Copies count where that share of the held-out cells have copies in training, too.
    """
    limit = np.quantile(usual.to_train, NEAR_SHARE)
    return float((near.train_distance[:, 0] <= limit).mean())
