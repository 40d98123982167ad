"""The scikit-learn estimator on disk: everything comes back, and nothing else is read."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from bloomdiff.diffusion import DiffusionConfig, DiffusionOverSampler, EmbeddingDiffusion
from bloomdiff.errors import InputError, IntegrityError


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [40, 12, 6])
    return (rng.normal(size=(58, 5)) + 4 * (y == "b")[:, None]).astype(np.float32), y


CONFIGS = {
    "plain": {},
    "network": {"n_steps": 40, "guidance": 1.5},
    "early guide": {"config": DiffusionConfig(guide="early", guide_steps=20), "n_steps": 60},
    "interval": {"config": DiffusionConfig(guidance_interval=(0.1, 2.0)), "guidance": 2.0},
    "filter": {"config": DiffusionConfig(filter="logistic")},
    "parents": {"parents": {"a": "left", "b": "left", "c": "right"}},
    "flow": {"classifier": "flow", "n_steps": 40},
}


@pytest.mark.parametrize("given", CONFIGS.values(), ids=CONFIGS)
def test_everything_comes_back(tmp_path, data, given):
    X, y = data
    model = EmbeddingDiffusion(**{"n_steps": 0, "random_state": 7, **given}).fit(X, y)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    assert back.get_params() == model.get_params()
    np.testing.assert_array_equal(back.sample(y, 3), model.sample(y, 3))
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(back.score_samples(X, y), model.score_samples(X, y))
    np.testing.assert_array_equal(clone(back).fit(X, y).sample(y, 3), model.sample(y, 3))


def test_parents_in_a_series_come_back_as_a_dictionary(tmp_path, data):
    X, y = data
    parents = {"a": "left", "b": "left", "c": "right"}
    model = EmbeddingDiffusion(n_steps=0, random_state=0, parents=pd.Series(parents)).fit(X, y)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    assert back.parents == parents
    np.testing.assert_array_equal(back.sample(y, 3), model.sample(y, 3))


def test_with_a_pool(tmp_path, data):
    X, y = data
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y, X_unlabelled=X + 0.1)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    np.testing.assert_array_equal(back.sample(y, 3), model.sample(y, 3))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([3, 7, 9]),
        np.array([3, 4, 5], dtype=np.int8),
        np.array(["x", "yy", "zzz"], dtype=object),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_labels_keep_their_type(tmp_path, data, classes):
    X, y = data
    labels = classes[np.unique(y, return_inverse=True)[1]]
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, labels)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    assert back.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert back.predict(X).dtype == model.predict(X).dtype


def test_parents_of_classes_that_are_numbers(tmp_path, data):
    X, y = data
    y = np.unique(y, return_inverse=True)[1]
    parents = {np.int64(0): "left", 1: "left", 2: "right"}
    model = EmbeddingDiffusion(n_steps=0, parents=parents, random_state=0).fit(X, y)
    model.save(tmp_path / "model")
    assert EmbeddingDiffusion.load(tmp_path / "model").parents == {0: "left", 1: "left", 2: "right"}


def test_names_of_features_come_back(tmp_path, data):
    X, y = data
    frame = pd.DataFrame(X, columns=[f"dim_{i}" for i in range(5)])
    EmbeddingDiffusion(n_steps=0, random_state=0).fit(frame, y).save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    back.predict(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        back.predict(frame.rename(columns={"dim_0": "other"}))
    with pytest.raises(ValueError, match="expecting 5 features"):
        back.predict(X[:, :4])


def test_what_filled_up_a_class_can_be_kept(tmp_path, data):
    X, y = data
    sampler = DiffusionOverSampler(n_steps=5, random_state=0)
    sampler.fit_resample(X, y)
    sampler.generator_.save(tmp_path / "model")  # its random state is a generator of numbers
    back = EmbeddingDiffusion.load(tmp_path / "model")
    assert back.random_state is None
    np.testing.assert_array_equal(back.sample(y, 3), sampler.generator_.sample(y, 3))


def test_equal_models_have_equal_bytes(tmp_path, data):
    for name in ("one", "other"):
        EmbeddingDiffusion(n_steps=5, random_state=0).fit(*data).save(tmp_path / name)
    for file in ("estimator.json", "state.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_nothing_is_written_of_an_unfitted_one(tmp_path):
    with pytest.raises(NotFittedError):
        EmbeddingDiffusion().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_json_cannot_hold(tmp_path, data):
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(*data)
    model.classes_ = model.classes_.astype("S1")
    with pytest.raises(ValueError, match="neither text, number nor truth value"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_state_and_another_folder(tmp_path, data):
    EmbeddingDiffusion(n_steps=0, random_state=0).fit(*data).save(tmp_path / "model")
    state = tmp_path / "model" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"state\.safetensors"):
        EmbeddingDiffusion.load(tmp_path / "model")
    with pytest.raises(InputError):
        EmbeddingDiffusion.load(tmp_path / "nowhere")
    card = tmp_path / "model" / "estimator.json"
    card.write_text(json.dumps(["not", "a", "card"]))
    with pytest.raises(InputError, match="does not name a"):
        EmbeddingDiffusion.load(tmp_path / "model")


def test_parameters_of_numpy_are_plain_on_disk(tmp_path, data):
    config = DiffusionConfig(width=np.int64(64), ema_decay=np.float64(0.9))
    given = {"n_components": np.int64(4), "n_steps": np.int64(0), "guidance": np.float32(1.5)}
    model = EmbeddingDiffusion(**given, config=config, random_state=np.int64(3)).fit(*data)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    assert back.get_params() == model.get_params()


def test_parameters_set_after_the_fit_are_for_the_next(tmp_path, data):
    X, y = data
    model = EmbeddingDiffusion(n_steps=40, random_state=0).fit(X, y)
    model.set_params(guidance=3.0, n_components=1)
    model.save(tmp_path / "model")
    back = EmbeddingDiffusion.load(tmp_path / "model")
    np.testing.assert_array_equal(back.sample(y, 3), model.sample(y, 3))
    assert back.get_params()["guidance"] == 3.0
    assert (clone(back).fit(X, y).sample(y, 3) != model.sample(y, 3)).any()
