"""The `Generator` contract: fit on real rows, sample rows of exactly the classes asked for.

The base class does what every generator must do alike (validation, provenance, saving), so that
an implementation writes only `_fit` and `_sample_class`, and its state as arrays.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from bloomdiff.artifacts import Arrays as Arrays
from bloomdiff.artifacts import read_artifact, write_artifact
from bloomdiff.data.embedding_set import EmbeddingSet, Floats, Labels, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.rows import check_finite, class_names
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.learner import Learner, LearnerParams
from bloomdiff.registry import Registry
from bloomdiff.threads import one_thread
from bloomdiff.validation import validated

if TYPE_CHECKING:
    from bloomdiff.generators.cell_images import CellImages


class GeneratorParams(LearnerParams):
    """Hyper-parameters of a generator; an unknown key is an error."""


class Generator(Learner[GeneratorParams]):
    """Learns the class-conditional distribution of embeddings and samples from it.

    Attributes
    ----------
    fingerprint
        Groups of the rows that were fitted on, available after `fit`.
    checkpoint_dir
        Folder in which a generator whose `fit` takes long keeps a checkpoint of a training under
        way, and from which it continues, bit-identically, one that was cut short on the same rows
        with the same parameters and seed. None, the default, keeps none.
    images
        Images of the cells and the encoder that embeds the samples, for a generator that
        `needs_images`: set before `fit`, and before `sample` where it was loaded.
    whitens
        Whether rows are learned from in the units of the cells' views, where these are given.
    """

    Params: type[GeneratorParams] = GeneratorParams
    needs_images: ClassVar[bool] = False
    whitens: ClassVar[bool] = True
    checkpoint_dir: Path | None = None
    images: CellImages | None = None

    # ------------------------------------------------------------------ what a generator writes
    @abstractmethod
    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        """Learn from `X` float32 `(n, d)` with class indices `y` `(n,)`."""

    @abstractmethod
    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        """Draw `n` rows of class `index`, float32 `(n, d)`.

        Row k must be the same whatever `n` is, so that a larger ratio extends a smaller one:
        draw from `rng` row by row, or in one array whose leading axis is the row.
        """

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest hyper-parameters from an Optuna trial; empty where there is nothing to tune."""
        return {}

    @property
    def guidance(self) -> float:
        """Guidance scale of the samples; NaN where the notion does not apply."""
        return float("nan")

    # ------------------------------------------------------------------ what everyone does alike
    def fit(
        self,
        X: Floats,
        y: Labels,
        *,
        fingerprint: Fingerprint,
        X_unlabelled: Floats | None = None,
        cell_id: Labels | None = None,
        whitening: ViewWhitening | None = None,
    ) -> Self:
        """Learn from labelled rows, and from unlabelled ones where the generator can.

        Parameters
        ----------
        X
            float32 `(n, d)`, finite.
        y
            Class names `(n,)`, none empty.
        fingerprint
            Groups of all rows given, labelled or not: `EmbeddingSet.fingerprint`.
        X_unlabelled
            float32 `(m, d)`, or None.
        cell_id
            Names of the rows `(n,)`, by which a generator of images finds theirs.
        whitening
            Units in which rows are learned from, where the generator `whitens`; samples are
            embeddings as before. Its fingerprint is joined.

        Raises
        ------
        InputError
            Rows that are not finite, or unlabelled rows among `y`.
        ParameterError
            The generator needs images and was given none, or no names.
        """
        # Copies: some keep their rows, which the caller may go on to change.
        X = np.array(X, dtype=np.float32, order="C")
        labels = class_names(y)
        if X.ndim != 2 or len(X) != len(labels) or len(X) == 0:
            raise ValueError(f"X (n, d) and y (n,) disagree: {X.shape} and {labels.shape}")
        check_finite(X, "training row")
        if (labels == "").any():
            row = int(np.flatnonzero(labels == "")[0])
            raise InputError(f"training row {row}", "has no label", "pass it as X_unlabelled")
        if X_unlabelled is not None:
            X_unlabelled = np.array(X_unlabelled, dtype=np.float32, order="C")
            if X_unlabelled.ndim != 2 or X_unlabelled.shape[1] != X.shape[1]:
                raise ValueError(
                    f"X (n, d) and X_unlabelled (m, d) disagree: {X.shape}, {X_unlabelled.shape}"
                )
            if not np.isfinite(X_unlabelled).all():
                raise InputError("the unlabelled pool", "is not finite", "embed it again")
        self.classes_, index = np.unique(labels, return_inverse=True)
        self.fingerprint = fingerprint
        self.dim_ = int(X.shape[1])
        self._cell_id = cell_id
        with self._whole(), self._threads():
            self._fit_whitened(X, index.astype(np.intp), X_unlabelled, whitening)
        return self

    def _threads(self) -> AbstractContextManager[None]:
        """One thread, on whose number last bits depend, and with few rows whole eigenvectors.

        A network that draws images takes all that there are: it would train for hours on one.
        """
        return nullcontext() if self.needs_images else one_thread()

    def _fit_whitened(
        self,
        X: Floats,
        y: npt.NDArray[np.intp],
        X_unlabelled: Floats | None,
        whitening: ViewWhitening | None,
    ) -> None:
        """`_fit` in the units of the cells' views, where there are any."""
        self._outwards: Floats | None = None
        if whitening is not None and self.whitens:
            self.fingerprint = self.fingerprint | whitening.fingerprint
            self._outwards = whitening.outwards
            X = whitening.transform(X)
            if X_unlabelled is not None:
                X_unlabelled = whitening.transform(X_unlabelled)
        self._fit(X, y, X_unlabelled)

    def fit_cells(self, train: EmbeddingSet, pool: EmbeddingSet) -> Self:
        """`fit` on labelled cells and on a pool, which may be empty."""
        return self.fit(
            train.X,
            train.label,
            fingerprint=train.fingerprint | pool.fingerprint,
            X_unlabelled=pool.X if len(pool) else None,
            cell_id=train.cell_id,
            whitening=ViewWhitening.of(train, pool),
        )

    def sample(self, y: Labels, *, seed: int) -> Floats:
        """Draw one row per entry of `y`, float32 `(n, d)`.

        The k-th row of a class under a seed is always the same row, however many rows are asked
        for and in whatever order the classes come.

        Raises
        ------
        ParameterError
            A class that was not among the training labels, or one name in place of a list.
        """
        self._check_fitted()
        labels = np.asarray(y, dtype=str)
        if labels.ndim != 1:
            raise ParameterError(
                "y", "is no list of classes", f"give one a row: [{str(self.classes_[0])!r}] * 50"
            )
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise ParameterError(
                f"class {unknown[0]!r}",
                f"was not in the training rows of generator {self.name!r}",
                f"ask for one of: {', '.join(self.classes_)}",
            )
        out = np.empty((len(labels), self.dim_), dtype=np.float32)
        with self._threads():
            for index, name in enumerate(self.classes_):
                rows = np.flatnonzero(labels == name)
                if len(rows):
                    rng = np.random.default_rng([seed, index])
                    out[rows] = self._sample_class(index, len(rows), rng)
            if self._outwards is None:
                return out
            # In float32 the last bits of a row would depend on how many rows there are.
            return np.matmul(out, self._outwards, dtype=np.float64).astype(np.float32)

    def synthesize(self, y: Labels, *, seed: int) -> SyntheticSet:
        """`sample`, bundled with the provenance of every row."""
        labels = np.asarray(y, dtype=str)
        return SyntheticSet.make(
            self.sample(labels, seed=seed),
            labels,
            generator=self.name,
            seed=seed,
            guidance=self.guidance,
            fingerprint=self.fingerprint,
        )

    def save(self, path: str | Path) -> None:
        """Write the folder `path` (safetensors and JSON, no pickles), atomically."""
        self._check_fitted()
        card = {
            "generator": self.name,
            "layout": self.layout,
            "params": self.params.model_dump(mode="json"),
            "seed": self.seed,
            "classes": self.classes_.tolist(),
            "dim": self.dim_,
            "fingerprint": self.fingerprint.to_dict(),
        }
        state = self._state()
        if self._outwards is not None:
            state = state | {"outwards": self._outwards}
        write_artifact(path, "generator", card, state)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Read a folder written by `save`; a damaged state is an `IntegrityError`."""
        card, state = read_artifact(path, "generator", cls.name, layout=cls.layout)
        self = cls(
            validated(cls.Params, card["params"], f"{path}: params"),
            seed=card["seed"],
            device=device,
        )
        self.classes_ = np.asarray(card["classes"], dtype=str)
        self.dim_ = int(card["dim"])
        self.fingerprint = Fingerprint.from_dict(card["fingerprint"], where=str(path))
        self._outwards = state.pop("outwards", None)
        with self._threads():
            self._restore(state)
        return self


GENERATORS: Registry[type[Generator]] = Registry("generator")
