"""Our generator: class-conditional diffusion of embeddings about their class means."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.vocabulary import lineage
from bloomdiff.diffusion.centres import parent_indices
from bloomdiff.diffusion.config import (
    DiffusionConfig,
    Filter,
    Guide,
    Objective,
    Prediction,
    Sampler,
)
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams
from bloomdiff.resumable import checkpoint_path, progress_bar, read_checkpoint, write_checkpoint

_DEFAULT = DiffusionConfig()


class DiffusionParams(GeneratorParams):
    """Hyper-parameters of the diffusion generator; `DiffusionConfig` describes them."""

    n_components: int | None = Field(default=_DEFAULT.n_components, ge=1)
    shrinkage: float | None = Field(default=_DEFAULT.shrinkage, ge=0, le=1)
    width: int = Field(default=_DEFAULT.width, ge=8)
    depth: int = Field(default=_DEFAULT.depth, ge=1)
    balance: float = Field(default=_DEFAULT.balance, ge=0, le=1)
    n_steps: int = Field(default=_DEFAULT.n_steps, ge=0)
    batch_size: int = Field(default=_DEFAULT.batch_size, ge=1)
    learning_rate: float = Field(default=_DEFAULT.learning_rate, gt=0)
    weight_decay: float = Field(default=_DEFAULT.weight_decay, ge=0)
    ema_decay: float = Field(default=_DEFAULT.ema_decay, ge=0, lt=1)
    label_dropout: float = Field(default=_DEFAULT.label_dropout, ge=0, lt=1)
    log_sigma_mean: float = _DEFAULT.log_sigma_mean
    log_sigma_std: float = Field(default=_DEFAULT.log_sigma_std, gt=0)
    sigma_min: float = Field(default=_DEFAULT.sigma_min, gt=0)
    sigma_max: float | None = Field(default=_DEFAULT.sigma_max, gt=0)
    objective: Objective = _DEFAULT.objective
    prediction: Prediction = _DEFAULT.prediction
    sampler: Sampler = _DEFAULT.sampler
    sampling_steps: int = Field(default=_DEFAULT.sampling_steps, ge=2)
    guidance: float = Field(default=_DEFAULT.guidance, ge=0)
    guide: Guide = _DEFAULT.guide
    guide_steps: int = Field(default=_DEFAULT.guide_steps, ge=1)
    guidance_interval: tuple[float, float] | None = _DEFAULT.guidance_interval
    filter: Filter = _DEFAULT.filter
    feedback: float = Field(default=_DEFAULT.feedback, ge=0)
    nuisance_scale: float = Field(default=_DEFAULT.nuisance_scale, gt=0)
    pool_trust: float = Field(default=_DEFAULT.pool_trust, ge=0, le=1)
    pool_rounds: int = Field(default=_DEFAULT.pool_rounds, ge=1)
    pool_shares: float = Field(default=_DEFAULT.pool_shares, ge=0, le=1)
    parents: Literal["lineage"] | dict[str, str] | None = Field(
        default=None,
        description="parent of each class, or the vocabulary's lineages; classes of one parent lend"
        " their centres to one another as far as they are seen to lie together",
    )

    @field_validator("guidance_interval")
    @classmethod
    def _rising(cls, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        if interval is not None and not 0 <= interval[0] < interval[1]:
            raise ValueError("two noise levels are wanted, the lower first and not below zero")
        return interval


@GENERATORS.register("diffusion")
class DiffusionGenerator(Generator):
    """Diffusion on whitened residuals about the class means (`ClassDiffusion`)."""

    name = "diffusion"
    layout = 2  # the second has the offset of a pool from elsewhere
    Params = DiffusionParams
    params: DiffusionParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest what matters most.

        The nuisance scale ends where samples are still near the data: at 1.5 their Fréchet
        distance is four times that at 1, at 2 twelve times (`docs/generators.md`), and a study of
        a classifier's score alone would take it for the sake of its regularising.
        """
        return {
            "n_components": trial.suggest_categorical("n_components", [8, 16, 32]),
            "weight_decay": trial.suggest_float("weight_decay", 0.1, 10.0, log=True),
            "guidance": trial.suggest_float("guidance", 0.0, 2.0),
            "nuisance_scale": trial.suggest_float("nuisance_scale", 1.0, 1.25),
            "pool_trust": trial.suggest_float("pool_trust", 0.05, 1.0, log=True),
        }

    @property
    def guidance(self) -> float:
        """Guidance scale of the samples."""
        return self.params.guidance

    def _model(self) -> ClassDiffusion:
        values = self.params.model_dump(exclude={"parents"})
        return ClassDiffusion(DiffusionConfig(**values), device=self.device)

    def _parents(self) -> npt.NDArray[np.intp] | None:
        wanted = self.params.parents
        if wanted is None:
            return None
        classes = self.classes_.tolist()
        if wanted == "lineage":
            named = {name: lineage(name) for name in classes}
            return parent_indices(classes, {k: v for k, v in named.items() if v != "none"})
        unknown = sorted(set(wanted) - set(classes))
        if unknown:
            raise ParameterError(
                f"parents: class {unknown[0]!r}",
                "is not among the training rows' labels",
                f"name any of: {', '.join(classes)}",
            )
        return parent_indices(classes, wanted)

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        checkpoint = self._checkpoint_path(X, y, X_unlabelled)
        with progress_bar("diffusion", self.params.n_steps) as progress:
            self._diffusion = self._model().fit(
                X,
                y,
                seed=self.seed,
                pool=X_unlabelled,
                parents=self._parents(),
                resume=read_checkpoint(checkpoint),
                save=None if checkpoint is None else partial(write_checkpoint, checkpoint),
                progress=progress,
            )
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)

    def _checkpoint_path(
        self, X: Floats, y: npt.NDArray[np.intp], pool: Floats | None
    ) -> Path | None:
        told = f"{self.params.model_dump_json()}{self.seed} {X.shape}"
        arrays = (X, y) if pool is None else (X, y, pool)
        return checkpoint_path(self.checkpoint_dir, "diffusion", told, *arrays)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        return self._diffusion.sample(index, n, rng)

    def _state(self) -> Arrays:
        return self._diffusion.state()

    def _restore(self, state: Arrays) -> None:
        self._diffusion = self._model().restore(state)
