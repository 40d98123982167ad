import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.metrics.sampling import class_gaussian, group_halves, stratified_rows

NAMES = np.array(["BAS", "EOS", "LYT", "MON"])


@settings(max_examples=40, deadline=None)
@given(
    wanted=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    available=st.lists(st.integers(0, 50), min_size=5, max_size=5),
    at_most=st.integers(1, 200),
)
def test_stratified_rows_keep_proportions(
    wanted: list[int], available: list[int], at_most: int
) -> None:
    names = np.array(list("abcde"))
    y_like = np.repeat(names[: len(wanted)], wanted)
    y = np.repeat(names, available)
    rows = stratified_rows(y, y_like, at_most, np.random.default_rng(0))
    assert len(np.unique(rows)) == len(rows) <= at_most
    chosen = y[rows]
    assert set(chosen) <= set(y_like)
    shared = [name for name in names[: len(wanted)] if name in set(y)]
    total = sum(wanted[i] for i, name in enumerate(names[: len(wanted)]) if name in shared)
    for i, name in enumerate(names[: len(wanted)]):
        if name in shared:
            assert abs((chosen == name).sum() - len(rows) * wanted[i] / total) <= 2


def test_the_gaussian_control_has_the_moments_of_its_classes() -> None:
    rng = np.random.default_rng(4)
    y = np.repeat(NAMES, 500)
    centres = rng.normal(size=(4, 3)) * 3
    X = centres[np.searchsorted(NAMES, y)] + rng.normal(size=(2000, 3)) * [1, 2, 3]
    drawn = class_gaussian(X, y, np.repeat(NAMES[::-1], 2000), rng)
    np.testing.assert_allclose(drawn[:2000].mean(axis=0), centres[3], atol=0.3)
    np.testing.assert_allclose(drawn[:2000].std(axis=0), [1, 2, 3], rtol=0.15)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=8), seed=st.integers(0, 99))
def test_halves_hold_whole_groups_and_are_as_equal_as_these_allow(
    sizes: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat([f"g{k}" for k in range(len(sizes))], sizes))
    one, other = group_halves(groups, rng)
    assert sorted([*one, *other]) == list(range(len(groups)))
    assert not set(groups[one]) & set(groups[other])
    assert min(len(one), len(other)) >= 1
    assert abs(len(one) - len(other)) <= max(sizes)


def test_halves_of_single_rows_are_those_of_a_shuffle_whatever_the_rows_are_called() -> None:
    for n in (40, 41):
        expected = np.array_split(np.random.default_rng(7).permutation(n), 2)
        for names in (np.arange(n).astype(str), np.arange(n)[::-1].astype(str)):
            for rows, wanted in zip(
                group_halves(names, np.random.default_rng(7)), expected, strict=True
            ):
                assert rows.tolist() == wanted.tolist()
