"""Allocation of synthetic rows: totals, nesting, and what each rule is for."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloomdiff.experiments.ratios import (
    allocate,
    class_counts,
    labels_wanted,
    largest_finite,
    ratio_name,
)

counts = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 400), min_size=1, max_size=8
)
rules = st.sampled_from(["balance", "proportional", "uniform"])


@given(counts, st.floats(0, 12), rules)
def test_total_is_ratio_times_rows(real, ratio, rule):
    shares = allocate(real, ratio, rule)
    assert list(shares) == list(real)
    assert sum(shares.values()) == round(ratio * sum(real.values()))
    assert min(shares.values()) >= 0


@given(counts, st.floats(0, 12), rules, st.randoms(use_true_random=False))
def test_labels_wanted_are_the_allocation_whatever_the_rows_order(real, ratio, rule, rng):
    label = [name for name, n in real.items() for _ in range(n)]
    rng.shuffle(label)
    assert list(class_counts(np.array(label)).items()) == sorted(real.items())
    wanted = labels_wanted(np.array(label), ratio, rule).tolist()
    assert wanted == sorted(wanted)
    shares = allocate(dict(sorted(real.items())), ratio, rule)
    assert Counter(wanted) == Counter({name: n for name, n in shares.items() if n})


@given(counts, st.floats(0, 8), st.floats(0, 8), rules)
def test_smaller_ratio_is_nested_in_larger(real, one, other, rule):
    small, large = sorted([one, other])
    few, many = allocate(real, small, rule), allocate(real, large, rule)
    assert all(few[name] <= many[name] for name in real)


@given(counts, st.floats(0, 8))
def test_balance_never_lifts_a_class_above_one_left_behind(real, ratio):
    shares = allocate(real, ratio, "balance")
    level = min(real[name] + shares[name] for name in real)
    assert all(real[name] + n <= level + 1 for name, n in shares.items() if n > 0)


def test_each_rule_on_a_long_tail():
    real = {"common": 90, "rare": 10}
    assert allocate(real, 0.5, "balance") == {"common": 0, "rare": 50}
    assert allocate(real, 2, "balance") == {"common": 60, "rare": 140}
    assert allocate(real, 2, "proportional") == {"common": 180, "rare": 20}
    assert allocate(real, 2, "uniform") == {"common": 100, "rare": 100}


@pytest.mark.parametrize("ratio", [-1, math.inf, math.nan])
def test_only_finite_ratios_are_counts(ratio):
    with pytest.raises(ValueError, match="finite"):
        allocate({"a": 1}, ratio, "balance")


def test_names_and_largest():
    assert [ratio_name(r) for r in (0, 0.5, 10, math.inf)] == ["0", "0.5", "10", "inf"]
    assert largest_finite([0, 2, math.inf]) == 2
    assert largest_finite([math.inf]) == largest_finite([0, math.inf]) == 1
