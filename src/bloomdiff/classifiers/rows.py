"""What a classifier learns from: real rows, synthetic ones and the unlabelled pool, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from bloomdiff.data.embedding_set import EmbeddingSet, Floats, Labels, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.rows import check_finite, class_names
from bloomdiff.errors import InputError


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one fit.

    Attributes
    ----------
    X, labels
        Real rows, then synthetic ones: float32 `(n, d)`, class names `(n,)`.
    pool
        Rows without labels, float32 `(m, d)`, or None.
    n_real
        How many of the `n` are real.
    fingerprint
        Groups of all of them, and of the rows that the synthetic ones' generator was fitted on.
    """

    X: Floats
    labels: Labels
    pool: Floats | None
    n_real: int
    fingerprint: Fingerprint

    @classmethod
    def gather(
        cls,
        X: Floats,
        y: Labels,
        fingerprint: Fingerprint,
        synthetic: SyntheticSet | None,
        pool: EmbeddingSet | None,
    ) -> Self:
        """Join the parts; arguments and errors are those of `Classifier.fit`."""
        X = np.ascontiguousarray(X, dtype=np.float32)
        labels = class_names(y)
        if X.ndim != 2 or len(X) != len(labels):
            raise ValueError(f"X (n, d) and y (n,) disagree: {X.shape} and {labels.shape}")
        n_real = len(X)
        for what, part in (("synthetic", synthetic), ("pool", pool)):
            if part is not None and part.dim != X.shape[1]:
                raise ValueError(f"X has {X.shape[1]} columns, {what} rows {part.dim}")
        if synthetic is not None:
            X = np.concatenate([X, synthetic.X])
            labels = np.concatenate([labels, synthetic.label])
            fingerprint = fingerprint | synthetic.fingerprint
        if pool is not None:
            fingerprint = fingerprint | pool.fingerprint
        rows = cls(
            X, labels, pool.X if pool is not None and len(pool) else None, n_real, fingerprint
        )
        rows._check()
        return rows

    def reference(self, *, with_pool: bool) -> Floats:
        """Rows whose mean and deviation standardise: the real ones, or all where there is none."""
        real = self.X[: self.n_real] if self.n_real else self.X
        if not with_pool or self.pool is None:
            return real
        return np.concatenate([real, self.pool])

    def _check(self) -> None:
        for what, X in (("training row", self.X), ("pool row", self.pool)):
            if X is not None:
                check_finite(X, what)
        if (self.labels == "").any():
            row = int(np.flatnonzero(self.labels == "")[0])
            raise InputError(f"training row {row}", "has no label", "put it into the pool")
        if len(np.unique(self.labels)) < 2:
            raise InputError(
                "the training rows",
                "hold fewer than two classes",
                "give cells of another type too",
            )
