import numpy as np
import pytest
from scipy.stats import permutation_test, spearmanr

from bloomdiff.metrics.agreement import rank_metrics, ranking_agreement


def test_one_fold_is_spearman_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values, gains = rng.normal(size=(2, 1, 6))
    found = ranking_agreement(values, gains, better="higher", seed=0)
    assert found["rho"] == pytest.approx(spearmanr(values[0], gains[0]).statistic)
    oracle = permutation_test(
        (values[0],),
        lambda x: spearmanr(x, gains[0]).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
    )
    assert found["p_value"] == pytest.approx(oracle.pvalue, abs=0.02)


def test_folds_are_averaged_and_direction_is_turned() -> None:
    rng = np.random.default_rng(1)
    values, gains = rng.normal(size=(2, 5, 6))
    found = ranking_agreement(values, gains, better="lower", seed=0)
    expected = -np.mean([spearmanr(v, g).statistic for v, g in zip(values, gains, strict=True)])
    assert found["rho"] == pytest.approx(expected)
    perfect = ranking_agreement(-gains, gains, better="lower", seed=0)
    assert perfect["rho"] == pytest.approx(1)
    assert perfect["p_value"] < 0.01


def test_many_folds_are_not_many_generators() -> None:
    """Four generators have 24 orders, however many folds repeat them."""
    gains = np.tile([0.1, 0.2, 0.3, 0.4], (50, 1))
    assert ranking_agreement(gains, gains, better="higher", seed=0)["p_value"] > 0.04


def test_undefined_agreements_say_why() -> None:
    ones = np.ones((2, 5))
    rising = np.tile(np.arange(5.0), (2, 1))
    broken = np.where(rising == 2, np.nan, rising)
    for values, gains, note in [
        (rising[:, :3], rising[:, :3], "too few: needs 4 generators, has 3"),
        (broken[:, :3], rising[:, :3], "too few: needs 4 generators, has 3"),
        (rising[:0], rising[:0], "too few: needs 1 fold, has 0"),
        (broken, rising, "the metric is undefined for a generator or fold"),
        (rising, ones, "all generators tie in a fold"),
    ]:
        found = ranking_agreement(values, gains, better="higher", seed=0)
        assert (found["rho"], found["p_value"], found["note"]) == (None, None, note)


def test_metrics_are_ranked_with_their_own_direction() -> None:
    gains = np.random.default_rng(2).normal(size=(5, 8))
    noise = np.random.default_rng(3).normal(size=(5, 8))
    table = rank_metrics(
        {"recall": noise, "frechet_distance": -gains, "precision": gains * np.nan}, gains, seed=0
    )
    assert [record["metric"] for record in table] == ["frechet_distance", "recall", "precision"]
    assert table[0]["p_adjusted"] == pytest.approx(2 * table[0]["p_value"])
    assert table[2]["p_adjusted"] is None


@pytest.mark.parametrize("n", [5, 30])
def test_interval_covers_the_true_correlation(n: int) -> None:
    """Bonett and Wright's interval keeps its promise on bivariate normal ranks."""
    rng = np.random.default_rng(4)
    rho = 0.6
    true = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's of a bivariate normal
    hits = []
    for _ in range(300):
        a = rng.normal(size=n)
        b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=n)
        found = ranking_agreement(a, b, better="higher", seed=0, n_permutations=9)
        hits.append(found["low"] <= true <= found["high"])
    assert np.mean(hits) > 0.9


def test_interval_of_a_perfect_agreement_is_wide_with_few_generators() -> None:
    rising = np.arange(4.0)
    found = ranking_agreement(rising, rising, better="higher", seed=0)
    assert found["rho"] == found["high"] == pytest.approx(1)
    assert found["low"] < 0.1
