"""Temperatures: learned on held-out training cells alone, by a generator that never saw them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.errors import LeakageError
from bloomdiff.experiments import temperature
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.temperature import fit_temperatures
from bloomdiff.metrics.calibration import fit_temperature
from bloomdiff.metrics.classification import class_indices

KNN = ("knn", {"n_neighbors": 1})


def cells(n=240, n_groups=12, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    X = noise * rng.standard_normal((n, 8)) + 3 * np.eye(3, 8)[y]
    rows = pd.DataFrame(
        {
            "cell_id": [f"c{i}" for i in range(n)],
            "label": np.array(["a", "b", "c"], dtype=object)[y],
            "group": [f"g{i % n_groups}" for i in range(n)],
        }
    )
    return EmbeddingSet(X.astype(np.float32), rows)


def fitted(train, **options):
    settings = {
        "generator": None,
        "classifier": ("logistic", {"C": 1e4}),
        "ratios": (0.0,),
        "allocation": "balance",
        "n_splits": 3,
        "seed": 0,
    }
    return fit_temperatures(train, train.take([]), **{**settings, **options})


def test_real_only_is_the_temperature_of_stacked_out_of_fold_rows():
    train = cells()
    proba, truth = [], []
    for fit, validate in inner_folds(train, 3, 0):
        inner, held_out = train.take(fit), train.take(validate)
        model = make_classifier("logistic", {"C": 1e4}, seed=0)
        model.fit(inner.X, inner.label, fingerprint=inner.fingerprint)
        proba.append(model.predict_proba(held_out.X))
        truth.append(class_indices(held_out.label, ["a", "b", "c"]))
    expected = fit_temperature(np.concatenate(truth), np.concatenate(proba))
    found = fitted(train)
    assert found.to_dict("records") == [
        {"ratio": "0", "temperature": pytest.approx(expected), "n_validated": 240}
    ]
    # An all but unpenalised fit on few noisy rows is over-confident.
    assert expected > 1.2


def test_each_ratio_has_its_own_and_the_inner_generator_never_sees_the_held_out(monkeypatch):
    train, seen = cells(), []
    real = temperature.make_generator

    def spy(*args, **kwargs):
        generator = real(*args, **kwargs)
        fit = generator.fit

        def told(*args, fingerprint, **kwargs):
            seen.append(fingerprint)
            return fit(*args, fingerprint=fingerprint, **kwargs)

        generator.fit = told
        return generator

    monkeypatch.setattr(temperature, "make_generator", spy)
    found = fitted(train, generator=("gaussian", {}), ratios=(1.0, 4.0, float("inf")))
    assert found["ratio"].tolist() == ["1", "4", "inf"]
    assert found["temperature"].between(0.05, 20).all()
    assert found["temperature"].nunique() == 3
    assert len(seen) == 3
    held_out = [set(train.group[v]) for _, v in inner_folds(train, 3, 0)]
    for fingerprint, groups in zip(seen, held_out, strict=True):
        assert not fingerprint.overlap(groups)


def test_rows_of_the_outer_generator_are_refused(monkeypatch):
    """The shortcut that would leak: one generator, fitted on the whole training part."""
    train = cells()
    outer = temperature.make_generator("gaussian", {}, seed=0)
    outer.fit(train.X, train.label, fingerprint=train.fingerprint)
    shares = np.repeat(["a", "b", "c"], 200)
    monkeypatch.setattr(temperature, "_synthesize", lambda *_: outer.synthesize(shares, seed=0))
    with pytest.raises(LeakageError):
        fitted(train, generator=("gaussian", {}), ratios=(1.0,))


def test_without_inner_folds_there_is_no_temperature():
    for found in (fitted(cells(), n_splits=0), fitted(cells(n_groups=1))):
        assert found["temperature"].isna().all()
        assert (found["n_validated"] == 0).all()


def test_a_class_without_synthetic_rows_does_not_spoil_the_temperature():
    """At a small ratio `balance` gives the largest class nothing, and synthetic-only lacks it."""
    train = cells()
    every = np.select([train.label == "a", train.label == "b"], [4, 2], default=1)
    many = train.take(np.flatnonzero(np.arange(len(train)) // 12 % every == 0))
    found = fitted(many, generator=("gaussian", {}), ratios=(0.5, float("inf")))
    only = found.set_index("ratio").loc["inf"]
    assert only["n_validated"] < len(many)
    assert only["temperature"] < 15


def test_a_ratio_of_no_row_on_the_inner_side_has_no_temperature():
    train = cells(60)
    found = fitted(train, generator=("gaussian", {}), ratios=(0.0, 0.01, 1.0)).set_index("ratio")
    assert found.loc["0.01", "n_validated"] == 0  # 0.6 rows: one beside all 60, none beside 40
    assert np.isnan(found.loc["0.01", "temperature"])
    assert found.loc[["0", "1"], "n_validated"].tolist() == [60, 60]


def with_views(train, seed=1):
    noise = np.random.default_rng(seed).standard_normal((len(train), 2, 8)).astype(np.float32)
    return replace(train, views=train.X[:, None] + noise * np.arange(1, 9, dtype=np.float32))


def test_inner_fits_have_the_pool_and_the_units_that_the_outer_ones_have(monkeypatch):
    train = with_views(cells())
    pool = with_views(cells(40, 40, seed=2), seed=3)
    pool = replace(pool, rows=pool.rows.assign(label="", cell_id="p" + pool.rows["cell_id"]))
    made = []

    def spy(kind, real):
        def make(*args, **given):
            model = real(*args, **given)
            fit = model.fit

            def keep(*args, **given):
                made.append((kind, given))
                return fit(*args, **given)

            model.fit = keep
            return model

        return make

    for name in ("make_classifier", "make_generator"):
        monkeypatch.setattr(temperature, name, spy(name, getattr(temperature, name)))
    fit_temperatures(
        train,
        pool,
        generator=("gaussian", {}),
        classifier=("logistic", {}),
        ratios=(1.0,),
        allocation="balance",
        n_splits=3,
        seed=0,
    )
    folds = InnerFolds(train, pool, n_splits=3, seed=0)
    assert [kind for kind, _ in made] == ["make_generator", "make_classifier"] * 3
    for fold, (_, generated), (_, classified) in zip(folds, made[::2], made[1::2], strict=True):
        assert 0 < len(fold.pool) < len(pool)
        np.testing.assert_array_equal(generated["X_unlabelled"], fold.pool.X)
        np.testing.assert_array_equal(classified["pool"].cell_id, fold.pool.cell_id)
        for given in (generated, classified):
            np.testing.assert_array_equal(given["whitening"].inwards, fold.whitening.inwards)
