"""The units of a space in which a cell's own views vary alike in every direction.

A frozen encoder moves a cell's vector when the slide is turned, the stain is stronger or the focus
is off: directions that tell nothing about the cell's type, and a good part of the scatter within
the types. Random views of each cell (`bloomdiff.encoders.views`) show these directions without any
label. Whitening by the covariance of the views within the cells is within-class covariance
normalisation (Hatch, Kajarekar and Stolcke 2006, Interspeech) in which every cell is a class
of its own. It matters most where the labelled cells are too few to learn their scatter from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from bloomdiff.data.fingerprint import Fingerprint

if TYPE_CHECKING:
    from bloomdiff.data.embedding_set import EmbeddingSet

Floats = npt.NDArray[np.float32]

RIDGE = 0.1
"""Added to the covariance, part of its mean variance: what the views leave out varies as well."""
MOST_CELLS = 2_000
"""Cells looked at, drawn at random from more: a covariance is known well long before."""


@dataclass(frozen=True)
class ViewWhitening:
    """A symmetric linear map of embeddings, and back.

    Attributes
    ----------
    inwards, outwards
        The map float32 `(d, d)` and its inverse. Where the views vary by more than `RIDGE` of
        their mean variance, they come near to it; elsewhere they stay below.
    fingerprint
        Groups of the cells whose views it was fitted on.
    """

    inwards: Floats
    outwards: Floats
    fingerprint: Fingerprint

    @classmethod
    def of(cls, *sets: EmbeddingSet | None, fingerprint: Fingerprint | None = None) -> Self | None:
        """Learn from the views of the cells of some sets; None where they have no views.

        Parameters
        ----------
        *sets
            The cells; None and empty sets are passed over.
        fingerprint
            To carry in place of that of the cells, where their groups are carried otherwise.
        """
        seen = [s for s in sets if s is not None and len(s) and s.views is not None]
        if not seen:
            return None
        if fingerprint is None:
            fingerprint = reduce(or_, (s.fingerprint for s in seen))
        return cls.fit([(s.X, s.views) for s in seen if s.views is not None], fingerprint)

    @classmethod
    def fit(cls, parts: Sequence[tuple[Floats, Floats]], fingerprint: Fingerprint) -> Self:
        """Learn from pairs of embeddings `(n, d)` and their views `(n, v, d)`.

        The covariance of the views within the cells is shrunk towards a multiple of the identity
        as Ledoit and Wolf estimate (2004, doi:10.1016/S0047-259X(03)00096-4), which is much where
        the cells are few.
        """
        from sklearn.covariance import ledoit_wolf

        seen = np.concatenate(
            [
                np.concatenate([X[rows, None], views[rows]], axis=1)
                for (X, views), rows in zip(parts, _drawn([len(X) for X, _ in parts]), strict=True)
            ]
        )
        v, d = seen.shape[1:]
        own = (seen - seen.mean(axis=1, keepdims=True, dtype=np.float64)) * np.sqrt(v / (v - 1))
        covariance, _ = ledoit_wolf(own.reshape(-1, d), assume_centered=True)
        level = np.trace(covariance) / d
        if level <= 0:  # an encoder that no view moves
            return cls(np.eye(d, dtype=np.float32), np.eye(d, dtype=np.float32), fingerprint)
        value, basis = np.linalg.eigh(covariance / level)
        scale = np.sqrt(np.maximum(value, 0) + RIDGE)
        return cls(
            ((basis / scale) @ basis.T).astype(np.float32),
            ((basis * scale) @ basis.T).astype(np.float32),
            fingerprint,
        )

    def transform(self, X: Floats) -> Floats:
        """Embeddings `(n, d)` in the new units, float32 `(n, d)`."""
        return X @ self.inwards

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows in the new units `(n, d)` back as embeddings, float32 `(n, d)`."""
        return Z @ self.outwards


def _drawn(sizes: Sequence[int]) -> list[npt.NDArray[np.intp]]:
    """Rows that are looked at of each of several parts: all, or `MOST_CELLS` together."""
    ends = np.cumsum(sizes)
    rows = np.arange(ends[-1])
    if len(rows) > MOST_CELLS:
        rows = np.random.default_rng(0).choice(len(rows), MOST_CELLS, replace=False)
    return [
        rows[(rows >= end - size) & (rows < end)] - (end - size)
        for size, end in zip(sizes, ends, strict=True)
    ]
