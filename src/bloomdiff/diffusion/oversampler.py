"""The model as an imbalanced-learn sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from bloomdiff.columns import check_numbers
from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.estimator import PARAMETERS, EmbeddingDiffusion
from bloomdiff.diffusion.units import Units
from bloomdiff.diffusion.whitening import Doubles

_DEFAULT = DiffusionConfig()
_FORWARDED = (*PARAMETERS, "config", "parents")


class DiffusionOverSampler(BaseOverSampler):  # type: ignore[misc]
    """Fills up the classes with rows from `EmbeddingDiffusion`.

    The columns are taken to be in one unit, as those of an embedding are: where some are hundreds
    of times larger than others, put a `StandardScaler` in front.

    Parameters
    ----------
    sampling_strategy
        As everywhere in imbalanced-learn.
    n_components, shrinkage, n_steps, guidance, nuisance_scale, pool_trust, config, parents
        As in `EmbeddingDiffusion`.
    random_state
        Seed of fit and samples.
    device
        "cpu", "cuda" or "auto".

    Attributes
    ----------
    generator_
        The fitted `EmbeddingDiffusion`; it saw all rows given, those without labels as well where
        `fit_resample(X, y, X_unlabelled=pool)` was given some, and nothing else. It saw them in
        `units_`, and so are its own samples.
    units_
        The `Units` of the rows: single precision has seven digits, of which a mean far from zero
        would take all. `units_.outwards(generator_.sample(y))` are rows like those given.
    synthetic_
        True for the rows of the result that were generated, bool `(n,)`; they follow the real
        rows, which stay as and where they were.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        **dict.fromkeys(_FORWARDED, "no_validation"),
        "random_state": ["random_state"],
        "device": [str],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        n_components: int | None = _DEFAULT.n_components,
        shrinkage: float | None = _DEFAULT.shrinkage,
        n_steps: int = _DEFAULT.n_steps,
        guidance: float = _DEFAULT.guidance,
        nuisance_scale: float = _DEFAULT.nuisance_scale,
        pool_trust: float = _DEFAULT.pool_trust,
        config: DiffusionConfig | None = None,
        parents: Mapping[Any, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.n_steps = n_steps
        self.guidance = guidance
        self.nuisance_scale = nuisance_scale
        self.pool_trust = pool_trust
        self.config = config
        self.parents = parents
        self.random_state = random_state
        self.device = device

    def fit_resample(
        self, X: Any, y: Any, *, X_unlabelled: Any = None, **params: Any
    ) -> tuple[Any, Any]:
        """Fill up the classes; a frame's columns keep their types, as those of an array do.

        Parameters
        ----------
        X, y
            Rows `(n, d)` and their classes `(n,)`.
        X_unlabelled
            Rows without labels `(m, d)`, of the same columns.
        **params
            None are known.

        Returns
        -------
        The given rows and the synthetic ones behind them, and their classes. Whole numbers are
        rounded; all numbers stay in their type's range.

        Raises
        ------
        ValueError, ParameterError
            As `EmbeddingDiffusion.fit`.
        InputError
            A frame's column of something else than numbers.
        """
        check_numbers(X, X_unlabelled)
        if X_unlabelled is not None:
            params = {**params, "X_unlabelled": X_unlabelled}
        # A frame of several types comes to `_fit_resample` as one array.
        self._dtypes = list(X.dtypes) if hasattr(X, "columns") else None
        try:
            return super().fit_resample(X, y, **params)
        finally:
            del self._dtypes

    def _fit_resample(self, X: Any, y: Any, X_unlabelled: Any = None) -> tuple[Any, Any]:
        random = check_random_state(self.random_state)
        if X_unlabelled is not None:  # imbalanced-learn compares the columns of X alone
            X_unlabelled = validate_data(
                self,
                X_unlabelled,
                reset=False,
                accept_sparse=["csr", "csc"],
                ensure_min_samples=0,
            )
        self.units_ = Units.of(_dense(X))
        self.generator_ = EmbeddingDiffusion(
            **{name: getattr(self, name) for name in _FORWARDED},
            random_state=random,
            device=self.device,
        ).fit(
            self.units_.inwards(_dense(X)),
            y,
            None if X_unlabelled is None else self.units_.inwards(_dense(X_unlabelled)),
        )
        wanted = np.repeat(
            np.asarray(list(self.sampling_strategy_), dtype=y.dtype),
            list(self.sampling_strategy_.values()),
        )
        rows = self.units_.outwards(self.generator_.sample(wanted, random_state=random))
        for at, kind in enumerate(self._dtypes or [X.dtype] * X.shape[1]):
            rows[:, at] = _of_kind(rows[:, at], _plain(kind))
        rows = rows.astype(X.dtype)
        self.synthetic_ = np.repeat([False, True], [len(y), len(wanted)])
        if sparse.issparse(X):
            X_new = sparse.vstack([X, type(X)(rows)], format=X.format)
        else:
            X_new = np.concatenate([X, rows])
        return X_new, np.concatenate([y, wanted])


def _plain(kind: Any) -> np.dtype[Any]:
    """NumPy's type of a column: pandas has types of its own, with missing values, or sparse."""
    return np.dtype(getattr(kind, "numpy_dtype", getattr(kind, "subtype", kind)))


def _of_kind(column: Doubles, kind: np.dtype[Any]) -> Doubles:
    """Values that a column's type can hold."""
    if kind.kind == "b":
        return (column >= 0.5).astype(np.float64)
    if kind.kind == "f":
        most = float(np.finfo(kind).max)
        return np.clip(column, -most, most)
    if kind.kind not in "iu":
        return column
    info = np.iinfo(kind)
    # The largest number of 64 bits is none of a float's: the next one below it is.
    high = float(info.max) if kind.itemsize < 8 else np.nextafter(float(info.max), 0)
    # Cutting off what follows the point would lower every mean by half.
    return np.clip(np.rint(column), float(info.min), high)


def _dense(X: Any) -> Any:
    """Rows as an array: names of columns have been compared by then, and are gone."""
    return X.toarray() if sparse.issparse(X) else np.asarray(X)
