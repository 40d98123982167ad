"""Downstream classifiers: what the synthetic cells are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bloomdiff.classifiers import gradient_boosting, knn, logistic, mlp
from bloomdiff.classifiers.base import CLASSIFIERS, Classifier, ClassifierParams
from bloomdiff.errors import InputError
from bloomdiff.files import read_json
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
    card = read_json(Path(path) / "classifier.json")
    if not isinstance(card, dict) or card.get("classifier") not in CLASSIFIERS:
        raise InputError(str(path), "holds no known classifier", "run the stage that writes it")
    return CLASSIFIERS[card["classifier"]].load(path, device=device)
