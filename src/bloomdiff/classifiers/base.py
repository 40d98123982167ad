"""The `Classifier` contract: fit on real and synthetic rows, judge real cells only.

The base class does what every classifier must do alike (validation, standardisation, class
weights, the leak guard, saving), so that an implementation writes only `_fit` and `_proba` on
standardised rows, and its state as arrays.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from bloomdiff.artifacts import Arrays as Arrays
from bloomdiff.artifacts import read_artifact, write_artifact
from bloomdiff.classifiers.rows import TrainingRows
from bloomdiff.data.embedding_set import EmbeddingSet, Floats, Labels, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.rows import check_finite
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import LeakageError, ParameterError
from bloomdiff.learner import Learner, LearnerParams
from bloomdiff.registry import Registry
from bloomdiff.threads import one_thread
from bloomdiff.validation import validated

Indices = npt.NDArray[np.intp]
Probabilities = npt.NDArray[np.float64]


class ClassifierParams(LearnerParams):
    """Hyper-parameters of a classifier; an unknown key is an error."""


ROUNDING = 1e-6
"""Deviation, as a share of the largest column's, below which a whitened column is constant."""


class Classifier(Learner[ClassifierParams]):
    """Predicts the cell type of an embedding.

    Attributes
    ----------
    fingerprint
        Groups of the real rows, of the pool, and of those that the synthetic rows' generator was
        fitted on; available after `fit`.
    uses_pool
        Whether the classifier learns from cells without labels.
    scales_features
        Whether every feature is brought to unit deviation, or only centred.
    """

    Params: type[ClassifierParams] = ClassifierParams
    uses_pool: ClassVar[bool] = False
    scales_features: ClassVar[bool] = True

    # ----------------------------------------------------------------- what a classifier writes
    @abstractmethod
    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        """Learn from standardised rows.

        Parameters
        ----------
        Z
            float32 `(n, d)`.
        y
            Class indices `(n,)`, each of `0 .. n_classes - 1` present.
        weight
            float32 `(n,)`, mean 1: every class has the same total.
        n_classes
            Number of classes that have rows.
        pool
            Standardised rows without labels, float32 `(m, d)`, or None.
        """

    @abstractmethod
    def _proba(self, Z: Floats) -> Probabilities:
        """Probabilities `(m, n_classes)` of standardised rows `(m, d)`."""

    @staticmethod
    @abstractmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest hyper-parameters from an Optuna trial."""

    # ------------------------------------------------------------------ what everyone does alike
    @one_thread()
    def fit(
        self,
        X: Floats,
        y: Labels,
        *,
        fingerprint: Fingerprint,
        synthetic: SyntheticSet | None = None,
        classes: Sequence[str] | None = None,
        pool: EmbeddingSet | None = None,
        whitening: ViewWhitening | None = None,
    ) -> Self:
        """Learn from real rows, synthetic rows, or both.

        Rows are standardised by the mean and deviation of the real ones (with those of the pool,
        where it is used), so that synthetic rows cannot move the space in which real cells are
        judged; synthetic rows alone standardise themselves. Classes are balanced over the joint
        rows.

        Parameters
        ----------
        X
            Real rows, float32 `(n, d)`; `n` may be 0 where `synthetic` is given.
        y
            Class names `(n,)`, none empty.
        fingerprint
            Groups of the real rows: `EmbeddingSet.fingerprint`.
        synthetic
            Generated rows to add.
        classes
            Every class that `predict_proba` shall have a column for; the classes of the rows
            given where None. Those without a row get probability 0.
        pool
            Real cells whose labels are not looked at. Classifiers that cannot learn from them
            (`uses_pool` is False) pass over the rows; the fingerprint is joined all the same.
        whitening
            Units in which rows are learned from and judged, before they are standardised:
            `ViewWhitening.of` the training cells. Its fingerprint is joined.

        Raises
        ------
        InputError
            Rows that are not finite, without a label, or all of one class.
        ParameterError
            A label that is not among `classes`.
        """
        if whitening is not None:
            fingerprint = fingerprint | whitening.fingerprint
        rows = TrainingRows.gather(X, y, fingerprint, synthetic, pool)
        labels = rows.labels
        names, index = np.unique(labels, return_inverse=True)
        known = names if classes is None else np.unique(np.asarray(classes, str))
        unknown = sorted(set(names.tolist()) - set(known.tolist()))
        if unknown:
            raise ParameterError(
                f"class {unknown[0]!r}", "is not among the classes asked for", "add it to them"
            )
        self._inwards = None if whitening is None else whitening.inwards
        reference = self._whiten(rows.reference(with_pool=self.uses_pool))
        self.classes_, self.fingerprint = known, rows.fingerprint
        self._columns: Indices = np.searchsorted(known, names)
        self._mean: Floats = reference.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = reference.std(axis=0, dtype=np.float64)
        # Where a column is constant, whitening or a generator leaves rounding, not zero. Real rows
        # do not, and may have units of any size.
        exact = whitening is None and len(X) > 0
        least = 0.0 if exact else ROUNDING * scale.max(initial=0.0)
        scaled = (scale > least) & self.scales_features
        self._scale: Floats = np.where(scaled, scale, 1.0).astype(np.float32)
        self._n_synthetic = len(labels) - rows.n_real
        share = len(labels) / (len(names) * np.bincount(index))
        with self._whole():
            self._fit(
                self._standardise(rows.X),
                index.astype(np.intp),
                share[index].astype(np.float32),
                len(names),
                None if rows.pool is None else self._standardise(rows.pool),
            )
        return self

    def predict_proba(self, X: Floats) -> Probabilities:
        """Class probabilities `(m, c)` of rows `(m, d)`, columns as in `classes_`.

        Raises
        ------
        InputError
            A row that is not finite.
        """
        self._check_fitted()
        X = np.ascontiguousarray(X, dtype=np.float32)
        if X.ndim != 2 or X.shape[1] != len(self._mean):
            raise ValueError(f"X must be (m, {len(self._mean)}), however: {X.shape}")
        check_finite(X, "row")
        out = np.zeros((len(X), len(self.classes_)))
        if len(X):
            with one_thread():
                out[:, self._columns] = self._proba(self._standardise(X))
        return out

    def predict(self, X: Floats) -> Labels:
        """The most probable class name of each row, `(m,)`."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_on(self, test: EmbeddingSet) -> Probabilities:
        """`predict_proba` for a score: refuses cells whose groups were fitted on.

        Raises
        ------
        LeakageError
            A group under test was fitted on, or the rows are synthetic.
        """
        self._check_fitted()
        if not isinstance(test, EmbeddingSet):
            raise LeakageError(
                f"classifier {self.name!r}",
                "is about to be judged on rows that are not real cells",
                "pass an EmbeddingSet",
            )
        assert_disjoint(test.group.tolist(), self.fingerprint, what=f"classifier {self.name!r}")
        return self.predict_proba(test.X)

    def save(self, path: str | Path) -> None:
        """Write the folder `path` (safetensors and JSON, no pickles), atomically."""
        self._check_fitted()
        card = {
            "classifier": self.name,
            "layout": self.layout,
            "params": self.params.model_dump(mode="json"),
            "seed": self.seed,
            "classes": self.classes_.tolist(),
            "fingerprint": self.fingerprint.to_dict(),
        }
        state: Arrays = {"mean": self._mean, "scale": self._scale, "columns": self._columns}
        if self._inwards is not None:
            state["inwards"] = self._inwards
        state |= {f"model.{key}": value for key, value in self._state().items()}
        write_artifact(path, "classifier", card, state)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Read a folder written by `save`; a damaged state is an `IntegrityError`."""
        card, state = read_artifact(path, "classifier", cls.name, layout=cls.layout)
        self = cls(
            validated(cls.Params, card["params"], f"{path}: params"),
            seed=card["seed"],
            device=device,
        )
        self.classes_ = np.asarray(card["classes"], dtype=str)
        self.fingerprint = Fingerprint.from_dict(card["fingerprint"], where=str(path))
        self._mean, self._scale = state.pop("mean"), state.pop("scale")
        self._inwards = state.pop("inwards", None)
        self._columns = state.pop("columns")
        self._restore({key.removeprefix("model."): value for key, value in state.items()})
        return self

    def _standardise(self, X: Floats) -> Floats:
        return (self._whiten(X) - self._mean) / self._scale

    def _whiten(self, X: Floats) -> Floats:
        return X if self._inwards is None else X @ self._inwards


CLASSIFIERS: Registry[type[Classifier]] = Registry("classifier")
