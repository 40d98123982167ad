"""The generators of tables: components and rest, their libraries, and what they learn."""

import sys

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.diffusion.whitening import residual_covariance
from bloomdiff.errors import ParameterError
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.generators.blocks import BLOCK
from bloomdiff.generators.tabular import TabularGenerator

NAMES = [name for name in GENERATORS if issubclass(GENERATORS[name], TabularGenerator)]
TRAINED = {
    "gaussian-copula": {},
    "forest-diffusion": {"n_t": 10, "duplicate_k": 20, "n_estimators": 20, "max_depth": 4},
    "tvae": {"epochs": 150},
}
# After so short a training the network often puts a row of one class where the other lies.
SHARE = {"gaussian-copula": 0.95, "forest-diffusion": 0.95, "tvae": 0.6}


def fitted(name, X, y, **params):
    pytest.importorskip(GENERATORS[name].library, reason="the extra [bench] is not installed")
    return make_generator(name, params, seed=0).fit(X, y, fingerprint=Fingerprint.of(["a"]))


@pytest.fixture(scope="module")
def two_classes():
    """Eight dimensions of falling spread; the classes differ in the first and in the last."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], [150, 50])
    X = rng.normal(size=(200, 8)) * [4, 3, 1, 1, 0.8, 0.6, 0.4, 0.2]
    X[:, 0] += np.where(y == "a", -8, 8)
    X[:, 7] += np.where(y == "a", 0, 3)
    return X.astype(np.float32), y


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_one_line_with_the_mend(name, two_classes, monkeypatch):
    monkeypatch.setitem(sys.modules, GENERATORS[name].library.split(".")[0], None)
    monkeypatch.delitem(sys.modules, GENERATORS[name].library, raising=False)
    monkeypatch.setitem(sys.modules, GENERATORS[name].library, None)
    X, y = two_classes
    with pytest.raises(ParameterError, match=r"pip install 'bloomdiff\[bench\]'") as caught:
        make_generator(name, seed=0).fit(X, y, fingerprint=Fingerprint.of(["a"]))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_says_how_many_components_it_models(name):
    assert make_generator(name, {"n_components": 5}, seed=0).params.n_components == 5


@pytest.mark.parametrize("name", TRAINED)
def test_learns_where_the_classes_are(name, two_classes):
    X, y = two_classes
    generator = fitted(name, X, y, n_components=2, **TRAINED[name])
    means = {c: X[y == c].mean(axis=0) for c in "ab"}
    for label, other in ("ab", "ba"):
        rows = generator.sample(np.repeat(label, 200), seed=1)
        near, far = (((rows - means[c]) ** 2).sum(axis=1) for c in (label, other))
        assert (near < far).mean() > SHARE[name]
        # The last dimension is not among the components: the rest's Gaussian brings it.
        assert rows[:, 7].mean() == pytest.approx(means[label][7], abs=0.2)


@pytest.mark.parametrize(("k", "shrinkage"), [(2, None), (8, 0.0)])
def test_components_and_rest_add_up_to_the_rows(two_classes, k, shrinkage):
    """The copula of normal rows has their covariance, also across the cut."""
    X, y = two_classes
    generator = fitted("gaussian-copula", X, y, n_components=k)
    rows = generator.sample(np.repeat("b", 4000), seed=1)
    expected = residual_covariance(X, (y == "b").astype(int), shrinkage=shrinkage)
    deviation = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(rows.mean(axis=0), X[y == "b"].mean(axis=0), atol=0.2)
    off = (np.cov(rows.T) - expected) / np.outer(deviation, deviation)
    assert np.abs(off).max() < 0.15


def test_ctgan_is_asked_for_the_class():
    class Model:
        def sample(self, *asked):
            return asked

    generator = make_generator("ctgan", seed=0)
    assert generator._candidates(Model(), "1") == (BLOCK, "label", "1")


@pytest.mark.filterwarnings("ignore:The iteration is not making good progress")
def test_the_copula_is_the_librarys(two_classes):
    copulas = pytest.importorskip("copulas.multivariate", reason="[bench] is not installed")
    from copulas.univariate import BetaUnivariate

    X, y = two_classes
    generator = fitted("gaussian-copula", X, y, n_components=3)
    centre = {c: generator._scores[y == c].mean(axis=0) for c in "ab"}
    oracle = copulas.GaussianMultivariate(distribution=BetaUnivariate)
    oracle.fit(pd.DataFrame(generator._scores - np.stack([centre[c] for c in y])))
    np.testing.assert_allclose(
        generator._model.correlation.to_numpy(), oracle.correlation.to_numpy(), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_global_random_states_are_left_alone_and_have_no_say(name, two_classes):
    import torch

    X, y = two_classes
    params = {"epochs": 1} if "epochs" in GENERATORS[name].Params.model_fields else {}
    params |= TRAINED[name] if name == "forest-diffusion" else {}
    rows = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
        generator = fitted(name, X, y, n_components=2, **params)
        rows.append(generator.sample(np.repeat("b", 3), seed=0))
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])
        assert torch.equal(torch.random.get_rng_state(), before[1])
    np.testing.assert_array_equal(*rows)


def test_rows_of_another_class_are_a_last_resort(two_classes, monkeypatch):
    X, y = two_classes
    generator = fitted("tvae", X, y, n_components=2, epochs=1)
    wanted = generator._scores[y == "b"].mean(axis=0)

    def candidates(model, label, share):
        rng = np.random.default_rng(len(calls))
        calls.append(label)
        table = pd.DataFrame(wanted + rng.normal(0, 5, (BLOCK, 2)), columns=["0", "1"])
        return table.assign(label=np.where(rng.random(BLOCK) < share, "1", "0"))

    calls: list[str] = []
    monkeypatch.setattr(generator, "_candidates", lambda *args: candidates(*args, share=0.5))
    generator._draw(generator._model, 1, 0)
    assert 2 <= len(calls) <= 4
    calls.clear()
    monkeypatch.setattr(generator, "_candidates", lambda *args: candidates(*args, share=0.0))
    rows = generator._draw(generator._model, 1, 0)
    assert rows.shape == (BLOCK, 2)
    assert len(calls) == 20
    # The nearest twentieth of a cloud of deviation 5.
    assert np.linalg.norm(rows - wanted, axis=1).max() < 2
