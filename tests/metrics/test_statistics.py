import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bloomdiff.metrics.classification import macro_f1
from bloomdiff.metrics.resampling import bootstrap_interval, paired_bootstrap
from bloomdiff.metrics.statistics import (
    corrected_interval,
    fold_means,
    holm,
    paired_difference,
)


def test_without_the_correction_it_is_the_t_interval_of_scipy() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.05, size=(5, 3))
    means = scores.mean(axis=1)
    # A vanishing test fraction leaves 1/J, the uncorrected variance.
    ours = corrected_interval(scores, 1e-12)
    low, high = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-9)
    assert (ours.n_folds, ours.n_seeds) == (5, 3)


def test_the_correction_widens_by_the_papers_factor() -> None:
    scores = np.random.default_rng(1).normal(size=5)
    plain, corrected = corrected_interval(scores, 1e-12), corrected_interval(scores, 0.2)
    # (1/5 + 0.2/0.8) / (1/5) = 2.25
    ratio = corrected.standard_error / plain.standard_error
    assert ratio == pytest.approx(1.5, rel=1e-9)


def test_paired_test_is_scipys_without_the_correction() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.7, 0.05, size=(2, 10))
    ours, oracle = paired_difference(a, b, 1e-12), stats.ttest_rel(a, b)
    assert ours.p_value == pytest.approx(oracle.pvalue, rel=1e-6)
    assert ours.mean == pytest.approx((a - b).mean())
    assert ours.effect_size == pytest.approx((a - b).mean() / (a - b).std(ddof=1))


def test_seeds_are_not_counted_as_folds() -> None:
    # Twenty identical seeds of a fold add no evidence.
    a, b = np.random.default_rng(3).normal(size=(2, 5, 1))
    once, often = paired_difference(a, b, 0.2), paired_difference(a.repeat(20, 1), b, 0.2)
    assert often.p_value == pytest.approx(once.p_value, rel=1e-9)


def test_correction_keeps_the_error_rate_where_the_plain_test_does_not() -> None:
    """Overlapping training sets: the plain t-test cries wolf, the corrected one does not."""
    rng = np.random.default_rng(4)
    plain = corrected = 0
    for _ in range(400):
        x = rng.normal(size=60)
        noise = rng.normal(size=60)
        differences = []
        for _ in range(15):
            order = rng.permutation(60)
            train, test = order[:48], order[48:]
            # The "model" learns a sign from the training rows; no sign is right.
            differences.append(np.sign(x[train].mean()) * x[test].mean() + noise[test].mean())
        zeros = np.zeros(15)
        plain += paired_difference(np.array(differences), zeros, 1e-12).p_value < 0.05
        corrected += paired_difference(np.array(differences), zeros, 0.2).p_value < 0.05
    assert plain / 400 > 0.15
    assert corrected / 400 < 0.09


def test_degenerate_folds() -> None:
    same = paired_difference([[0.5], [0.5]], [[0.5], [0.5]], 0.2)
    assert (same.p_value, same.effect_size, same.low, same.high) == (1, 0, 0, 0)
    shifted = paired_difference([[0.6], [0.7], [0.8]], [[0.5], [0.6], [0.7]], 0.2)
    assert (shifted.p_value, shifted.effect_size) == (0, np.inf)
    single = corrected_interval([[0.5, 0.7]], 0.2)
    assert single.mean == pytest.approx(0.6)
    assert np.isnan([single.low, single.high]).all()
    with pytest.raises(ValueError, match="fold 1, seed 0 is not finite"):
        fold_means([[0.1], [np.nan]])
    with pytest.raises(ValueError, match="not paired"):
        paired_difference([[1.0]] * 3, [[1.0]] * 2, 0.2)
    with pytest.raises(ValueError, match="test_fraction"):
        corrected_interval([0.1, 0.2], 1.0)


