"""Rows fetched from the pool are the pool's, whatever the units in which they are sought."""

import numpy as np
import pytest

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.generators import load_generator, make_generator

FINGERPRINT = Fingerprint.of(["slide"])


def cells(n, seed=0, d=8):
    return (20 * np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)


@pytest.fixture(scope="module")
def whitening():
    """The views vary most in the last features."""
    X, noise = cells(60, 2), np.random.default_rng(3).normal(size=(60, 3, 8)) * np.arange(1, 9) ** 2
    views = (X[:, None] + noise).astype(np.float32)
    return ViewWhitening.fit([(X, views)], Fingerprint.of(["of the views"]))


@pytest.mark.parametrize("pool", [cells(50, 1), None], ids=["pool", "alone"])
def test_what_is_fetched_in_units_of_views_is_a_row_to_the_bit(whitening, pool, tmp_path):
    X, y = cells(40), np.repeat(["a", "b"], 20)
    generator = make_generator("retrieval", seed=0).fit(
        X, y, fingerprint=FINGERPRINT, X_unlabelled=pool, whitening=whitening
    )
    rows = generator.sample(np.repeat("a", 100), seed=0)
    real = {row.tobytes() for row in (X[:20] if pool is None else pool)}
    assert {row.tobytes() for row in rows} <= real
    assert generator.fingerprint == FINGERPRINT | whitening.fingerprint
    generator.save(tmp_path / "g")
    again = load_generator(tmp_path / "g").sample(np.repeat("a", 100), seed=0)
    np.testing.assert_array_equal(again, rows)


def test_neighbours_are_sought_in_units_of_views(whitening):
    X, y, pool = cells(40), np.repeat(["a", "b"], 20), cells(50, 1)
    given = {"fingerprint": FINGERPRINT, "X_unlabelled": pool, "whitening": whitening}
    generator = make_generator("retrieval", {"k_neighbors": 1}, seed=0).fit(X, y, **given)
    here, there = whitening.transform(X[:20]), whitening.transform(pool)
    near = ((here[:, None] - there) ** 2).sum(axis=2).argmin(axis=1)
    rows = generator.sample(np.repeat("a", 400), seed=0)
    assert {row.tobytes() for row in rows} == {row.tobytes() for row in pool[near]}
    plain = ((X[:20, None] - pool) ** 2).sum(axis=2).argmin(axis=1)
    assert (plain != near).any()


def test_units_of_another_width_leave_nothing_half_fitted(whitening):
    X, y = cells(40), np.repeat(["a", "b"], 20)
    generator = make_generator("retrieval", seed=0).fit(X, y, fingerprint=FINGERPRINT)
    with pytest.raises(ValueError, match="matmul"):
        generator.fit(X[:, :5], y, fingerprint=FINGERPRINT, whitening=whitening)
    with pytest.raises(RuntimeError, match="not fitted"):
        generator.sample(np.asarray(["a"]), seed=0)
