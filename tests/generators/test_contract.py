"""What every registered generator must do, ours and the rivals alike."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pictured_rows import PicturedRows, names
from threadpoolctl import threadpool_limits
from tiny_stable_diffusion import tiny_weights

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import InputError, IntegrityError, ParameterError
from bloomdiff.generators import GENERATORS, Generator, load_generator, make_generator
from bloomdiff.generators.tabular import TabularGenerator

FAST = {
    "diffusion": {"n_steps": 100, "width": 32, "n_components": 4, "sampling_steps": 4},
    "latent-ddim": {"n_steps": 20, "width": 32, "sampling_steps": 4},
    "forest-diffusion": {"n_t": 3, "duplicate_k": 3, "n_estimators": 3, "max_depth": 2},
    "ctgan": {"epochs": 1, "n_components": 2},
    "tvae": {"epochs": 1, "n_components": 2},
    "image-diffusion": {
        **{"image_size": 8, "widths": [16], "n_steps": 2, "batch_size": 4, "sampling_steps": 2},
    },
    "stable-diffusion-lora": {
        **{"image_size": 16, "rank": 2, "n_steps": 2, "batch_size": 2},
        **{"sampling_steps": 1, "sampling_batch_size": 32},
    },
}
NAMES = [name for name in GENERATORS if name != "none"]
# These mix rows or statistics of several classes on purpose; their own tests say where rows lie.
MIXING = {"mixup", "distribution-calibration"}
# Hardly trained here; their own tests say what they learn.
UNTRAINED = {"latent-ddim", "forest-diffusion", "ctgan", "tvae"} | {
    name for name in GENERATORS if GENERATORS[name].needs_images
}
FINGERPRINT = Fingerprint.of(["slide-1", "slide-2"])


def toy(counts: dict[str, int], d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes with far-apart means."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(20 * i, 1, (n, d)) for i, n in enumerate(counts.values())]
    return np.concatenate(X).astype(np.float32), np.repeat(list(counts), list(counts.values()))


def fitted(name: str, X: np.ndarray, y: np.ndarray, *, seed: int = 0, **more) -> Generator:
    if issubclass(GENERATORS[name], TabularGenerator):
        pytest.importorskip(GENERATORS[name].library, reason="the extra [bench] is not installed")
    params, images = dict(FAST.get(name, {})), None
    if GENERATORS[name].needs_images:
        pytest.importorskip("diffusers", reason="the extra [image-space] is not installed")
        images = PicturedRows(X)
    if name == "stable-diffusion-lora":
        params["weights"] = str(tiny_weights())
    generator = make_generator(name, params, seed=seed, images=images)
    return generator.fit(X, y, fingerprint=FINGERPRINT, cell_id=names(X), **more)


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def generator(name: str) -> Generator:
    return fitted(name, *toy({"a": 40, "b": 12, "c": 1}))


def test_rows_have_the_shape_and_the_classes_asked_for(generator):
    y = np.asarray(["c", "a", "b", "b", "a", "c", "a"])
    X = generator.sample(y, seed=0)
    assert X.shape == (7, 6)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    if generator.name in MIXING | UNTRAINED:
        return
    # The toy's means are 20 apart and its deviation 1: the nearest mean tells the class.
    assert ["abc"[round(float(v) / 20)] for v in X.mean(axis=1)] == y.tolist()


def test_classes_are_spread_about_their_own_mean(generator):
    if generator.name in MIXING | UNTRAINED:
        pytest.skip("mixes classes, or is hardly trained")
    for label, mean in {"a": 0, "b": 20}.items():
        X = generator.sample(np.repeat(label, 300), seed=3)
        assert np.abs(X.mean(axis=0) - mean).max() < 1.5
        assert 0.3 < X.std(axis=0).mean() < 1.7


def test_asking_for_no_rows_gives_none(generator):
    assert generator.sample(np.asarray([], dtype=str), seed=0).shape == (0, 6)


def test_same_seed_same_bytes(name, generator):
    y = np.repeat(["a", "b"], 5)
    again = fitted(name, *toy({"a": 40, "b": 12, "c": 1}))
    assert again.sample(y, seed=1).tobytes() == generator.sample(y, seed=1).tobytes()
    assert generator.sample(y, seed=2).tobytes() != generator.sample(y, seed=1).tobytes()


def test_a_row_does_not_depend_on_how_many_are_asked_for(generator):
    many = generator.sample(np.repeat(["a", "b"], [700, 300]), seed=1)
    few = generator.sample(np.asarray(["b", "a", "b", "a", "a"]), seed=1)
    assert few[[1, 3, 4]].tobytes() == many[:3].tobytes()
    assert few[[0, 2]].tobytes() == many[700:702].tobytes()


def test_saved_and_loaded_it_gives_the_same_samples(generator, tmp_path):
    y = np.repeat(["a", "b", "c"], 4)
    generator.save(tmp_path / "g")
    loaded = load_generator(tmp_path / "g", images=generator.images)
    assert type(loaded) is type(generator)
    assert loaded.params == generator.params
    assert loaded.fingerprint == FINGERPRINT
    assert loaded.sample(y, seed=1).tobytes() == generator.sample(y, seed=1).tobytes()
    loaded.save(tmp_path / "again")
    for file in ("generator.json", "state.safetensors"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "g" / file).read_bytes()


def test_a_damaged_state_is_refused(generator, tmp_path):
    generator.save(tmp_path / "g")
    state = tmp_path / "g" / "state.safetensors"
    damaged = bytearray(state.read_bytes())
    damaged[-1] ^= 1
    state.write_bytes(bytes(damaged))
    with pytest.raises(IntegrityError):
        load_generator(tmp_path / "g")


def test_synthetic_rows_say_what_they_are(generator, name):
    made = generator.synthesize(np.asarray(["b", "a"]), seed=7)
    assert isinstance(made, SyntheticSet)
    assert made.rows["label"].tolist() == ["b", "a"]
    assert set(made.rows["generator"]) == {name}
    assert set(made.rows["seed"]) == {7}
    assert set(made.rows["parent"]) == {FINGERPRINT.digest}


def test_an_unknown_class_is_named(generator):
    with pytest.raises(ParameterError, match="'blast'"):
        generator.sample(np.asarray(["a", "blast"]), seed=0)


def test_rows_that_are_not_finite_are_refused(name):
    X, y = toy({"a": 10, "b": 10})
    X[13, 2] = np.nan
    with pytest.raises(InputError, match="row 13"):
        fitted(name, X, y)


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_a_missing_label_is_no_class(name, missing):
    X, y = toy({"a": 10, "b": 10})
    y = y.astype(object)
    y[13] = missing
    with pytest.raises(InputError, match="training row 13: has no label"):
        fitted(name, X, y)


@pytest.mark.parametrize("counts", [{"a": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 30}])
@pytest.mark.parametrize("d", [1, 3])
def test_the_smallest_training_sets(name, counts, d):
    generator = fitted(name, *toy(counts, d))
    X = generator.sample(np.repeat(list(counts), 3), seed=0)
    assert X.shape == (3 * len(counts), d)
    assert np.isfinite(X).all()


def test_constant_and_repeated_rows(name):
    X = np.ones((12, 4), dtype=np.float32)
    X[:, 0] = np.repeat([1, 5, 9], 4)
    generator = fitted(name, X, np.repeat(["a", "b", "c"], 4))
    sample = generator.sample(np.asarray(["a", "c"]), seed=0)
    if name in MIXING | UNTRAINED:
        assert np.isfinite(sample).all()
        return
    np.testing.assert_allclose(sample, [[1, 1, 1, 1], [9, 1, 1, 1]], atol=1e-4)


def test_more_dimensions_than_rows(name):
    generator = fitted(name, *toy({"a": 8, "b": 3}, d=50))
    assert np.isfinite(generator.sample(np.repeat(["a", "b"], 20), seed=0)).all()


def test_an_unlabelled_pool_is_accepted(name):
    X, y = toy({"a": 20, "b": 5})
    pool, _ = toy({"a": 30, "b": 30}, seed=1)
    generator = fitted(name, X, y, X_unlabelled=pool)
    assert generator.sample(np.asarray(["a", "b"]), seed=0).shape == (2, 6)
    with pytest.raises(InputError, match="pool"):
        fitted(name, X, y, X_unlabelled=np.full((2, 6), np.inf, dtype=np.float32))


def test_a_pool_of_another_width_is_refused(name):
    X, y = toy({"a": 20, "b": 5})
    with pytest.raises(ValueError, match=r"X_unlabelled \(m, d\) disagree"):
        fitted(name, X, y, X_unlabelled=X[:, :5])


def test_a_fit_that_fails_leaves_nothing_to_sample(name, monkeypatch):
    """What was learned before must not be sampled under another fingerprint."""
    X, y = toy({"a": 20, "b": 5})
    generator = fitted(name, X, y)
    bad = np.full((2, 6), np.nan, dtype=np.float32)
    other = {"fingerprint": Fingerprint.of(["elsewhere"]), "cell_id": names(X)}
    with pytest.raises(InputError, match="pool"):
        generator.fit(X, np.char.add(y, "!"), X_unlabelled=bad, **other)
    assert generator.fingerprint == FINGERPRINT  # nothing was begun
    assert generator.sample(np.asarray(["a"]), seed=0).shape == (1, 6)

    def fails(*given):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(generator, "_fit", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        generator.fit(X, np.char.add(y, "!"), **other)
    with pytest.raises(RuntimeError, match="not fitted"):
        generator.sample(np.asarray(["a"]), seed=0)


def test_the_training_rows_are_left_as_they_were(name):
    X, y = toy({"a": 20, "b": 5})
    before = X.copy()
    fitted(name, X, y).sample(np.repeat("b", 50), seed=0)
    np.testing.assert_array_equal(X, before)


def test_rows_that_are_changed_after_the_fit_change_no_sample(name):
    if GENERATORS[name].needs_images:
        pytest.skip("its images are looked up by the rows' names")
    X, y = toy({"a": 20, "b": 5})
    pool = X + np.float32(0.1)
    expected = fitted(name, X, y, X_unlabelled=pool).sample(np.repeat("b", 9), seed=0)
    own, other = X.copy(), pool.copy()
    generator = fitted(name, own, y, X_unlabelled=other)
    own *= 3
    other *= 3
    assert generator.sample(np.repeat("b", 9), seed=0).tobytes() == expected.tobytes()


def test_rows_do_not_depend_on_the_number_of_threads(name, tmp_path):
    """Of a covariance of few rows in many dimensions many eigenvalues are equal: any axes do."""
    if GENERATORS[name].needs_images or name in UNTRAINED - {"latent-ddim"}:
        pytest.skip("trains a network of images, or takes long")
    X, y = toy({"a": 30, "b": 9}, d=384)
    drawn = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            generator = fitted(name, X, y)
            drawn.append(generator.sample(np.repeat("b", 9), seed=0))
            if threads == 1:
                generator.save(tmp_path / "g")
            drawn.append(load_generator(tmp_path / "g").sample(np.repeat("b", 9), seed=0))
    assert len({rows.tobytes() for rows in drawn}) == 1


def test_hyper_parameters_suggested_are_accepted(name):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        trial = study.ask()
        drawn = GENERATORS[name].search_space(trial)
        assert drawn == trial.params
        make_generator(name, drawn, seed=0)


@pytest.mark.parametrize("name", ["none", *NAMES])
def test_unknown_parameters_are_refused(name):
    with pytest.raises(ParameterError, match="bogus"):
        make_generator(name, {"bogus": 1}, seed=0)


def test_a_parameter_out_of_range_shows_its_value():
    with pytest.raises(ParameterError, match="-3"):
        make_generator("smote", {"k_neighbors": -3}, seed=0)


def test_one_name_is_no_list_of_classes():
    made = fitted("gaussian", *toy({"a": 4, "b": 4}))
    for name in ("a", "ab"):
        with pytest.raises(ParameterError, match=r"y: is no list of classes; give one a row"):
            made.synthesize(name, seed=0)


def test_an_unknown_name_is_told_with_its_nearest_neighbour():
    with pytest.raises(ParameterError, match="smote"):
        make_generator("smoote", seed=0)


def test_none_samples_nothing(tmp_path):
    X, y = toy({"a": 3})
    make_generator("none", seed=0).fit(X, y, fingerprint=FINGERPRINT).save(tmp_path / "g")
    generator = load_generator(tmp_path / "g")
    assert generator.sample(np.asarray([], dtype=str), seed=0).shape == (0, 6)
    with pytest.raises(ParameterError, match="ratio 0"):
        generator.sample(np.asarray(["a"]), seed=0)


def test_registering_loads_no_heavy_library():
    code = (
        "import sys, bloomdiff.generators as g; assert len(list(g.GENERATORS)) > 3;"
        "print(sorted({'torch', 'sklearn', 'imblearn', 'optuna', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_no_generator_is_refused(tmp_path):
    with pytest.raises(InputError):
        load_generator(tmp_path / "nowhere")
    (tmp_path / "generator.json").write_text('{"generator": "gan"}')
    with pytest.raises(InputError, match="does not name a generator"):
        load_generator(tmp_path)


def test_feedback_where_no_row_varies():
    X = np.ones((3, 2), dtype=np.float32)
    y = np.asarray(["a", "a", "b"])
    generator = make_generator("diffusion", {"feedback": 1.0, "n_steps": 0}, seed=0)
    generator.fit(X, y, fingerprint=FINGERPRINT)
    np.testing.assert_array_equal(generator.sample(y, seed=0), X)


def test_a_generators_units_are_those_of_training_cells_and_pool():
    def seen(n, prefix, seed):
        rng = np.random.default_rng(seed)
        ids = [f"{prefix}{i}" for i in range(n)]
        rows = pd.DataFrame({"cell_id": ids, "label": ["a", "b"] * (n // 2), "group": prefix})
        views = rng.normal(size=(n, 3, 4)) * (1 + np.arange(4)[:: 1 if seed else -1])
        return EmbeddingSet(
            rng.normal(size=(n, 4)).astype(np.float32), rows, {}, views.astype(np.float32)
        )

    train, pool = seen(20, "train", 0), seen(60, "pool", 1)
    made = make_generator("gaussian", seed=0).fit_cells(train, pool)
    np.testing.assert_array_equal(made._outwards, ViewWhitening.of(train, pool).outwards)


@pytest.mark.parametrize("name", ["gaussian", "jitter", "smote", "oversample", "kde", "mixup"])
def test_classes_have_draws_of_their_own(name):
    """Of classes with the same rows, equal draws would give the same samples."""
    X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    y = np.repeat(["a", "b"], 30)
    g = make_generator(name, seed=0).fit(np.tile(X, (2, 1)), y, fingerprint=Fingerprint.of(["s"]))
    rows = g.sample(np.repeat(["a", "b"], 8), seed=0)
    assert not np.allclose(rows[:8], rows[8:])
