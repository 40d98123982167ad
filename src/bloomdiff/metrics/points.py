"""What every metric asks of its point sets, checked in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError

Doubles = npt.NDArray[np.float64]


def as_points(X: npt.NDArray[Any], name: str, *, minimum: int = 1) -> Doubles:
    """`X` as contiguous float64 `(n, d)`.

    Parameters
    ----------
    X
        Points, one a row.
    name
        What the rows are, for messages ("synthetic").
    minimum
        Rows that the metric needs.

    Raises
    ------
    InputError
        Fewer rows than `minimum`, or a value that is not finite.
    """
    points = np.ascontiguousarray(X, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"{name} must be (n, d), however: {points.shape}")
    if len(points) < minimum:
        raise InputError(
            f"{name} rows", f"too few: needs {minimum}, has {len(points)}", "give more rows"
        )
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(f"{name} row {row}", "is not finite", "embed or generate it again")
    return points


def as_pair(
    real: npt.NDArray[Any], synthetic: npt.NDArray[Any], *, minimum: int = 1
) -> tuple[Doubles, Doubles]:
    """Both sets checked by `as_points`, of one dimension."""
    a = as_points(real, "real", minimum=minimum)
    b = as_points(synthetic, "synthetic", minimum=minimum)
    same_dimension(b, a, "synthetic")
    return a, b


def same_dimension(points: Doubles, real: Doubles, name: str) -> None:
    """Refuse `points` whose dimension is not that of the `real` ones."""
    if points.shape[1] != real.shape[1]:
        raise InputError(
            f"{name} rows",
            f"have {points.shape[1]} dimensions, the real ones {real.shape[1]}",
            "embed both with one encoder",
        )


@dataclass(frozen=True)
class ZScore:
    """Mean 0 and deviation 1 in each column of the rows that it was made of.

    Attributes
    ----------
    mean, deviation
        `(d,)`; a constant column has deviation 1, that is, it is only centred.
    """

    mean: Doubles
    deviation: Doubles

    @classmethod
    def of(cls, train: Doubles) -> ZScore:
        """The scale of the training rows `(m, d)`."""
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        # Summing equal numbers leaves rounding behind, which must not be blown up to noise.
        constant = deviation <= 1e-10 * np.abs(mean) + np.finfo(np.float64).tiny
        return cls(mean, np.where(constant, 1.0, deviation))

    def __call__(self, points: Doubles) -> Doubles:
        """`points` `(n, d)` on this scale."""
        scaled: Doubles = (points - self.mean) / self.deviation
        return scaled
