import numpy as np
import pytest

from bloomdiff.errors import InputError
from bloomdiff.metrics.two_sample import two_sample_test


def test_one_distribution_is_not_told_apart_more_often_than_it_should() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for seed in range(100):
        found = two_sample_test(*rng.normal(size=(2, 100, 20)), seed=seed)
        rejected += not found["low"] <= 0.5 <= found["high"]
    assert rejected <= 12


@pytest.mark.parametrize("fault", ["shift", "spread", "skew"])
def test_faults_are_told_apart(fault: str) -> None:
    rng = np.random.default_rng(1)
    real = rng.normal(size=(800, 6))
    synthetic = {
        "shift": rng.normal(size=(900, 6)) + 0.5,
        "spread": rng.normal(size=(900, 6)) * 0.6,
        "skew": rng.exponential(size=(900, 6)) - 1,
    }[fault]
    found = two_sample_test(real, synthetic, seed=0)
    assert found["low"] > 0.55
    assert found["n"] == 800


def test_the_interval_is_wilsons() -> None:
    from scipy.stats import binomtest

    rng = np.random.default_rng(2)
    found = two_sample_test(rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + 0.4, seed=0)
    hits = round(found["accuracy"] * found["n"])
    expected = binomtest(hits, int(found["n"])).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_too_few_points() -> None:
    with pytest.raises(InputError, match="real rows: too few: needs 10, has 9"):
        two_sample_test(np.ones((9, 2)), np.ones((20, 2)), seed=0)
