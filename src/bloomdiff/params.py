"""`params.yaml` as typed, validated models: a wrong type or an unknown key is one clear line.

Every knob stands in `params.yaml` itself; nothing here supplies a value that the file leaves out,
except inside the blocks whose models belong to a room (folds, duplicates, encoder, phantom).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bloomdiff.data.duplicates import DuplicateParams
from bloomdiff.data.folds import FoldParams
from bloomdiff.data.phantom import PhantomParams
from bloomdiff.encoders import EncoderParams
from bloomdiff.errors import ParameterError
from bloomdiff.experiments.objectives import ObjectiveName
from bloomdiff.experiments.ratios import Allocation, ratio_name
from bloomdiff.files import read_yaml
from bloomdiff.imaging.decoder import DecoderParams
from bloomdiff.metrics.costs import CostParams
from bloomdiff.params_check import check_names
from bloomdiff.validation import validated

# Libraries take seeds below 2**32; from these bounds, nothing that counts up from one reaches it.
BaseSeed = Annotated[int, Field(ge=0, lt=2**31)]
SeedCount = Annotated[int, Field(ge=1, le=2**20)]


class Block(BaseModel):
    """A block of parameters: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PrepareParams(Block):
    """Duplicate families and outer folds."""

    duplicates: DuplicateParams
    folds: FoldParams


class TuneParams(Block):
    """An Optuna study for each method in each outer fold."""

    enabled: bool
    n_trials: int = Field(ge=1)
    inner_folds: int = Field(ge=2)
    storage: str | None


class TuneGeneratorParams(TuneParams):
    """The generators' studies: usefulness at one ratio on the inner folds."""

    ratio: float = Field(gt=0, allow_inf_nan=False)
    objectives: tuple[ObjectiveName, ...] = Field(min_length=1)
    max_frechet: float | None = Field(gt=0)

    @field_validator("objectives")
    @classmethod
    def _macro_f1_decides(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value[0] != "macro_f1" or len(set(value)) < len(value):
            raise ValueError("macro_f1 comes first, since it decides, and each name comes once")
        return value


class EvaluateParams(Block):
    """The synthetic set's own metrics."""

    k: int = Field(ge=1)
    n_bootstrap: int = Field(ge=0)


class SweepParams(Block):
    """The ratio sweep."""

    ratios: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    n_seeds: SeedCount
    allocation: Allocation
    calibration_folds: int = Field(ge=0)
    primary: str
    classifiers: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("ratios")
    @classmethod
    def _have_names(cls, value: Sequence[float]) -> tuple[float, ...]:
        """Tables know a ratio by its name alone, and read it back from there."""
        if any(float(ratio_name(ratio)) != ratio for ratio in value):
            raise ValueError("a ratio has at most six digits")
        if len(set(value)) < len(value):
            raise ValueError("each ratio comes once")
        return tuple(ratio + 0.0 for ratio in value)  # else -0.0 would be called `-0`

    @field_validator("calibration_folds")
    @classmethod
    def _hold_cells_out(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold holds nothing out: set 2 or more, or 0 for no calibration")
        return value


class SimulateParams(Block):
    """Replayed annotation."""

    strategies: dict[str, dict[str, Any]] = Field(min_length=1)
    budgets: tuple[int, ...] = Field(min_length=1)
    n_seeds: SeedCount
    n_splits: int = Field(ge=2)
    classifier: str | None

    @model_validator(mode="after")
    def _is_comparable(self) -> Self:
        if "random" not in self.strategies:
            raise ValueError("strategies must name random: the others are compared with it")
        if self.budgets[0] < 1 or list(self.budgets) != sorted(set(self.budgets)):
            raise ValueError("budgets must rise from at least 1")
        return self


class RenderParams(DecoderParams):
    """Images of synthetic cells."""

    enabled: bool
    n_cells: int = Field(ge=1)


class ReportParams(Block):
    """What the report states."""

    confidence: float = Field(gt=0, lt=1)
    generator: str
    ratio: float = Field(gt=0)
    slide_cells: int = Field(ge=1)
    costs: CostParams


class ServingParams(Block):
    """The model that is registered."""

    coverage: float = Field(gt=0, le=1)


class TrackingParams(Block):
    """Where the runs are told."""

    experiment: str

    @field_validator("experiment")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        """The registered model has it too, whose names are stricter and are asked for in quotes."""
        if not value.strip() or not value.isprintable() or set(value) & set("/:\\\"'`"):
            raise ValueError("name it without slashes, colons and quotes, and not by blanks alone")
        return value


class Params(Block):
    """The whole of `params.yaml`."""

    seed: BaseSeed
    device: Literal["auto", "cpu", "cuda"]
    jobs: int = Field(ge=1)
    protocol: Literal["honest", "cytodiff-2025"]
    phantom: PhantomParams
    prepare: PrepareParams
    encoder: str
    embed: dict[str, Any]
    generators: dict[str, dict[str, Any]] = Field(min_length=1)
    tune_generator: TuneGeneratorParams
    sweep: SweepParams
    evaluate: EvaluateParams
    tune_classifier: TuneParams
    simulate: SimulateParams
    render: RenderParams
    report: ReportParams
    serving: ServingParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _can_be_leaked_to(self) -> Self:
        if self.protocol == "honest":
            return self
        folds = self.prepare.folds
        if folds.shots_per_class is not None or folds.imbalance_factor is not None:
            raise ValueError(
                f"protocol {self.protocol} divides all labelled cells: set "
                "prepare.folds.shots_per_class and imbalance_factor to null"
            )
        if not math.isfinite(self.report.ratio):
            raise ValueError(f"protocol {self.protocol} mixes: report.ratio must be finite")
        return self

    @property
    def encoder_params(self) -> EncoderParams:
        """The encoder's name and the `embed` block as one model, paths as they are written."""
        return EncoderParams(name=self.encoder, **self.embed)

    @property
    def primary(self) -> str:
        """The classifier of the headline."""
        return self.sweep.primary

    @property
    def judge(self) -> str:
        """The classifier that is scored in replayed annotation."""
        return self.simulate.classifier or self.primary

    @property
    def judge_params(self) -> dict[str, Any]:
        """Its hyper-parameters: those that the sweep gives it, if it is part of the sweep."""
        return dict(self.sweep.classifiers.get(self.judge, {}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the synthetic draws and of the classifiers."""
        return tuple(range(self.seed, self.seed + self.sweep.n_seeds))


def load_params(path: str | Path) -> Params:
    """Read and validate `params.yaml`.

    Raises
    ------
    ParameterError
        A key that is unknown or missing, or a value of the wrong type; each names file and key.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ParameterError(str(path), "is not a mapping of parameters", "restore it from git")
    params = validated(Params, content, str(path))
    check_names(path, params)
    return params
