from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc as sklearn_auc

from bloomdiff.classifiers import make_classifier
from bloomdiff.classifiers.diffusion import DiffusionClassifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import LeakageError, ParameterError
from bloomdiff.selection.curves import (
    area,
    found_at,
    interval,
    labels_needed,
    outcome,
    summarise,
    to_markdown,
)
from bloomdiff.selection.simulation import Judge, by_strategy, full_score, hold_out, replay


@pytest.fixture(scope="module")
def cells(blobs):
    X, y = blobs
    rows = pd.DataFrame(
        {
            "cell_id": [f"c{i}" for i in range(len(y))],
            "label": y,
            "group": [f"g{i // 3}" for i in range(len(y))],
            "field": [f"f{i // 6}" for i in range(len(y))],
        }
    )
    return EmbeddingSet(X, rows)


def test_test_cells_are_apart_by_group(cells):
    pool, test = hold_out(cells, 3, seed=0)
    assert not set(pool.group) & set(test.group)
    assert len(pool) + len(test) == len(cells)
    assert set(hold_out(cells, 3, seed=1)[1].group) != set(test.group)


def test_unequal_slides_are_tested_in_turn():
    """Plain stratified division of unequal groups ignores its seed but for ties."""
    rng = np.random.default_rng(4)
    size = rng.integers(5, 60, 30)
    group = np.repeat([f"s{i}" for i in range(30)], size)
    label = rng.choice(["a", "b", "c"], len(group), p=[0.6, 0.3, 0.1])
    ids = [f"c{i}" for i in range(len(group))]
    rows = pd.DataFrame({"cell_id": ids, "label": label, "group": group})
    slides = EmbeddingSet(rng.normal(size=(len(group), 2)).astype(np.float32), rows)
    tested = [frozenset(hold_out(slides, 3, seed)[1].group) for seed in range(8)]
    assert len(set(tested)) == 8
    assert len(frozenset.union(*tested)) > 25
    for seed, own in enumerate(tested):
        pool, test = hold_out(slides, 3, seed)
        assert not own & set(pool.group)
        assert set(pool.label) == set(test.label) == {"a", "b", "c"}
        assert 0.2 < len(test) / len(slides) < 0.5


def test_a_pool_that_shares_a_group_with_the_test_is_refused(cells):
    with pytest.raises(LeakageError, match="the pool: was fitted on"):
        replay(
            cells.take(range(100)),
            cells.take(range(99, 120)),
            by_strategy("random"),
            budgets=[5],
            seed=0,
        )


def test_the_chooser_sees_no_label_that_it_did_not_ask_for(cells):
    pool, test = hold_out(cells, 3, seed=0)
    seen = []

    def first(situation, n):
        seen.append((len(situation.y), situation.classes, len(situation.X)))
        return np.arange(n)

    played = replay(pool, test, first, budgets=[1, 4, 10], seed=0)
    truth = pool.label
    assert seen == [
        (0, (), len(pool)),
        (1, tuple(np.unique(truth[:1])), len(pool) - 1),
        (4, tuple(np.unique(truth[:4])), len(pool) - 4),
    ]
    assert played.order.tolist() == list(range(10))
    assert played.steps[1].found == {c: int((truth[:4] == c).sum()) for c in np.unique(truth)}
    assert [s.fields for s in played.steps] == [
        len(set(pool.rows["field"][:k])) for k in (1, 4, 10)
    ]


def test_a_chooser_that_repeats_itself_is_refused(cells):
    pool, test = hold_out(cells, 3, seed=0)
    with pytest.raises(LeakageError, match="chose a cell twice"):
        replay(pool, test, lambda s, n: np.zeros(n, dtype=np.intp), budgets=[3], seed=0)


@pytest.mark.parametrize("budgets", [[], [5, 5], [9, 4], [10_000]])
def test_bad_budgets(cells, budgets):
    pool, test = hold_out(cells, 3, seed=0)
    with pytest.raises(ParameterError, match="budgets"):
        replay(pool, test, by_strategy("random"), budgets=budgets, seed=0)


