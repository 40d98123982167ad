"""`params.yaml` as typed, validated models: a wrong type or an unknown key is one clear line.

Every knob stands in `params.yaml` itself; nothing here supplies a value that the file leaves out,
except inside the blocks whose models belong to a room (folds, duplicates, encoder, phantom).
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bloomdiff.data.duplicates import DuplicateParams
from bloomdiff.data.folds import FoldParams
from bloomdiff.data.phantom import PhantomParams
from bloomdiff.encoders import EncoderParams
from bloomdiff.errors import BloomDiffError, ParameterError, raise_all
from bloomdiff.experiments.objectives import ObjectiveName
from bloomdiff.experiments.ratios import Allocation
from bloomdiff.files import read_yaml
from bloomdiff.imaging.decoder import DecoderParams
from bloomdiff.metrics.costs import CostParams
from bloomdiff.validation import validated


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

    ratios: tuple[float, ...] = Field(min_length=1)
    n_seeds: int = Field(ge=1)
    allocation: Allocation
    calibration_folds: int = Field(ge=0)
    classifiers: dict[str, dict[str, Any]] = Field(min_length=1)


class SimulateParams(Block):
    """Replayed annotation."""

    strategies: dict[str, dict[str, Any]] = Field(min_length=1)
    budgets: tuple[int, ...] = Field(min_length=1)
    n_seeds: int = Field(ge=1)
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

    experiment: str = Field(min_length=1)


class Params(Block):
    """The whole of `params.yaml`."""

    seed: int = Field(ge=0)
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
        """The encoder's name and the `embed` block as one model."""
        return EncoderParams(name=self.encoder, **self.embed)

    @property
    def primary(self) -> str:
        """The classifier of the headline: the first one named."""
        return next(iter(self.sweep.classifiers))

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
    _check_registered(path, params)
    return params


def _check_registered(path: str | Path, params: Params) -> None:
    """Ask the rooms themselves about the blocks that are theirs, before any stage begins."""
    from bloomdiff.classifiers import make_classifier
    from bloomdiff.encoders import ENCODERS
    from bloomdiff.generators import make_generator
    from bloomdiff.selection import make_strategy

    validated(EncoderParams, {"name": params.encoder, **params.embed}, f"{path}: embed")
    problems: list[BloomDiffError] = []
    for key, value, known in (
        ("generator", params.report.generator, list(params.generators)),
        ("ratio", params.report.ratio, list(params.sweep.ratios)),
    ):
        if value not in known:
            mend = f"name one of: {', '.join(map(str, known))}"
            problems.append(ParameterError(f"{path}: report.{key}", f"{value} is not run", mend))
    try:
        head, colon, _ = params.encoder.partition(":")
        ENCODERS[head + colon]
    except ParameterError as error:
        where = f"{path}: encoder {params.encoder!r}"
        problems.append(ParameterError(where, error.problem, error.mend))
    for block, make, entries in (
        ("generators", partial(make_generator, seed=0), params.generators),
        ("sweep.classifiers", make_classifier, params.sweep.classifiers),
        ("simulate.classifier", make_classifier, {params.judge: {}}),
        ("simulate.strategies", make_strategy, params.simulate.strategies),
    ):
        for name, values in entries.items():
            try:
                make(name, values)
            except ParameterError as error:
                where = f"{path}: {block}.{name}"
                problems.append(
                    ParameterError(where, f"{error.where}: {error.problem}", error.mend)
                )
    raise_all(problems)
