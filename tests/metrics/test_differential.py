import numpy as np
import pytest
from scipy.stats import binomtest

from bloomdiff.errors import InputError
from bloomdiff.metrics.differential import (
    differential_counts,
    differential_summary,
    rumke_interval,
)


@pytest.mark.parametrize(("count", "n"), [(0, 100), (5, 100), (50, 100), (100, 100), (3, 200)])
def test_limits_are_the_exact_binomial_ones(count: int, n: int) -> None:
    expected = binomtest(count, n).proportion_ci(method="exact")
    assert rumke_interval(count, n) == pytest.approx((expected.low, expected.high))


def test_limits_of_rumkes_table() -> None:
    # Rümke's table for 100 cells, in whole per cent: 5 -> 1-12, 20 -> 12-30, 50 -> 39-61.
    for share, (low, high) in {5: (1, 12), 20: (12, 30), 50: (39, 61)}.items():
        exact = rumke_interval(share, 100)
        assert (np.floor(100 * exact[0]), np.ceil(100 * exact[1])) == (low, high)


def slides(error: float) -> dict[str, float]:
    rng = np.random.default_rng(0)
    truth = rng.choice(3, p=[0.1, 0.3, 0.6], size=1000)
    predicted = np.where((truth == 2) & (rng.random(1000) < error), 0, truth)
    names = np.repeat([f"slide{i}" for i in range(10)], 100)
    return differential_summary(differential_counts(truth, predicted, names, ["a", "b", "c"]))


def test_a_perfect_and_a_biased_count() -> None:
    assert slides(0.0) == {"mean_absolute_error": 0.0, "within_limits": 1.0, "n_slides": 10.0}
    biased = slides(0.5)
    assert biased["mean_absolute_error"] == pytest.approx(0.2, abs=0.03)
    assert biased["within_limits"] < 0.5


@pytest.mark.parametrize("n", [100, 200])
def test_a_second_perfect_count_lies_within_in_some_85_per_cent(n: int) -> None:
    """The limits cover the share behind a count in 95 % of cases; both counts vary about that."""
    rng = np.random.default_rng(1)
    shares = np.array([0.45, 0.3, 0.15, 0.07, 0.03])
    smears = np.repeat([f"{k:03d}" for k in range(400)], n)
    one, other = rng.choice(5, p=shares, size=(2, 400 * n))
    records = differential_counts(one, other, smears, list("abcde"))
    assert differential_summary(records)["within_limits"] == pytest.approx(0.85, abs=0.03)
    truth = np.resize(shares, len(records))
    covered = [r["low"] <= p <= r["high"] for r, p in zip(records, truth, strict=True)]
    assert np.mean(covered) >= 0.95


def test_errors_of_cells_that_cancel_leave_the_count_right() -> None:
    truth = np.repeat([0, 1], 50)
    records = differential_counts(truth, 1 - truth, np.array(["s"] * 100), ["a", "b"])
    assert [r["error"] for r in records] == [0, 0]
    assert all(r["within"] for r in records)


def test_small_slides_are_left_out() -> None:
    truth = np.zeros(60, dtype=int)
    names = np.repeat(["big", "small"], [50, 10])
    assert {r["slide"] for r in differential_counts(truth, truth, names, ["a"])} == {"big"}
    with pytest.raises(InputError, match="too few: no slide has 100 cells"):
        differential_counts(truth, truth, names, ["a"], minimum=100)
    with pytest.raises(ValueError, match="count must be between"):
        rumke_interval(3, 2)


def test_classes_that_neither_count_knows_do_not_count() -> None:
    truth = np.repeat([0, 1], 50)
    records = differential_counts(truth, truth * 0, np.repeat("s", 100), ["a", "b", "c"])
    assert [record["within"] for record in records] == [False, False, True]
    summary = differential_summary(records)
    assert summary["within_limits"] == 0
    assert summary["mean_absolute_error"] == 0.5


def test_slides_of_one_cell_each_cost_no_pass_over_all() -> None:
    """A second at most for what took minutes: every cell of most sets is a slide of its own."""
    n = 200_000
    slides = np.array([f"cell {i}" for i in range(n)])
    slides[-50:] = "a slide"
    truth = np.zeros(n, dtype=np.intp)
    truth[-10:] = 1
    found = differential_counts(truth, truth, slides, ["a", "b"])
    assert [(r["slide"], r["n"], r["true_share"]) for r in found] == [
        ("a slide", 50, 0.8),
        ("a slide", 50, 0.2),
    ]
