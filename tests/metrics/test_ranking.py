from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bloomdiff.metrics.ranking import mean_ranks


def test_ranks_and_friedman_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(8, 4)) + np.array([0.0, 0.5, 3.0, 0.2])
    result = mean_ranks(scores, ["a", "b", "c", "d"])
    assert result["friedman_p"] == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
    assert next(iter(result["ranks"])) == "c"
    assert result["ranks"]["c"] == stats.rankdata(-scores, axis=1)[:, 2].mean()
    assert sum(result["ranks"].values()) == pytest.approx(4 * 2.5)


def test_critical_difference_of_demsar() -> None:
    # Demšar (2006), table 5: q = 2.569 for 4 classifiers, hence CD = 1.25 over 14 data sets.
    scores = np.random.default_rng(1).normal(size=(14, 4))
    result = mean_ranks(scores, list("abcd"))
    assert result["critical_difference"] == pytest.approx(1.25, abs=0.01)


def test_nemenyis_test_agrees_with_scikit_posthocs() -> None:
    from scikit_posthocs import posthoc_nemenyi_friedman

    rng = np.random.default_rng(2)
    scores = rng.normal(size=(12, 5)) + np.array([0.0, 0.4, 0.8, 1.6, 2.4])
    names = list("abcde")
    result = mean_ranks(scores, names)
    p = posthoc_nemenyi_friedman(scores).to_numpy()
    ranks = np.array([result["ranks"][name] for name in names])
    apart = np.abs(np.subtract.outer(ranks, ranks)) >= result["critical_difference"]
    assert (apart == (p < 0.05)).all()
    assert 0 < np.triu(apart).sum() < 10
    joined = {frozenset(pair) for group in result["groups"] for pair in combinations(group, 2)}
    close = {
        frozenset((names[i], names[j])) for i, j in combinations(range(5), 2) if p[i, j] > 0.05
    }
    assert joined == close


def test_bars_join_what_cannot_be_told_apart() -> None:
    blocks = np.arange(30)[:, None]
    scores = np.hstack([blocks + 3.0, blocks + 2.0 + 2e-3 * (blocks % 2), blocks + 2.001])
    scores = np.hstack([scores, blocks * 0.0 - 5])
    result = mean_ranks(scores, ["best", "twin1", "twin2", "worst"])
    assert result["groups"] == [["twin1", "twin2"]] or result["groups"] == [["twin2", "twin1"]]


def test_ties_and_bad_shapes() -> None:
    same = mean_ranks(np.ones((5, 3)), list("abc"))
    assert set(same["ranks"].values()) == {2.0}
    assert np.isnan(same["friedman_p"])
    with pytest.raises(ValueError, match="blocks >= 2"):
        mean_ranks(np.ones((1, 3)), list("abc"))
    with pytest.raises(ValueError, match="not finite"):
        mean_ranks(np.array([[1.0, np.nan], [1, 2]]), list("ab"))
