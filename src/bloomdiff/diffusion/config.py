"""Hyper-parameters of the diffusion model."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

Objective = Literal["edm", "rectified-flow"]
Prediction = Literal["preconditioned", "data", "noise"]
Sampler = Literal["dpm-solver++", "heun"]
Guide = Literal["unconditional", "early"]
Filter = Literal["none", "logistic", "prior"]
Divergence = Literal["auto", "exact", "hutchinson"]
_CHOICES = {
    "objective": Objective,
    "prediction": Prediction,
    "sampler": Sampler,
    "guide": Guide,
    "filter": Filter,
}
RANGES: dict[str, dict[str, float]] = {
    "n_components": {"ge": 1},
    "shrinkage": {"ge": 0, "le": 1},
    "width": {"ge": 8},
    "depth": {"ge": 1},
    "balance": {"ge": 0, "le": 1},
    "n_steps": {"ge": 0},
    "batch_size": {"ge": 1},
    "learning_rate": {"gt": 0},
    "weight_decay": {"ge": 0},
    "ema_decay": {"ge": 0, "lt": 1},
    "label_dropout": {"ge": 0, "lt": 1},
    "log_sigma_std": {"gt": 0},
    "sigma_min": {"gt": 0},
    "sigma_max": {"gt": 0},
    "sampling_steps": {"ge": 2},
    "nuisance_scale": {"gt": 0},
    "guidance": {"ge": 0},
    "guide_steps": {"ge": 1},
    "feedback": {"ge": 0},
    "pool_trust": {"ge": 0, "le": 1},
    "pool_rounds": {"ge": 1},
    "pool_shares": {"ge": 0, "le": 1},
}
"""Of the numbers: bounds by the name of their comparison in `operator`."""
_WHOLE = {
    *("n_components", "width", "depth", "n_steps", "batch_size"),
    *("sampling_steps", "guide_steps", "pool_rounds"),
}
_OPTIONAL = {"n_components", "shrinkage", "sigma_max", "guidance_interval"}
_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class DiffusionConfig:
    """Hyper-parameters of the model; the defaults are those of `bench/ablations.py`.

    Attributes
    ----------
    n_components
        Leading within-class principal components that are diffused; the remaining ones are drawn
        from their Gaussian. None for all.
    shrinkage
        Of the within-class covariance, in [0, 1]; None for Ledoit and Wolf's.
    width, depth
        Units and number of residual blocks; the width is raised to the dimension diffused.
    balance
        Exponent of the class frequencies in training: 1 for natural, 0 for equal ones.
    n_steps, batch_size, learning_rate, weight_decay, ema_decay, label_dropout
        Of the training. Beyond 2,000 rows the weight decay falls as one over their number.
    log_sigma_mean, log_sigma_std
        Normal distribution of log σ in training.
    sigma_min, sigma_max
        Noise range of the sampler, in units of the whitened data; sigma_max None for
        2 √k with k the dimension diffused.
    objective
        What training minimises and where the solver steps. "edm": the error of F, steps by Karras
        et al. 2022. "rectified-flow": the error of the velocity along x_t = (1 - t) x + t n, where
        t = σ / (1 + σ), steps even in t (Liu et al. 2022, arXiv:2209.03003); the normal log σ is
        then a logit-normal t (Esser et al. 2024, arXiv:2403.03206).
    prediction
        What the network's output stands for: F of EDM's preconditioning, the clean data or the
        noise; in each case what is added to the denoiser of the standard normal distribution.
    sampler, sampling_steps
        Solver, and its steps; "heun" evaluates the network twice in each.
    pool_trust
        What a pool row of certain label counts for, in labelled rows; 0 ignores the pool.
    pool_rounds
        Rounds of a classifier and the class prior teaching each other the pool's labels.
    pool_shares
        How far the classes have their own shares of the pool while it is labelled, in [0, 1]: 0 for
        equal ones, 1 where one class is nearly everything.
    nuisance_scale
        Factor of the spread in the directions in which the classes do not differ; 1 keeps that of
        the data, more makes a classifier rely less on them. Measured in docs/generators.md, "How
        far rows scatter where the classes do not differ".
    guidance
        Guidance scale w: D = D_guide + w (D_class - D_guide); 1 for none.
    guide
        What guidance leads away from: "unconditional", the network without class (Ho and Salimans
        2022, arXiv:2207.12598), or "early", its average after `guide_steps` of the training
        (autoguidance, Karras et al. 2024, arXiv:2406.02507).
    guide_steps
        Training steps of the early guide, rounded up to a whole look at the held-out loss.
    guidance_interval
        Lowest and highest σ at which guidance acts (Kynkäänniemi et al. 2024, arXiv:2404.07724);
        None for all.
    filter
        Classifier of the training rows that rejects samples which it takes for another class:
        class-weighted "logistic" regression, or "prior", Bayes' rule of the model before the
        network; "none" keeps all. At least an eighth of the samples is kept.
    feedback
        Steers samples to where the logistic classifier is unsure, by this multiple of the gradient
        of its entropy (Hemmat et al. 2023, arXiv:2310.00158); 0 for none.

    Raises
    ------
    ValueError
        A word that is none of those an option has, or a number out of its range.
    """

    n_components: int | None = 16
    shrinkage: float | None = None
    width: int = 128
    depth: int = 2
    balance: float = 0.5
    n_steps: int = 1200
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 3.0
    ema_decay: float = 0.995
    label_dropout: float = 0.2
    log_sigma_mean: float = 0.0
    log_sigma_std: float = 1.2
    sigma_min: float = 0.02
    sigma_max: float | None = None
    objective: Objective = "edm"
    prediction: Prediction = "preconditioned"
    sampler: Sampler = "dpm-solver++"
    sampling_steps: int = 16
    nuisance_scale: float = 1.0
    guidance: float = 1.0
    guide: Guide = "unconditional"
    guide_steps: int = 100
    guidance_interval: tuple[float, float] | None = None
    filter: Filter = "none"
    feedback: float = 0.0
    pool_trust: float = 0.1
    pool_rounds: int = 2
    pool_shares: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in get_args(choices):
                told = ", ".join(map(repr, get_args(choices)))
                raise ValueError(f"{name}: {value!r} is none of {told}")
        self._check_numbers()
        for name in RANGES:
            if wanted := out_of_range(name, getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)!r} is not {wanted}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Real) and not math.isfinite(value):
                raise ValueError(f"{field.name}: {value!r} is not finite")
        if self.sigma_max is not None and self.sigma_max <= self.sigma_min:
            raise ValueError(f"sigma_max: {self.sigma_max} is not above sigma_min {self.sigma_min}")
        if self.guidance_interval is None:
            return
        if not is_interval(self.guidance_interval):
            raise ValueError(f"guidance_interval: {self.guidance_interval} is not {INTERVAL}")
        plain = tuple(float(level) for level in self.guidance_interval)
        object.__setattr__(self, "guidance_interval", plain)

    def _check_numbers(self) -> None:
        """Refuse what is no number: it would pass for one until a network is half-way trained."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in {*_CHOICES, "guidance_interval"} or (value is None and name in _OPTIONAL):
                continue
            kind, told = (Integral, "whole number") if name in _WHOLE else (Real, "number")
            if isinstance(value, bool) or not isinstance(value, kind):
                raise ValueError(f"{name}: {value!r} is no {told}")


INTERVAL = "two finite noise levels, the lower first and not below zero"


def is_interval(interval: Any) -> bool:
    """Whether a `guidance_interval` is one."""
    try:
        low, high = interval
    except (TypeError, ValueError):
        return False
    if not (isinstance(low, Real) and isinstance(high, Real)):
        return False
    return 0 <= float(low) < float(high) < math.inf


def out_of_range(name: str, value: float | None) -> str:
    """What a number should be and is not ("at least 1"), or ''; None is in every range."""
    for comparison, bound in RANGES[name].items():
        if value is not None and not getattr(operator, comparison)(value, bound):
            return f"{_SIGNS[comparison]} {bound}"
    return ""
