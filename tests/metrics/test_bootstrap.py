import numpy as np
import pytest
from scipy import stats

from bloomdiff.metrics.base import Score
from bloomdiff.metrics.bootstrap import bootstrap_counts, resampled_means, resampled_medians
from bloomdiff.metrics.resampling import _interval


def test_counts_sum_to_the_rows_and_follow_the_seed() -> None:
    counts = bootstrap_counts(30, 7, np.random.default_rng(3))
    assert counts.shape == (30, 7)
    assert (counts.sum(axis=0) == 30).all()
    assert (counts == bootstrap_counts(30, 7, np.random.default_rng(3))).all()


def test_rows_of_a_group_are_drawn_together() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    counts = bootstrap_counts(6, 50, np.random.default_rng(0), groups)
    for name in "abc":
        assert (counts[groups == name] == counts[groups == name][:1]).all()
    per_group = np.stack([counts[groups == name][0] for name in "abc"])
    assert (per_group.sum(axis=0) == 3).all()


def test_copies_of_a_cell_add_no_evidence_when_grouped() -> None:
    values = np.random.default_rng(1).normal(size=50)
    slides = np.repeat(np.arange(50).astype(str), 20)

    def width(groups: np.ndarray | None, repeats: int) -> float:
        many = values.repeat(repeats)
        counts = bootstrap_counts(len(many), 2000, np.random.default_rng(2), groups)
        low, high = Score(0.0, resampled_means(many, counts)).interval()
        return high - low

    assert width(slides, 20) == pytest.approx(width(None, 1), rel=0.1)
    assert width(None, 20) < 0.3 * width(None, 1)


@pytest.mark.parametrize("grouped", [False, True])
def test_means_and_medians_are_those_of_the_resampled_rows(grouped: bool) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=21)
    groups = np.repeat(list("abcdefg"), 3) if grouped else None
    counts = bootstrap_counts(21, 30, rng, groups)
    rows = [np.repeat(values, column.astype(int)) for column in counts.T]
    np.testing.assert_allclose(resampled_means(values, counts), [r.mean() for r in rows])
    expected = [np.sort(r)[(len(r) - 1) // 2] for r in rows]
    np.testing.assert_allclose(resampled_medians(values, counts), expected)


def test_an_interval_leaves_undefined_resamples_out() -> None:
    score = Score(1.0, np.array([np.nan, 1.0, 2.0, np.nan]))
    assert score.interval(0.5) == pytest.approx((1.25, 1.75))
    assert np.isnan(Score(1.0, np.array([np.nan, 1.0])).interval()).all()
    assert np.isnan(Score(1.0).interval()).all()


def test_counts_that_are_unknown_give_no_median() -> None:
    counts = np.full((4, 3), np.nan, dtype=np.float32)
    assert np.isnan(resampled_medians(np.arange(4.0), counts)).all()


@pytest.mark.parametrize("n_units", [5, 12, 400])
def test_percentiles_are_expanded_as_in_the_paper(n_units: int) -> None:
    """Hesterberg (2015), equation 8: alpha / 2 becomes Φ(-√(n / (n - 1)) t)."""
    draws = np.linspace(0, 1, 100_001)
    t = stats.t.ppf(0.975, n_units - 1)
    tail = stats.norm.cdf(-np.sqrt(n_units / (n_units - 1)) * t)
    assert _interval(draws, n_units, 0.95) == pytest.approx((tail, 1 - tail), abs=1e-5)