def test_a_judge_that_learns_from_a_pool_has_the_rest_without_labels(cells, monkeypatch):
    pool, test = hold_out(cells, 3, seed=0)
    seen = []

    def fit(self, X, y, *, pool, **given):
        seen.append((len(X), pool.cell_id.tolist()))
        hidden = replace(pool, rows=pool.rows.assign(label=""))
        return plain(self, X, y, pool=hidden, **given)

    budgets = [20, 40]
    given = replay(
        pool, test, by_strategy("random"), budgets=budgets, seed=0, judge=Judge("diffusion")
    )
    plain = DiffusionClassifier.fit
    monkeypatch.setattr(DiffusionClassifier, "fit", fit)
    again = replay(
        pool, test, by_strategy("random"), budgets=budgets, seed=0, judge=Judge("diffusion")
    )
    assert [s.scores for s in again.steps] == [s.scores for s in given.steps]
    for (n, rest), budget in zip(seen, budgets, strict=True):
        assert n == budget
        assert sorted(rest) == sorted(np.delete(pool.cell_id, given.order[:budget]).tolist())
    with monkeypatch.context() as patched:
        patched.setattr(DiffusionClassifier, "uses_pool", False)
        patched.setattr(DiffusionClassifier, "fit", plain)
        alone = replay(
            pool, test, by_strategy("random"), budgets=budgets, seed=0, judge=Judge("diffusion")
        )
    assert [s.scores for s in alone.steps] != [s.scores for s in given.steps]


def test_all_labels_reach_the_full_score_whatever_the_strategy(cells):
    pool, test = hold_out(cells, 3, seed=0)
    full = full_score(pool, test, seed=0)["macro_f1"]
    for name in ("random", "expected-gain"):
        played = replay(pool, test, by_strategy(name), budgets=[10, len(pool)], seed=0)
        assert played.steps[-1].scores["macro_f1"] == pytest.approx(full, abs=0.02)


def test_the_oracle_beats_random_and_the_worst_order_loses(cells):
    """A chooser that takes one of each class in turn must come out ahead: the measure can tell."""
    figures = []
    for seed in range(4):
        pool, test = hold_out(cells, 3, seed=seed)
        turn = pool.rows.groupby("label").cumcount().to_numpy()
        of = {
            row.tobytes(): (k, label)
            for row, k, label in zip(pool.X, turn, pool.label, strict=True)
        }

        def balanced(situation, n, of=of):
            return np.argsort([of[row.tobytes()][0] for row in situation.X], kind="stable")[:n]

        def one_sided(situation, n, of=of):
            return np.argsort([of[row.tobytes()][1] for row in situation.X], kind="stable")[:n]

        for name, chooser in (
            ("random", by_strategy("random")),
            ("balanced", balanced),
            ("one-sided", one_sided),
        ):
            played = replay(pool, test, chooser, budgets=[3, 6, 12, 24], seed=seed)
            figures.append(
                {"strategy": name, "seed": seed, **outcome(pool, played, 1.0, "macro_f1")}
            )
    table = summarise(pd.DataFrame(figures), confidence=0.95, test_fraction=1 / 3)
    assert table["strategy"].tolist() == ["balanced", "random", "one-sided"]
    assert table["gain"][1] == 0
    assert table["all_found_1"][0] <= 3
    assert np.isinf(table["all_found_1"][2])
    text = to_markdown(table, score="macro-F1", confidence=0.95)
    assert "| one-sided |" in text
    assert "never" in text


def test_the_area_is_scikit_learns():
    budget, score = np.asarray([5.0, 10, 40]), np.asarray([0.2, 0.6, 0.8])
    assert area(budget, score) == pytest.approx(sklearn_auc(budget, score) / 35)
    assert area(budget[:1], score[:1]) == 0.2


def test_labels_needed():
    budget, score = np.asarray([5.0, 10, 40]), np.asarray([0.2, 0.6, 0.8])
    assert labels_needed(budget, score, 0.4) == pytest.approx(7.5)
    assert labels_needed(budget, score, 0.7) == pytest.approx(25)
    assert labels_needed(budget, score, 0.1) == 5
    assert labels_needed(budget, score, 0.9) == float("inf")


