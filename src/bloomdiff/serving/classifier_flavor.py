"""A fitted classifier as an MLflow model: its folder, a signature and an input example beside it.

`mlflow.pyfunc.load_model` of a sweep's logged model then gives class probabilities, and nothing
is pickled: MLflow calls `_load_pyfunc` here, which reads safetensors and JSON.
"""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

from bloomdiff.files import read_json

EXAMPLE = "input_example.json"
DATA = "classifier"


def as_mlflow_model(folder: Path, target: Path) -> None:
    """Write an MLflow model of a saved classifier.

    Parameters
    ----------
    folder
        Written by `Classifier.save`.
    target
        A folder that does not exist yet. It takes embeddings float32 `(n, d)` and returns
        probabilities float64 `(n, c)`, their columns in the order of the metadata's `classes`.
    """
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec
    from safetensors import safe_open

    card = read_json(folder / "classifier.json")
    classes = card["classes"]
    with safe_open(folder / "state.safetensors", "np") as state:
        (dim,) = state.get_slice("mean").get_shape()
    shutil.copytree(folder, target / DATA)
    example = np.zeros((1, dim)).tolist()
    (target / EXAMPLE).write_text(json.dumps(example), encoding="utf-8")
    model: Any = Model(
        signature=ModelSignature(
            Schema([TensorSpec(np.dtype(np.float32), (-1, dim))]),
            Schema([TensorSpec(np.dtype(np.float64), (-1, len(classes)))]),
        ),
        saved_input_example_info={
            "artifact_path": EXAMPLE,
            "type": "ndarray",
            "format": "tf-serving",
        },
        metadata={"classifier": card["classifier"], "classes": classes},
    )
    model.add_flavor(
        "python_function",
        loader_module=__name__,
        data=DATA,
        python_version=platform.python_version(),
    )
    model.save(str(target / "MLmodel"))


def _load_pyfunc(path: str) -> Probabilities:
    return Probabilities(Path(path))


class Probabilities:
    """What MLflow asks."""

    def __init__(self, folder: Path) -> None:
        from bloomdiff.classifiers import load_classifier

        self._classifier = load_classifier(folder)

    def predict(self, X: Any, params: dict[str, Any] | None = None) -> Any:
        """Class probabilities `(n, c)` of embeddings `(n, d)`."""
        return self._classifier.predict_proba(X)
