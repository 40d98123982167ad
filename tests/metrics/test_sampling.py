import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.metrics.sampling import class_gaussian, stratified_rows

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
