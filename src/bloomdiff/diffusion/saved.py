"""The scikit-learn estimator on disk: a folder of safetensors and JSON, no pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bloomdiff.artifacts import AnyPath, Arrays, read_artifact, write_artifact
from bloomdiff.diffusion.centres import parent_name
from bloomdiff.diffusion.config import DiffusionConfig

if TYPE_CHECKING:
    from bloomdiff.diffusion.estimator import EmbeddingDiffusion

NOUN, NAME = "estimator", "embedding-diffusion"
LAYOUT = 2  # the second has the fitted model's configuration
_PLAIN = (str, int, float, bool)


def write_estimator(path: AnyPath, model: EmbeddingDiffusion) -> None:
    """Write a fitted estimator to the folder `path`, atomically.

    Raises
    ------
    ValueError
        Class labels that JSON cannot hold: other than text, numbers and truth values.
    ParameterError
        A parent that is no text.
    """
    names = getattr(model, "feature_names_in_", None)
    card = {
        NOUN: NAME,
        "params": _plain_params(model.get_params(deep=False)),
        "classes": _plain_labels(model.classes_.tolist()),
        "dtype": str(model.classes_.dtype),
        "n_features": int(model.n_features_in_),
        "feature_names": None if names is None else names.tolist(),
        "temperature": float(model.temperature_),
        # The fitted model's own: parameters set after `fit` are for the next one.
        "config": _plain_config(model.model_.config),
        "layout": LAYOUT,
    }
    write_artifact(path, NOUN, card, model.model_.state())


def read_estimator(
    path: AnyPath,
) -> tuple[dict[str, Any], dict[str, Any], DiffusionConfig, Arrays]:
    """Parameters, fitted attributes, and the model's configuration and state, as written.

    Raises
    ------
    InputError
        No such folder, or it holds something else.
    IntegrityError
        The state is missing or not what was written.
    """
    card, state = read_artifact(path, NOUN, NAME, layout=LAYOUT)
    params = card["params"]
    if params["config"] is not None:
        params["config"] = _config(params["config"])
    if params["parents"] is not None:
        params["parents"] = dict(params["parents"])
    fitted: dict[str, Any] = {
        "classes_": np.asarray(card["classes"], dtype=card["dtype"]),
        "n_features_in_": card["n_features"],
        "temperature_": card["temperature"],
    }
    if card["feature_names"] is not None:
        fitted["feature_names_in_"] = np.asarray(card["feature_names"], dtype=object)
    return params, fitted, _config(card["config"]), state


def _plain_config(config: DiffusionConfig) -> dict[str, Any]:
    return {name: _scalar(value) for name, value in asdict(config).items()}


def _config(plain: dict[str, Any]) -> DiffusionConfig:
    interval = plain["guidance_interval"]
    return DiffusionConfig(**plain | {"guidance_interval": interval and tuple(interval)})


def _plain_params(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON holds them; a generator of random numbers has none and becomes None."""
    seed, config, parents = params["random_state"], params["config"], params["parents"]
    return {name: _scalar(value) for name, value in params.items()} | {
        "random_state": int(seed) if isinstance(seed, int | np.integer) else None,
        "config": None if config is None else _plain_config(config),
        "parents": None if parents is None else _pairs(parents),
    }


def _pairs(parents: Mapping[Any, Any]) -> list[list[Any]]:
    # Pairs, since the keys of a JSON object are text and classes need not be.
    # By items, which a pandas Series has as well.
    classes = _plain_labels([_scalar(c) for c, _ in parents.items()])
    given = zip(classes, (parent for _, parent in parents.items()), strict=True)
    return [[c, parent_name(c, parent)] for c, parent in given]


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _plain_labels(labels: list[Any]) -> list[Any]:
    strange = [label for label in labels if not isinstance(label, _PLAIN)]
    if strange:
        raise ValueError(f"class {strange[0]!r} is neither text, number nor truth value")
    return labels
