"""A logged classifier is a whole MLflow model: signature, input example, and it answers."""

import json

import mlflow
import numpy as np
import pytest

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.serving.classifier_flavor import as_mlflow_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)).astype(np.float32)
    y = np.repeat(["band", "blast", "monocyte"], 20)
    X[y == "blast"] += 2
    classifier = make_classifier("logistic", {}, seed=0)
    classifier.fit(X, y, fingerprint=Fingerprint.of(["slide"]))
    folder = tmp_path_factory.mktemp("models")
    classifier.save(folder / "saved")
    as_mlflow_model(folder / "saved", folder / "model")
    return classifier, X, folder / "model"


def test_it_answers_as_the_classifier_does(saved) -> None:
    classifier, X, folder = saved
    loaded = mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict_proba(X))
    assert loaded.metadata.metadata["classes"] == classifier.classes_.tolist()


def test_signature_refuses_other_dimensions_and_its_example_passes(saved) -> None:
    _, X, folder = saved
    loaded = mlflow.pyfunc.load_model(str(folder))
    example = loaded.metadata.load_input_example(str(folder))
    assert (example.shape, example.dtype) == ((1, 5), np.float32)
    assert loaded.predict(example).shape == (1, 3)
    with pytest.raises(mlflow.exceptions.MlflowException, match="expected shape"):
        loaded.predict(X[:, :4])


def test_nothing_is_pickled(saved) -> None:
    names = {path.name for path in saved[2].rglob("*") if path.is_file()}
    assert names == {"MLmodel", "input_example.json", "classifier.json", "state.safetensors"}
    assert json.loads((saved[2] / "input_example.json").read_text()) == [[0.0] * 5]