def test_holm_on_the_textbook_example() -> None:
    # Holm (1979): 4 tests; the third step stops everything after it.
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm([0.2, np.nan])[1])
    assert holm([0.2, np.nan])[0] == 0.2
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    raw = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= raw - 1e-12).all()
    assert (adjusted <= np.minimum(1, raw * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_bootstrap_sees_a_planted_gain_and_no_gain() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(4, size=300)
    good = np.where(rng.random(300) < 0.9, truth, rng.integers(4, size=300))
    weak = np.where(rng.random(300) < 0.6, truth, rng.integers(4, size=300))

    def score(y: np.ndarray, pred: np.ndarray) -> float:
        return macro_f1(y, pred, 4)

    gain = paired_bootstrap(truth, good, weak, score, seed=0)
    assert gain["low"] > 0
    assert gain["p_value"] < 0.01
    none = paired_bootstrap(truth, good, good, score, seed=0)
    assert (none["difference"], none["low"], none["high"], none["p_value"]) == (0, 0, 0, 1)
    assert gain == paired_bootstrap(truth, good, weak, score, seed=0)


def test_whole_slides_are_resampled() -> None:
    """Cells that are copies of each other carry one cell's evidence."""
    rng = np.random.default_rng(6)
    truth = rng.integers(2, size=40)
    good = np.where(rng.random(40) < 0.8, truth, 1 - truth)
    weak = np.where(rng.random(40) < 0.65, truth, 1 - truth)

    def accuracy(y: np.ndarray, pred: np.ndarray) -> float:
        return float((y == pred).mean())

    def width(copies: int, groups: np.ndarray | None) -> float:
        arrays = [a.repeat(copies) for a in (truth, good, weak)]
        result = paired_bootstrap(*arrays, accuracy, seed=0, groups=groups)
        return result["high"] - result["low"]

    slides = np.arange(40).repeat(25).astype(str)
    assert width(25, slides) == pytest.approx(width(1, None), rel=0.15)
    assert width(25, None) < 0.4 * width(1, None)


def test_interval_of_a_score_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    predicted = np.where(rng.random(200) < 0.3, rng.integers(3, size=200), truth)

    def accuracy(a: np.ndarray, b: np.ndarray) -> float:
        return float((a == b).mean())

    found = bootstrap_interval(truth, predicted, accuracy, seed=0, n_bootstrap=5000)
    expected = stats.bootstrap(
        ((truth == predicted).astype(float),), np.mean, method="percentile", random_state=0
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.006)
    # Groups that are right or wrong as a whole carry less evidence than as many single cells.
    right = np.repeat(rng.random(20) < 0.7, 10)
    narrow = bootstrap_interval(np.ones(200, int), right.astype(int), accuracy, seed=0)
    wide = bootstrap_interval(
        np.ones(200, int), right.astype(int), accuracy, seed=0, groups=np.repeat(np.arange(20), 10)
    )
    assert np.ptp(wide) > 2 * np.ptp(narrow)


def _share(y: np.ndarray, pred: np.ndarray) -> float:
    return float((y == pred).mean())


def test_fewer_than_five_slides_give_no_interval() -> None:
    truth = np.tile([0, 1], 50)
    pred = np.where(np.arange(100) < 10, 1 - truth, truth)
    other = np.where(np.arange(100) < 12, 1 - truth, truth)
    four = (np.arange(100) % 4).astype(str)
    result = paired_bootstrap(truth, pred, other, _share, seed=0, groups=four)
    assert result["difference"] == pytest.approx(0.02)
    assert np.isnan([result["low"], result["high"], result["p_value"]]).all()
    assert np.isnan(bootstrap_interval(truth, pred, _share, seed=0, groups=four)).all()
    five = (np.arange(100) % 5).astype(str)
    assert np.isfinite(bootstrap_interval(truth, pred, _share, seed=0, groups=five)).all()


@pytest.mark.parametrize("n_slides", [6, 10])
def test_intervals_of_few_slides_cover_what_they_say(n_slides: int) -> None:
    """Slides of unlike quality: the share right of all slides lies inside in some 95 % of draws."""
    rng, covered = np.random.default_rng(8), []
    for trial in range(300):
        quality = np.clip(rng.normal(0.7, 0.1, n_slides), 0, 1).repeat(40)
        right = rng.random(40 * n_slides) < quality
        low, high = bootstrap_interval(
            np.ones(len(right), int),
            right.astype(int),
            _share,
            seed=trial,
            groups=np.arange(n_slides).astype(str).repeat(40),
            n_bootstrap=400,
        )
        covered.append(low <= 0.7 <= high)
    assert 0.9 < np.mean(covered) < 0.99


def test_many_cells_have_the_percentile_interval_of_scipy() -> None:
    rng = np.random.default_rng(9)
    right = rng.random(2000) < 0.8
    found = bootstrap_interval(
        np.ones(2000, int), right.astype(int), _share, seed=0, n_bootstrap=8000
    )
    oracle = stats.bootstrap(
        (right.astype(float),), np.mean, method="percentile", n_resamples=8000, random_state=0
    ).confidence_interval
    assert found == pytest.approx((oracle.low, oracle.high), abs=0.002)


def test_the_p_value_says_whether_zero_lies_inside() -> None:
    rng = np.random.default_rng(10)
    for trial in range(20):
        truth = np.ones(120, int)
        good, weak = ((rng.random(120) < share).astype(int) for share in (0.8, 0.72))
        slides = (np.arange(120) // 12).astype(str)
        found = paired_bootstrap(truth, good, weak, _share, seed=trial, groups=slides)
        if abs(found["p_value"] - 0.05) > 0.01:
            assert (found["p_value"] < 0.05) == (not found["low"] <= 0 <= found["high"])
