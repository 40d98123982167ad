"""Our generator: class-conditional diffusion of embeddings about their class means."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator

from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.vocabulary import lineage
from bloomdiff.diffusion.centres import parent_indices
from bloomdiff.diffusion.config import (
    INTERVAL,
    RANGES,
    DiffusionConfig,
    Filter,
    Guide,
    Objective,
    Prediction,
    Sampler,
    is_interval,
    out_of_range,
)
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams
from bloomdiff.resumable import checkpoint_path, progress_bar, read_checkpoint, write_checkpoint
from bloomdiff.torch_state import learning

_DEFAULT = DiffusionConfig()


class DiffusionParams(GeneratorParams):
    """Hyper-parameters of the diffusion generator; `DiffusionConfig` describes them."""

    n_components: int | None = _DEFAULT.n_components
    shrinkage: float | None = _DEFAULT.shrinkage
    width: int = _DEFAULT.width
    depth: int = _DEFAULT.depth
    balance: float = _DEFAULT.balance
    n_steps: int = _DEFAULT.n_steps
    batch_size: int = _DEFAULT.batch_size
    learning_rate: float = _DEFAULT.learning_rate
    weight_decay: float = _DEFAULT.weight_decay
    ema_decay: float = _DEFAULT.ema_decay
    label_dropout: float = _DEFAULT.label_dropout
    log_sigma_mean: float = _DEFAULT.log_sigma_mean
    log_sigma_std: float = _DEFAULT.log_sigma_std
    sigma_min: float = _DEFAULT.sigma_min
    sigma_max: float | None = _DEFAULT.sigma_max
    objective: Objective = _DEFAULT.objective
    prediction: Prediction = _DEFAULT.prediction
    sampler: Sampler = _DEFAULT.sampler
    sampling_steps: int = _DEFAULT.sampling_steps
    guidance: float = _DEFAULT.guidance
    guide: Guide = _DEFAULT.guide
    guide_steps: int = _DEFAULT.guide_steps
    guidance_interval: tuple[float, float] | None = _DEFAULT.guidance_interval
    filter: Filter = _DEFAULT.filter
    feedback: float = _DEFAULT.feedback
    nuisance_scale: float = _DEFAULT.nuisance_scale
    pool_trust: float = _DEFAULT.pool_trust
    pool_rounds: int = _DEFAULT.pool_rounds
    pool_shares: float = _DEFAULT.pool_shares
    parents: Literal["lineage"] | dict[str, str] | None = Field(
        default=None,
        description="parent of each class, or the vocabulary's lineages; classes of one parent lend"
        " their centres to one another as far as they are seen to lie together",
    )

    @field_validator(*RANGES)
    @classmethod
    def _in_range(cls, value: float | None, info: ValidationInfo) -> float | None:
        if wanted := out_of_range(info.field_name or "", value):
            raise ValueError(f"{wanted} is wanted")
        return value

    @field_validator("guidance_interval")
    @classmethod
    def _rising(cls, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        if interval is not None and not is_interval(interval):
            raise ValueError(f"{INTERVAL}, are wanted")
        return interval

    @field_validator("sigma_max")
    @classmethod
    def _above(cls, sigma_max: float | None, info: ValidationInfo) -> float | None:
        if sigma_max is not None and sigma_max <= info.data.get("sigma_min", 0):
            raise ValueError("more than sigma_min is wanted")
        return sigma_max

    def config(self) -> DiffusionConfig:
        """The model's own hyper-parameters."""
        return DiffusionConfig(**self.model_dump(exclude={"parents"}))


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
        return ClassDiffusion(self.params.config(), device=self.device)

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

    @learning()  # the checkpoint's tensors too
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
        parents = self._parents()  # by class names, which the rows do not tell
        related = [] if parents is None else parents.tolist()
        told = f"{self.params.model_dump_json()}{related}{self.seed} {X.shape}"
        arrays = (X, y) if pool is None else (X, y, pool)
        return checkpoint_path(self.checkpoint_dir, "diffusion", told, *arrays)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        return self._diffusion.sample(index, n, rng)

    def _state(self) -> Arrays:
        return self._diffusion.state()

    def _restore(self, state: Arrays) -> None:
        self._diffusion = self._model().restore(state)
