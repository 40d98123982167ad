"""Hyper-parameters of the diffusion model."""

from __future__ import annotations

from dataclasses import dataclass


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
        Of the training.
    log_sigma_mean, log_sigma_std
        Normal distribution of log σ in training.
    sigma_min, sigma_max
        Noise range of the sampler, in units of the whitened data; sigma_max None for
        2 √k with k the dimension diffused.
    sampling_steps
        Steps of the solver.
    pool_trust
        What a pool row of certain label counts for, in labelled rows; 0 ignores the pool.
    pool_rounds
        Rounds of expectation maximisation that label the pool.
    nuisance_scale
        Factor of the spread in the directions in which the classes do not differ; 1 keeps that of
        the data, more makes a classifier rely less on them.
    guidance
        Classifier-free guidance scale w: D = D_none + w (D_class - D_none); 1 for none.
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
    sampling_steps: int = 16
    nuisance_scale: float = 1.0
    guidance: float = 1.0
    pool_trust: float = 0.3
    pool_rounds: int = 5
