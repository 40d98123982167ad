"""The inner folds of an outer training part, each in the units of its own views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.partition import unseen_pool
from bloomdiff.data.view_whitening import ViewWhitening


@dataclass(frozen=True)
class InnerFold:
    """One division of an outer training part.

    Attributes
    ----------
    train, held_out
        Labelled cells to learn from, and to validate on.
    pool
        Cells without a label, none of which shares a group with `held_out`.
    whitening
        Units learned from the views of `train` and `pool`; None where they have no views.
    """

    train: EmbeddingSet
    held_out: EmbeddingSet
    pool: EmbeddingSet
    whitening: ViewWhitening | None


class InnerFolds:
    """The inner folds, gone through as often as there are trials.

    The units of a fold are learned once. Its cells are taken anew each time: all folds at once
    would be several times the training part in memory.

    Parameters
    ----------
    train, pool
        The outer training part, and cells without a label that may help.
    n_splits, seed
        As for `bloomdiff.data.folds.inner_folds`; there are none where too few groups can be held
        out.
    """

    def __init__(
        self, train: EmbeddingSet, pool: EmbeddingSet, *, n_splits: int, seed: int
    ) -> None:
        self._train, self._pool = train, pool
        self._folds = inner_folds(train, n_splits, seed)
        self._units: dict[int, ViewWhitening | None] = {}

    def __len__(self) -> int:
        return len(self._folds)

    def __iter__(self) -> Iterator[InnerFold]:
        for step, (fit, validate) in enumerate(self._folds):
            inner, held_out = self._train.take(fit), self._train.take(validate)
            unseen = unseen_pool(self._pool, held_out)
            if step not in self._units:
                self._units[step] = ViewWhitening.of(inner, unseen)
            yield InnerFold(inner, held_out, unseen, self._units[step])
