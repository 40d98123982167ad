"""Downstream classifiers: what the synthetic cells are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bloomdiff.artifacts import registered_kind
from bloomdiff.classifiers import (
    diffusion,
    gradient_boosting,
    knn,
    label_spreading,
    logistic,
    mlp,
    self_training,
)
from bloomdiff.classifiers.base import CLASSIFIERS, Classifier, ClassifierParams
from bloomdiff.validation import validated

__all__ = [
    "CLASSIFIERS",
    "Classifier",
    "ClassifierParams",
    "load_classifier",
    "make_classifier",
]


def make_classifier(
    name: str, params: dict[str, Any] | None = None, *, seed: int = 0, device: str = "cpu"
) -> Classifier:
    """Build a classifier by its registered name.

    Raises
    ------
    ParameterError
        An unknown name, an unknown parameter, or a value out of range.
    """
    cls = CLASSIFIERS[name]
    checked = validated(cls.Params, params or {}, f"classifier {name!r}")
    return cls(checked, seed=seed, device=device)


def load_classifier(path: str | Path, *, device: str = "cpu") -> Classifier:
    """Read whichever classifier the folder `path` holds.

    Raises
    ------
    InputError
        No classifier in that folder.
    IntegrityError
        Its state is damaged.
    """
    return registered_kind(path, CLASSIFIERS).load(path, device=device)
