"""The model as an imbalanced-learn sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.utils import check_random_state

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.estimator import PARAMETERS, EmbeddingDiffusion

_DEFAULT = DiffusionConfig()
_FORWARDED = (*PARAMETERS, "config", "parents")


class DiffusionOverSampler(BaseOverSampler):  # type: ignore[misc]
    """Fills up the classes with rows from `EmbeddingDiffusion`.

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
        `fit_resample(X, y, X_unlabelled=pool)` was given some, and nothing else.
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
        parents: Mapping[Any, str] | None = None,
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

    def _fit_resample(self, X: Any, y: Any, X_unlabelled: Any = None) -> tuple[Any, Any]:
        random = check_random_state(self.random_state)
        self.generator_ = EmbeddingDiffusion(
            **{name: getattr(self, name) for name in _FORWARDED},
            random_state=random,
            device=self.device,
        ).fit(_dense(X), y, None if X_unlabelled is None else _dense(X_unlabelled))
        wanted = np.repeat(
            np.asarray(list(self.sampling_strategy_), dtype=y.dtype),
            list(self.sampling_strategy_.values()),
        )
        rows = self.generator_.sample(wanted, random_state=random)
        # Cutting off what follows the point would lower every mean by half.
        rows = (np.rint(rows) if np.issubdtype(X.dtype, np.integer) else rows).astype(X.dtype)
        self.synthetic_ = np.repeat([False, True], [len(y), len(wanted)])
        if sparse.issparse(X):
            X_new = sparse.vstack([X, type(X)(rows)], format=X.format)
        else:
            X_new = np.concatenate([X, rows])
        return X_new, np.concatenate([y, wanted])


def _dense(X: Any) -> Any:
    """Rows as an array: names of columns have been compared by then, and are gone."""
    return X.toarray() if sparse.issparse(X) else np.asarray(X)