def test_when_each_class_was_found():
    rows = pd.DataFrame(
        {"cell_id": list("abcdefghi"), "label": list("xyxxxxyxz"), "group": list("abcdefghi")}
    )
    pool = EmbeddingSet(np.zeros((9, 2), dtype=np.float32), rows)
    found = found_at(pool, np.asarray([1, 0, 2, 3, 4, 5]))
    assert found == {("x", 1): 2, ("x", 5): 6, ("y", 1): 1, ("z", 1): float("inf")}


def test_the_interval_is_corrected_for_shared_cells():
    """Nadeau and Bengio 2003: the variance of the mean of n seeds is s² (1 / n + test / train)."""
    from scipy.stats import t

    x = np.asarray([0.1, 0.4, 0.5, 0.9])
    mean, low, high = interval(x, 0.9, 0.25)
    expected = t.interval(0.9, 3, loc=x.mean(), scale=x.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3))
    assert (low, high) == pytest.approx(expected)
    assert np.isnan(interval([0.5], 0.9, 0.25)[1])
    assert mean == pytest.approx(0.475)


def test_equal_strategies_are_seldom_told_apart_by_seeds_that_share_their_cells():
    """Two judges err on cells of their own; ten seeds test on a third of the same 300 cells."""
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(200):
        away = rng.normal(size=300)  # one judge less the other, cell by cell, zero in truth
        gains = [away[rng.permutation(300)[:100]].mean() for _ in range(10)]
        _, low, high = interval(gains, 0.95, 1 / 3)
        alarms.append(low > 0 or high < 0)
    assert np.mean(alarms) <= 0.1  # Student's interval: about 0.36


def test_the_judge_has_its_hyper_parameters(cells):
    pool, test = hold_out(cells, 3, seed=0)
    budgets, everything = [12, 24], len(pool)

    def played(**values):
        judge = Judge("knn", values)
        return replay(pool, test, by_strategy("random"), budgets=budgets, seed=0, judge=judge).steps

    def full(**values):
        return full_score(pool, test, seed=0, judge=Judge("knn", values))

    default = make_classifier("knn").params.model_dump()
    assert [s.scores for s in played(k=1)] != [s.scores for s in played(k=24)]
    assert [s.scores for s in played()] == [s.scores for s in played(**default)]
    assert full(k=1) != full(k=everything)
    with pytest.raises(ParameterError, match="kk"):
        played(kk=1)


def test_one_seed_has_no_interval_and_is_told_so():
    outcomes = pd.DataFrame(
        {"strategy": ["random", "margin"], "seed": 0, "area": [0.5, 0.6], "full": 0.9, "final": 0.8}
    )
    text = to_markdown(
        summarise(outcomes, confidence=0.95, test_fraction=0.2), score="macro_f1", confidence=0.95
    )
    assert "| margin | 0.600 [no interval] | +0.100 [no interval] |" in text
    assert "mean of 1 seed, " in text
    assert "nan" not in text


@pytest.mark.parametrize("strategy", ["margin", "typiclust", "random"])
def test_every_seed_that_parameters_allow_can_be_replayed(cells, strategy):
    pool, test = hold_out(cells, 3, seed=2**31 - 1)
    choose = by_strategy(strategy)
    played = replay(pool, test, choose, budgets=[5, 9], seed=2**31 - 1)
    assert len(played.order) == 9


def test_the_judge_has_the_seed():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=120)
    X = (rng.normal(size=(120, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32)
    ids = [f"c{i}" for i in range(120)]
    rows = pd.DataFrame({"cell_id": ids, "label": np.array(list("abc"))[y], "group": ids})
    pool, test = hold_out(EmbeddingSet(X, rows), 3, seed=0)
    judge = Judge("mlp", {"steps": 20})
    first, again, other = (
        full_score(pool, test, seed=seed, judge=judge)["log_loss"] for seed in (0, 0, 1)
    )
    assert first == again != other
