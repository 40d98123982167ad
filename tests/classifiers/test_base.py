"""Checks that every registered classifier must pass."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from bloomdiff.classifiers import CLASSIFIERS, load_classifier, make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import InputError, IntegrityError, LeakageError, ParameterError

pytestmark = pytest.mark.parametrize("name", list(CLASSIFIERS))


@pytest.fixture(scope="module")
def fitted(digits):
    train, _ = digits
    return {
        name: make_classifier(name, seed=3).fit(train.X, train.label, fingerprint=train.fingerprint)
        for name in CLASSIFIERS
    }


def test_learns_and_gives_probabilities(name, fitted, digits):
    _, test = digits
    proba = fitted[name].predict_on(test)
    assert proba.shape == (len(test), 10)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert (proba >= 0).all()
    assert f1_score(test.label, fitted[name].predict(test.X), average="macro") > 0.9


def test_wrong_labels_are_not_learned(name, digits):
    train, test = digits
    shuffled = np.random.default_rng(0).permutation(train.label)
    classifier = make_classifier(name).fit(train.X, shuffled, fingerprint=train.fingerprint)
    assert f1_score(test.label, classifier.predict(test.X), average="macro") < 0.25


def test_same_seed_same_bytes(name, fitted, digits, tmp_path):
    train, _ = digits
    again = make_classifier(name, seed=3).fit(train.X, train.label, fingerprint=train.fingerprint)
    fitted[name].save(tmp_path / "a")
    again.save(tmp_path / "b")
    for file in ("state.safetensors", "classifier.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_global_random_state_has_no_say(name, fitted, digits):
    import torch

    train, test = digits
    torch.manual_seed(99)
    np.random.seed(99)
    before = torch.random.get_rng_state()
    again = make_classifier(name, seed=3).fit(train.X, train.label, fingerprint=train.fingerprint)
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(again.predict_proba(test.X), fitted[name].predict_proba(test.X))


def test_save_and_load_round_trip(name, fitted, digits, tmp_path):
    _, test = digits
    fitted[name].save(tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    assert type(loaded) is CLASSIFIERS[name]
    assert loaded.params == fitted[name].params
    assert loaded.fingerprint == fitted[name].fingerprint
    np.testing.assert_array_equal(loaded.predict_proba(test.X), fitted[name].predict_proba(test.X))
    assert not [p for p in (tmp_path / "model").iterdir() if p.suffix in {".pkl", ".joblib"}]


def test_damaged_state_is_told(name, fitted, tmp_path):
    fitted[name].save(tmp_path / "model")
    state = tmp_path / "model" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"state\.safetensors"):
        load_classifier(tmp_path / "model")


def test_forged_fingerprint_is_told(name, fitted, tmp_path):
    fitted[name].save(tmp_path / "model")
    card = json.loads((tmp_path / "model" / "classifier.json").read_text())
    more = {**card, "params": {**card["params"], "colour": "red"}}
    (tmp_path / "model" / "classifier.json").write_text(json.dumps(more))
    with pytest.raises(ParameterError, match=r"model: params.*colour"):
        load_classifier(tmp_path / "model")
    card["fingerprint"]["groups"] = []
    (tmp_path / "model" / "classifier.json").write_text(json.dumps(card))
    with pytest.raises(IntegrityError, match="fingerprint"):
        load_classifier(tmp_path / "model")


def test_judging_on_training_groups_is_refused(name, fitted, digits):
    train, _ = digits
    with pytest.raises(LeakageError, match="train 0"):
        fitted[name].predict_on(train.take([0]))


def test_judging_on_the_generators_groups_is_refused(name, digits, synthetic):
    train, test = digits
    classifier = make_classifier(name).fit(
        train.X, train.label, fingerprint=train.fingerprint, synthetic=synthetic
    )
    seen = replace(test, rows=test.rows.assign(group="of the generator alone"))
    with pytest.raises(LeakageError, match="of the generator alone"):
        classifier.predict_on(seen)
    assert classifier.predict_on(test).shape == (len(test), 10)


def test_judging_on_synthetic_rows_is_refused(name, fitted, synthetic):
    with pytest.raises(LeakageError, match="not real"):
        fitted[name].predict_on(synthetic)


def test_synthetic_rows_are_learned_from(name, digits, synthetic):
    """Without the class in the real rows, only the synthetic ones can teach it."""
    train, test = digits
    without = train.take(train.label != "digit 5")
    kwargs = {"fingerprint": without.fingerprint, "classes": sorted(set(train.label))}
    alone = make_classifier(name).fit(without.X, without.label, **kwargs)
    helped = make_classifier(name).fit(without.X, without.label, synthetic=synthetic, **kwargs)
    fives = test.X[test.label == "digit 5"]
    assert (alone.predict_proba(fives)[:, 5] == 0).all()
    assert (helped.predict(fives) == "digit 5").mean() > 0.5


def test_synthetic_only(name, digits, synthetic):
    train, test = digits
    classifier = make_classifier(name).fit(
        train.X[:0], train.label[:0], fingerprint=Fingerprint.empty(), synthetic=synthetic
    )
    assert classifier.fingerprint == synthetic.fingerprint
    assert (classifier.predict(test.X) == test.label).mean() > 0.7


def test_a_column_of_rounding_is_a_constant_one(name, digits, synthetic):
    """A generator leaves 1e-20 where cells differ in nothing; a test cell may differ there."""
    train, test = digits
    rng = np.random.default_rng(0)
    column = (1e-20 * rng.normal(size=(len(synthetic.X), 1))).astype(np.float32)
    wider = replace(synthetic, X=np.concatenate([synthetic.X, column], axis=1))
    none = np.empty((0, wider.X.shape[1]), np.float32)
    classifier = make_classifier(name).fit(
        none, train.label[:0], fingerprint=Fingerprint.empty(), synthetic=wider
    )
    proba = classifier.predict_proba(np.concatenate([test.X, test.X[:, :1] + 1], axis=1))
    assert np.isfinite(proba).all()
    if classifier.scales_features:
        assert classifier._scale[-1] == 1


def test_scale_comes_from_real_rows(name, digits, synthetic):
    train, _ = digits
    classifier = make_classifier(name).fit(
        train.X, train.label, fingerprint=train.fingerprint, synthetic=synthetic
    )
    np.testing.assert_allclose(classifier._mean, train.X.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_unseen_classes_get_no_probability(name, digits):
    train, test = digits
    classes = ["digit -1", *sorted(set(train.label)), "zebra"]
    classifier = make_classifier(name).fit(
        train.X, train.label, fingerprint=train.fingerprint, classes=classes
    )
    proba = classifier.predict_proba(test.X)
    assert classifier.classes_.tolist() == classes
    assert (proba[:, [0, -1]] == 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


def test_two_classes(name, digits):
    train, test = digits
    pair = ["digit 0", "digit 1"]
    train, test = (part.take(np.isin(part.label, pair)) for part in (train, test))
    classifier = make_classifier(name).fit(train.X, train.label, fingerprint=train.fingerprint)
    assert (classifier.predict(test.X) == test.label).mean() > 0.95


def test_rare_classes_are_not_outvoted(name):
    """Two overlapping classes, 20 to 1: balanced training splits them in the middle."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (2000, 2)), rng.normal(1.5, 1, (100, 2))])
    y = np.array(["common"] * 2000 + ["rare"] * 100)
    # In two dimensions the cosine says too little.
    params = {"knn": {"k": 50}, "label-spreading": {"metric": "euclidean"}}.get(name)
    classifier = make_classifier(name, params).fit(X, y, fingerprint=Fingerprint.of(["a"]))
    fresh = rng.normal(1.5, 1, (500, 2))
    assert (classifier.predict(fresh) == "rare").mean() > 0.7


