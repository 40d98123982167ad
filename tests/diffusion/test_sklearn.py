"""scikit-learn's and imbalanced-learn's own checks, and what they do not look at."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_samplers
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from bloomdiff.diffusion import DiffusionConfig, DiffusionOverSampler, EmbeddingDiffusion
from bloomdiff.diffusion.config import RANGES
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.generators import make_generator

pytestmark = pytest.mark.filterwarnings("ignore")


@parametrize_with_checks([EmbeddingDiffusion(n_steps=5)])
def test_estimator_checks(estimator, check):
    check(estimator)


# Some of the checks compare two calls, so the seed is given.
@parametrize_samplers([DiffusionOverSampler(n_steps=5, random_state=0)])
def test_sampler_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [40, 10, 3])
    return (rng.normal(size=(53, 5)) + 6 * (y == "b")[:, None]).astype(np.float32), y


def test_the_oversampler_says_which_rows_it_made(data):
    X, y = data
    sampler = DiffusionOverSampler(n_steps=5, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert np.unique(y_new, return_counts=True)[1].tolist() == [40, 40, 40]
    assert sampler.synthetic_.sum() == 30 + 37
    np.testing.assert_array_equal(X_new[~sampler.synthetic_], X)
    np.testing.assert_array_equal(y_new[~sampler.synthetic_], y)
    np.testing.assert_allclose(X_new[sampler.synthetic_ & (y_new == "b")].mean(), 6, atol=1)


def test_it_works_in_a_pipeline_under_a_grid_search(data):
    X, y = data
    pipeline = make_pipeline(DiffusionOverSampler(n_steps=5, random_state=0), LogisticRegression())
    grid = {"diffusionoversampler__nuisance_scale": [1.0, 1.5]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(pipeline, grid, cv=3, scoring="balanced_accuracy").fit(X, y)
    # Three classes of which two lie together: who knows nothing has a third, who knows b a half.
    assert search.best_score_ > 0.5
    assert search.predict(np.full((1, 5), 6.0)).tolist() == ["b"]


def test_same_random_state_same_rows(data):
    X, y = data
    model = EmbeddingDiffusion(n_steps=50, random_state=3)
    one, other = (clone(model).fit(X, y).sample(y, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (clone(model).fit(X, y).sample(y, random_state=2) != one).any()


def test_every_hyper_parameter_can_be_given(data):
    X, y = data
    config = DiffusionConfig(feedback=2.0)
    plain = DiffusionOverSampler(n_steps=5, random_state=0).fit_resample(X, y)[0]
    sampler = DiffusionOverSampler(n_steps=5, config=config, random_state=0)
    assert (sampler.fit_resample(X, y)[0][53:] != plain[53:]).any()
    used = sampler.generator_.model_.config
    assert (used.feedback, used.n_steps) == (2.0, 5)


def test_what_is_given_twice_is_told(data):
    config = DiffusionConfig(guidance=2.0)
    EmbeddingDiffusion(n_steps=0, guidance=2.0, config=config).fit(*data)
    with pytest.raises(ValueError, match=r"guidance: 2\.0 in config and 1\.0 as the parameter"):
        EmbeddingDiffusion(n_steps=0, config=config).fit(*data)


def test_the_oversampler_learns_from_a_pool(data):
    X, y = data
    pool = X + 0.1
    sampler = DiffusionOverSampler(n_steps=0, random_state=0)
    alone = sampler.fit_resample(X, y)[0]
    with_pool = sampler.fit_resample(X, y, X_unlabelled=pool)[0]
    assert (with_pool[53:] != alone[53:]).any()
    frames = sampler.fit_resample(pd.DataFrame(X), y, X_unlabelled=pd.DataFrame(pool))[0]
    np.testing.assert_array_equal(frames.to_numpy(), with_pool)
    rows = sampler.fit_resample(sparse.csr_array(X), y, X_unlabelled=sparse.csr_array(pool))[0]
    np.testing.assert_array_equal(rows.toarray(), with_pool)
    ignored = clone(sampler).set_params(pool_trust=0)
    np.testing.assert_array_equal(ignored.fit_resample(X, y, X_unlabelled=pool)[0], alone)
    with pytest.raises(TypeError, match="bogus"):
        sampler.fit_resample(X, y, bogus=3)


def test_synthetic_whole_numbers_are_rounded():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], [400, 200])
    X = rng.integers(0, 12, (600, 4))
    sampler = DiffusionOverSampler(n_steps=0, random_state=0)
    made = sampler.fit_resample(X, y)[0][600:]
    assert made.dtype == X.dtype
    # Cut off behind the point they would lie 0.5 below.
    np.testing.assert_allclose(made.mean(axis=0), X[y == "b"].mean(axis=0), atol=0.25)


def test_an_empty_pool_is_none(data):
    X, y = data
    model = EmbeddingDiffusion(n_steps=0, random_state=0)
    alone = clone(model).fit(X, y).sample(y, 1)
    np.testing.assert_array_equal(model.fit(X, y, X_unlabelled=X[:0]).sample(y, 1), alone)


def test_a_parent_of_no_class_is_told(data):
    with pytest.raises(ValueError, match="parents: class 'aa' is none of a, b, c"):
        EmbeddingDiffusion(n_steps=0, parents={"aa": "x", "b": "x"}).fit(*data)


def test_parents_may_name_classes_that_a_fold_lacks(data):
    X, y = data
    known = {"a": "x", "b": "x", "c": None}
    model = EmbeddingDiffusion(n_steps=0, parents=known, random_state=0)
    more = clone(model).set_params(parents=known | {"rare": "x"})
    np.testing.assert_array_equal(more.fit(X, y).sample(y, 1), model.fit(X, y).sample(y, 1))


def test_siblings_draw_a_rare_class_towards_them():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), [30] * 11 + [1])
    place = 6 * np.eye(3, 20)[y % 3] + rng.normal(size=(12, 20))[y]
    X = (place + rng.normal(size=(len(y), 20))).astype(np.float32)
    parents = {c: f"family {c % 3}" for c in range(12)}
    related = EmbeddingDiffusion(n_steps=0, parents=parents, random_state=0).fit(X, y)
    alone = clone(related).set_params(parents=None).fit(X, y)
    siblings = X[(y % 3 == 2) & (y != 11)].mean(axis=0)

    def away(model):
        return np.linalg.norm(model.sample([11] * 64, 0).mean(axis=0) - siblings)

    assert away(related) < 0.95 * away(alone)


def test_a_wrong_word_is_told(data):
    model = EmbeddingDiffusion(n_steps=0, classifier="bayes").fit(*data)
    with pytest.raises(ValueError, match="'bayes' is none of 'prior', 'flow', 'denoising'"):
        model.predict_proba(data[0])
    with pytest.raises(ValueError, match="'equal', 'training'"):
        model.score_samples(data[0], frequencies="natural")
    with pytest.raises(ValueError, match="'Exact' is none of 'auto', 'exact', 'hutchinson'"):
        model.score_samples(data[0], divergence="Exact")


def test_a_pool_is_used(data):
    X, y = data
    pool = X + 0.1
    alone = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    with_pool = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y, X_unlabelled=pool)
    assert (with_pool.sample(["c"], 0) != alone.sample(["c"], 0)).any()


def test_an_unknown_class_is_named(data):
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="'blast'"):
        model.sample(["a", "blast"])


@pytest.mark.parametrize("labels", [5, np.array(5), [["a", "b"]]])
def test_sample_wants_one_class_a_row(data, labels):
    X, y = data
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(
        X, np.unique(y, return_inverse=True)[1]
    )
    with pytest.raises(ValueError, match="one class a row"):
        model.sample(labels)


def test_a_class_of_another_type_is_unknown(data):
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="class 0 was not fitted"):
        model.sample([0, 1])


def test_no_rows_are_no_error(data):
    assert EmbeddingDiffusion(n_steps=0, random_state=0).fit(*data).sample([]).shape == (0, 5)


@pytest.mark.parametrize("n", [3, 60])
def test_a_likelihood_wants_one_class_a_row(data, n):
    X, y = data
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score_samples(X, np.resize(y, n))


def test_the_shrinkage_of_the_oversampler_counts(data):
    X, y = data
    none, all_of_it = (
        DiffusionOverSampler(n_steps=0, shrinkage=s, random_state=0).fit_resample(X, y)[0]
        for s in (0.0, 1.0)
    )
    assert (none[53:] != all_of_it[53:]).any()


@pytest.mark.parametrize(
    "given",
    [
        {"objective": "EDM"},
        {"prediction": "v"},
        {"sampler": "dpm"},
        {"guide": "erly"},
        {"filter": "logisitc"},
    ],
    ids=str,
)
def test_a_misspelt_option_is_told(given):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=f"{name}: '{value}' is none of '"):
        DiffusionConfig(**given)


OUT_OF_RANGE = {
    "n_components": 0,
    "shrinkage": 1.5,
    "width": 4,
    "depth": 0,
    "balance": -1,
    "n_steps": -5,
    "batch_size": 0,
    "learning_rate": 0,
    "weight_decay": -1,
    "ema_decay": 1,
    "label_dropout": 1.5,
    "log_sigma_std": 0,
    "sigma_min": 0,
    "sigma_max": 0.001,
    "sampling_steps": 1,
    "nuisance_scale": -1,
    "guidance": -1,
    "guide_steps": 0,
    "guidance_interval": (2, 1),
    "feedback": -1,
    "pool_trust": -1,
    "pool_rounds": 0,
    "pool_shares": 2,
}


def test_every_range_is_tried():
    assert set(RANGES) | {"guidance_interval"} == set(OUT_OF_RANGE)


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_number_out_of_range_is_told(name):
    value = OUT_OF_RANGE[name]
    with pytest.raises(ValueError, match=f"^{name}: "):
        DiffusionConfig(**{name: value})
    with pytest.raises(ParameterError, match=rf"{name}: is .*wanted"):
        make_generator("diffusion", {name: value}, seed=0)


def test_what_is_no_number_is_told():
    with pytest.raises(ValueError, match="weight_decay: nan is not at least 0"):
        DiffusionConfig(weight_decay=float("nan"))
    with pytest.raises(ParameterError, match=r"weight_decay: is nan; .*finite"):
        make_generator("diffusion", {"weight_decay": float("nan")}, seed=0)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pool_trust", None, "number"),
        ("guidance", None, "number"),
        ("nuisance_scale", None, "number"),
        ("guidance", "2", "number"),
        ("n_steps", None, "whole number"),
        ("n_steps", 2.5, "whole number"),
        ("n_components", 2.5, "whole number"),
        ("batch_size", True, "whole number"),
    ],
)
def test_what_cannot_be_the_number_that_is_meant_is_told(name, value, told):
    with pytest.raises(ValueError, match=f"^{name}: {value!r} is no {told}$"):
        DiffusionConfig(**{name: value})


def test_numbers_of_numpy_are_numbers(data, tmp_path):
    X, y = data
    interval = np.asarray([0.1, 2], dtype=np.float32)
    config = DiffusionConfig(width=np.int64(32), guidance_interval=interval)
    assert config.guidance_interval == (pytest.approx(0.1), 2.0)
    EmbeddingDiffusion(n_steps=0, config=config, random_state=0).fit(X, y).save(tmp_path / "m")
    assert EmbeddingDiffusion.load(tmp_path / "m").config == config


@pytest.mark.parametrize(
    "interval", [(0.3, float("inf")), (0.1,), (0.1, 1, 9), (2.0, 0.1), 0.5, ("a", "b"), "12"]
)
def test_a_guidance_interval_is_two_finite_levels(interval):
    with pytest.raises(ValueError, match="two finite noise levels"):
        DiffusionConfig(guidance_interval=interval)


def frame(n=230):
    rng = np.random.default_rng(0)
    y = np.repeat(["common", "rare"], [n - 30, 30])
    return pd.DataFrame(rng.poisson(2, (n, 3)), columns=list("abc")), y


@pytest.mark.parametrize("kind", ["uint8", "int8", "int64", "uint64", "bool"])
@pytest.mark.parametrize("framed", [False, True])
def test_whole_numbers_stay_in_their_range(kind, framed):
    X, y = frame()
    X = X.astype(kind)
    given = X if framed else X.to_numpy()
    sampler = DiffusionOverSampler(n_steps=5, random_state=0)
    found, label = sampler.fit_resample(given, y)
    rows = pd.DataFrame(found).astype(float).to_numpy()
    real, made = rows[:230][y == "rare"], rows[230:]
    assert (label[230:] == "rare").all()
    np.testing.assert_allclose(made.mean(axis=0), real.mean(axis=0), atol=0.5)
    assert made.min() >= 0 or kind.startswith("int")
    assert not hasattr(sampler, "_dtypes")


def test_columns_of_a_frame_keep_their_types():
    X, y = frame()
    X = X.astype({"a": "uint8", "b": "float64", "c": "int64"}).assign(d=X["a"] > 1)
    found, _ = DiffusionOverSampler(n_steps=5, random_state=0).fit_resample(X, y)
    assert found.dtypes.tolist() == X.dtypes.tolist()
    real, made = X[y == "rare"].astype(float).mean(), found[230:].astype(float).mean()
    np.testing.assert_allclose(made, real, atol=0.5)
    assert 0 < found["d"][230:].mean() < 1


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 1e9), (1e-50, 0.0), (1e60, 0.0), (1e-3, -5e4)])
@pytest.mark.parametrize("with_pool", [False, True])
def test_the_oversampler_does_not_see_in_what_units_rows_are(data, scale, shift, with_pool):
    X, y = data[0].astype(np.float64), data[1]
    sampler = DiffusionOverSampler(n_steps=5, random_state=0)
    drawn = [
        sampler.fit_resample(rows, y, **({"X_unlabelled": rows + 0.1 * by} if with_pool else {}))[0]
        for rows, by in ((X, 1.0), (X * scale + shift, scale))
    ]
    plain, other = (rows[sampler.synthetic_] for rows in drawn)
    np.testing.assert_allclose((other - shift) / scale, plain, atol=1e-3)


def test_columns_far_from_zero_keep_their_spread():
    """Seconds since 1970, of which single precision keeps every 128th, and a second column."""
    rng = np.random.default_rng(0)
    X = rng.normal([1.7e9, 0.0], [20.0, 10.0], (60, 2))
    sampler = DiffusionOverSampler(n_steps=0, random_state=0)
    found = sampler.fit_resample(X, np.repeat(["a", "b"], [45, 15]))[0]
    np.testing.assert_allclose(found[60:].std(axis=0), [20, 10], rtol=0.4)
    own = sampler.units_.outwards(sampler.generator_.sample(["b"] * 50, 0))
    np.testing.assert_allclose(own.mean(axis=0), X[45:].mean(axis=0), atol=15)


@pytest.mark.parametrize("framed", [False, True])
def test_synthetic_halves_stay_finite(framed):
    rng = np.random.default_rng(0)
    X = rng.normal(45_000, 18_000, (60, 4)).clip(0, 65_000).astype(np.float16)
    sampler = DiffusionOverSampler(n_steps=0, random_state=0)
    given = pd.DataFrame(X, columns=list("abcd")) if framed else X
    found = np.asarray(sampler.fit_resample(given, np.repeat(["a", "b"], [45, 15]))[0])
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    assert found[60:].max() == np.finfo(np.float16).max


@pytest.mark.parametrize("kind", ["category", "string", "datetime64[ns]", "timedelta64[ns]"])
def test_a_column_of_no_numbers_is_named(kind):
    X, y = frame()
    strange = X.assign(b=X["b"].astype(kind))
    model = EmbeddingDiffusion(n_steps=0, random_state=0)
    sampler = DiffusionOverSampler(n_steps=0, random_state=0)
    told = pytest.raises(InputError, match=r"^column 'b': is of type .*; leave it out")
    for fit in (model.fit, sampler.fit_resample):
        with told:
            fit(strange, y)
        with told:
            fit(X, y, X_unlabelled=strange)
    model.fit(X, y)
    for look in (model.predict, model.predict_proba, model.score_samples):
        with told:
            look(strange)


@pytest.mark.parametrize("kind", ["object", "Int64", "Float32", "boolean", "Sparse[int64]"])
def test_a_column_of_numbers_of_any_kind_is_taken(kind):
    X, y = frame()
    X = X.assign(b=(X["b"] > 1).astype(kind))
    EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y, X_unlabelled=X).predict(X)
    DiffusionOverSampler(n_steps=0, random_state=0).fit_resample(X, y, X_unlabelled=X)


def test_a_pool_of_other_columns_is_refused():
    X, y = frame()
    sampler = DiffusionOverSampler(n_steps=5, random_state=0)
    sampler.fit_resample(X, y, X_unlabelled=X)
    with pytest.raises(ValueError, match="feature names should match"):
        sampler.fit_resample(X, y, X_unlabelled=X[list("cba")])


def test_a_fit_that_fails_leaves_no_mixture():
    X, y = frame()
    model = EmbeddingDiffusion(n_steps=5, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="class 'zz'"):
        model.set_params(parents={"zz": "p"}).fit(X, y[::-1])
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    "name", ["nuisance_scale", "guidance", "feedback", "sigma_max", "log_sigma_mean"]
)
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_hyper_parameters_are_finite(name, value):
    with pytest.raises(ValueError, match=f"{name}: (inf|nan) is not"):
        DiffusionConfig(**{name: value})


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_no_parent_is_none_after_a_round_trip(tmp_path, missing):
    X, y = frame()
    parents = pd.Series({"rare": missing, "common": "p"}).to_dict()
    model = EmbeddingDiffusion(n_steps=5, parents=parents, random_state=0)
    model.fit(X, y).save(tmp_path / "m")
    back = EmbeddingDiffusion.load(tmp_path / "m")
    assert back.parents == {"rare": "", "common": "p"}
    model.set_params(parents={"rare": 1})
    with pytest.raises(ParameterError, match="parents: class 'rare'"):
        model.save(tmp_path / "m")
    with pytest.raises(ParameterError, match="parents: class 'rare'"):
        model.fit(X, y)


def test_random_oversampling_in_front_teaches_nothing_by_heart():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [60, 40, 10])
    centres = {"a": 0.0, "b": 2.0, "c": 4.0}
    X = (rng.normal(size=(110, 16)) + np.array([centres[c] for c in y])[:, None]).astype(np.float32)
    once = EmbeddingDiffusion(random_state=0, n_steps=300).fit(X, y)
    twice = EmbeddingDiffusion(random_state=0, n_steps=300).fit(np.tile(X, (2, 1)), np.tile(y, 2))
    assert not once.model_.learned
    assert not twice.model_.learned
    assert twice.score_samples(X).mean() < once.score_samples(X).mean() + 3


def test_the_callers_precision_is_its_own(data):
    X, y = data
    plain = EmbeddingDiffusion(n_steps=5, random_state=0).fit(X, y)
    torch.set_default_dtype(torch.float64)
    try:
        double = EmbeddingDiffusion(n_steps=5, random_state=0).fit(X, y)
        assert (double.sample(["a", "c"], 0) == plain.sample(["a", "c"], 0)).all()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_pool_is_routed_as_metadata(data):
    X, y = data
    with sklearn.config_context(enable_metadata_routing=True):
        sampler = DiffusionOverSampler(n_steps=0, random_state=0)
        sampler.set_fit_resample_request(X_unlabelled=True)
        pipe = make_pipeline(sampler, LogisticRegression()).fit(X, y, X_unlabelled=X + 0.01)
    made = pipe[0].generator_.model_
    alone = DiffusionOverSampler(n_steps=0, random_state=0)
    alone.fit_resample(X, y, X_unlabelled=X + 0.01)
    assert (made.prior.whitening.rows == alone.generator_.model_.prior.whitening.rows).all()
    assert made.prior.whitening.rows.sum() > len(X)


def test_what_is_no_config_is_told(data):
    with pytest.raises(ValueError, match=r"config: \{'width': 32} is no DiffusionConfig"):
        EmbeddingDiffusion(config={"width": 32}).fit(*data)
    with pytest.raises(ValueError, match=r"learning_rate: .*inf.* is not finite"):
        DiffusionConfig(learning_rate=np.float32("inf"))
