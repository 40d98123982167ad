import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from bloomdiff.errors import InputError
from bloomdiff.metrics import blocks
from bloomdiff.metrics.evaluation import evaluate_synthetic
from bloomdiff.metrics.frechet import frechet_distance
from bloomdiff.metrics.manifold import precision_recall_density_coverage as ours
from bloomdiff.metrics.reference import Reference


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(8, 120),
    m=st.integers(8, 120),
    d=st.integers(1, 200),
    k=st.integers(1, 5),
    shift=st.floats(0, 3),
    seed=st.integers(0, 10_000),
)
def test_agrees_with_prdc(n: int, m: int, d: int, k: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, synthetic = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 0.8 + shift / d**0.5
    expected = compute_prdc(real, synthetic, k)
    for name, value in ours(real, synthetic, k=k).items():
        assert value == pytest.approx(float(expected[name]), rel=1e-4, abs=1e-12), name


@pytest.mark.parametrize("outlier", [0.0, 100.0])
def test_float32_blocks_give_the_same_shares(
    monkeypatch: pytest.MonkeyPatch, outlier: float
) -> None:
    """An outlier makes the rounding as large as the distances: answers must stay exact."""
    monkeypatch.setattr(blocks, "_FLOAT64_PAIRS", 0)
    rng = np.random.default_rng(0)
    real, synthetic = 0.02 * rng.normal(size=(200, 16)), 0.02 * rng.normal(size=(150, 16))
    real[0], synthetic[0] = outlier, -outlier
    expected = compute_prdc(real, synthetic, 5)
    for name, value in ours(real, synthetic).items():
        assert value == pytest.approx(float(expected[name]), rel=1e-4), name


def test_identical_points_have_empty_balls() -> None:
    points = np.ones((30, 7))
    expected = compute_prdc(points, points, 5)
    assert ours(points, points) == {name: float(value) for name, value in expected.items()}
    assert set(ours(points, points).values()) == {0.0}


def test_a_perfect_a_distant_and_a_collapsed_generator() -> None:
    rng = np.random.default_rng(1)
    real, good = rng.normal(size=(2, 400, 8))
    assert min(ours(real, good).values()) > 0.8
    assert set(ours(real, good + 100).values()) == {0.0}
    collapsed = ours(real, good[:1] * 0.1 + 0.01 * rng.normal(size=(400, 8)))
    assert collapsed["precision"] > 0.9
    assert collapsed["recall"] < 0.1
    assert collapsed["coverage"] < 0.5


@pytest.mark.parametrize(
    ("real", "synthetic", "match"),
    [
        (np.ones((1, 3)), np.ones((9, 3)), "real rows: too few: needs 6, has 1"),
        (np.ones((9, 3)), np.full((9, 3), np.nan), "synthetic row 0: is not finite"),
        (np.ones((9, 3)), np.ones((9, 4)), "synthetic rows: have 4 dimensions, the real ones 3"),
    ],
)
def test_bad_input_is_told(real: np.ndarray, synthetic: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        ours(real, synthetic)


@pytest.mark.parametrize("k", [3, 5])
def test_the_registered_metrics_are_the_function(k: int) -> None:
    rng = np.random.default_rng(0)
    train, test, synthetic = (rng.normal(size=(n, 3)) for n in (80, 60, 70))
    synthetic[:, 0] = 2 * synthetic[:, 0] + 0.5
    test *= 0.8
    records = evaluate_synthetic(synthetic, train, test, seed=0, k=k, n_bootstrap=0)
    found = {r["metric"]: r["value"] for r in records}
    scale = Reference.of(train, test, seed=0).scale
    expected = ours(scale(test), scale(synthetic), k=k)
    assert len(set(expected.values())) == 4
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found["frechet_distance"] == pytest.approx(
        frechet_distance(scale(test), scale(synthetic))
    )