def test_bad_rows_are_told(name, digits):
    train, _ = digits
    classifier = make_classifier(name)
    broken = train.X.copy()
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="training row 7"):
        classifier.fit(broken, train.label, fingerprint=train.fingerprint)
    unlabelled = train.label.copy()
    unlabelled[4] = ""
    with pytest.raises(InputError, match="training row 4"):
        classifier.fit(train.X, unlabelled, fingerprint=train.fingerprint)
    with pytest.raises(InputError, match="two classes"):
        classifier.fit(train.X[:5], ["a"] * 5, fingerprint=train.fingerprint)
    with pytest.raises(ParameterError, match="digit 9"):
        classifier.fit(
            train.X,
            train.label,
            fingerprint=train.fingerprint,
            classes=sorted(set(train.label))[:9],
        )
    with pytest.raises(RuntimeError, match="not fitted"):
        classifier.predict(train.X)


def test_unknown_parameter_is_told(name):
    with pytest.raises(ParameterError, match="colour"):
        make_classifier(name, {"colour": 1})


def test_search_space_gives_valid_parameters(name):
    """The study hands back what it has suggested, so its names are those of the parameters."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        drawn = CLASSIFIERS[name].search_space(trial)
        assert drawn == trial.params != {}
        make_classifier(name, drawn)


@settings(max_examples=5, deadline=None)
@given(exponents=st.lists(st.integers(-8, 8), min_size=64, max_size=64))
def test_units_of_the_features_do_not_matter(name, digits, exponents):
    """Powers of two are exact, so that another unit for a feature changes no bit.

    Where features are only centred, the unit may be another one for all of them together.
    """
    train, test = digits
    train, test = train.take(range(200)), test.take(range(20))
    scale = (2.0 ** np.array(exponents)).astype(np.float32)
    if not CLASSIFIERS[name].scales_features:
        scale[:] = scale[0]
    params = {"mlp": {"steps": 5}, "gradient-boosting": {"iterations": 1}}.get(name)
    here, there = (
        make_classifier(name, params).fit(X, train.label, fingerprint=train.fingerprint)
        for X in (train.X, train.X * scale)
    )
    np.testing.assert_array_equal(here.predict_proba(test.X), there.predict_proba(test.X * scale))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_has_no_class(name, fitted, digits, value):
    X = digits[1].X[:3].copy()
    X[1, 4] = value
    with pytest.raises(InputError, match="row 1: is not finite"):
        fitted[name].predict(X)


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_a_missing_label_is_no_class(name, digits, missing):
    train, _ = digits
    labels = train.label.astype(object)
    labels[7] = missing
    with pytest.raises(InputError, match="training row 7"):
        make_classifier(name).fit(train.X, labels, fingerprint=train.fingerprint)
