"""Class-conditional diffusion on vectors: arrays and tensors in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bloomdiff.diffusion.config import DiffusionConfig
    from bloomdiff.diffusion.estimator import EmbeddingDiffusion
    from bloomdiff.diffusion.oversampler import DiffusionOverSampler

__all__ = ["DiffusionConfig", "DiffusionOverSampler", "EmbeddingDiffusion"]

_HOME = {
    "DiffusionConfig": "config",
    "DiffusionOverSampler": "oversampler",
    "EmbeddingDiffusion": "estimator",
}


def __getattr__(name: str) -> Any:
    # On demand: whoever wants one module of the room need not wait for scikit-learn and torch.
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
