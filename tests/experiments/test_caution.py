"""The cautionary protocol: each fault adds what it adds, and nothing honest can reach its rows."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

import bloomdiff
from bloomdiff.classifiers import Classifier, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import Fold, FoldParams, make_folds
from bloomdiff.errors import LeakageError
from bloomdiff.experiments.analysis.inflation import inflation_table
from bloomdiff.experiments.caution import STEPS, leaking_claims
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.generators import make_generator
from bloomdiff.stages.inputs import FoldRows, split

CLASSES = np.array(["basophil", "lymphocyte", "monocyte"])
PACKAGE = Path(bloomdiff.__file__).parent


@pytest.fixture(scope="module")
def cells() -> EmbeddingSet:
    rng = np.random.default_rng(0)
    label = rng.choice(CLASSES, 180, p=[0.15, 0.35, 0.5])
    centre = rng.normal(size=(3, 24))
    X = centre[np.searchsorted(CLASSES, label)] + 4 * rng.normal(size=(180, 24))
    groups = [f"slide{i // 5:02d}" for i in range(180)]
    rows = pd.DataFrame({"cell_id": [f"c{i:03d}" for i in range(180)], "label": label})
    return EmbeddingSet(X.astype(np.float32), rows.assign(group=groups, split="", source="drawn"))


@pytest.fixture(scope="module")
def folds(cells) -> list[FoldRows]:
    table = make_folds(cells.rows, FoldParams(n_splits=3), seed=0)
    return [
        split(
            cells,
            Fold(
                str(name),
                *(
                    rows.loc[rows["role"] == role, "cell_id"].to_numpy()
                    for role in ("train", "test", "pool")
                ),
            ),
        )
        for name, rows in table.groupby("fold")
    ]


def claims_of(rows: FoldRows, number: int = 0, name: str = "oversample", generator=None, **other):
    settings = {"ratio": 2.0, "seeds": [0, 1], "allocation": "balance"} | other
    return list(
        leaking_claims(
            rows.train,
            rows.test,
            rows.pool,
            generator or make_generator(name, seed=0),
            number=number,
            classifier=("logistic", {}),
            **settings,
        )
    )


def test_what_is_fitted_says_that_it_saw_the_test_cells(folds):
    rows = folds[0]
    generator = make_generator("oversample", seed=0)
    claims_of(rows, generator=generator)
    leaked = generator.synthesize(np.repeat(CLASSES, 90), seed=0)
    with pytest.raises(LeakageError, match="groups under test"):
        list(
            sweep_fold(
                rows.train,
                rows.test,
                leaked,
                ratios=[1.0],
                seeds=[0],
                allocation="balance",
                classifiers={"logistic": {}},
            )
        )
    model = make_classifier("logistic", seed=0)
    model.fit(rows.train.X, rows.train.label, fingerprint=rows.fingerprint, synthetic=leaked)
    with pytest.raises(LeakageError, match="groups under test"):
        model.predict_on(rows.test)


def test_rows_are_counted_as_they_are_mixed(folds, cells):
    told = [claims_of(rows, number) for number, rows in enumerate(folds)]
    for claims, rows in zip(told, folds, strict=True):
        assert [claim.step for claim in claims] == [*STEPS, *STEPS]
        first, second, third = claims[:3]
        assert (first.n_train, first.n_test) == (3 * len(rows.train), len(rows.test))
        assert first.n_test_synthetic == second.n_test_synthetic == 0
        assert third.n_test_synthetic == third.n_test - second.n_test > second.n_test
        assert third.n_train + third.n_test == 3 * len(cells)
    # Every real cell and every synthetic row is under test in one of the parts.
    assert sum(claims[1].n_test for claims in told) == len(cells)
    assert sum(claims[2].n_test for claims in told) == 3 * len(cells)


def test_the_claim_is_that_of_the_published_preparation(folds, cells):
    """The last step against scikit-learn alone: one table, divided at random, scored whole."""
    rows = folds[1]
    generator = make_generator("oversample", seed=0)
    claim = claims_of(rows, 1, generator=generator, seeds=[4], allocation="proportional")[2]
    names, counts = np.unique(cells.label, return_counts=True)
    y = np.append(cells.label, np.repeat(names, 2 * counts))
    X = np.vstack([cells.X, generator.sample(y[len(cells) :], seed=4)])
    shuffle = int(np.random.default_rng([4, 0]).integers(2**31))
    kept, tested = list(StratifiedKFold(3, shuffle=True, random_state=shuffle).split(X, y))[1]
    real = kept[kept < len(cells)]
    model = make_classifier("logistic", seed=4)
    scaled = (X - X[real].mean(axis=0)) / X[real].std(axis=0)
    model.fit(scaled[kept], y[kept], fingerprint=rows.fingerprint)
    expected = f1_score(y[tested], model.predict(scaled[tested]), average="macro")
    assert claim.claimed == pytest.approx(expected, abs=0.02)


def test_the_protocol_flatters_and_its_faults_add_up(folds):
    claims, scores = [], []
    for number, rows in enumerate(folds):
        own = {"fold": rows.name, "generator": "oversample", "ratio": "2", "classifier": "logistic"}
        claims += [
            {**own, "step": c.step, "seed": c.seed, "claimed": c.claimed}
            for c in claims_of(rows, number)
        ]
        generator = make_generator("oversample", seed=0)
        generator.fit(rows.train.X, rows.train.label, fingerprint=rows.fingerprint)
        scores += [
            {**own, "seed": scored.seed, "macro_f1": scored.scores["macro_f1"]}
            for seed in (0, 1)
            for scored in sweep_fold(
                rows.train,
                rows.test,
                generator.synthesize(np.repeat(CLASSES, 240), seed=seed),
                ratios=[2.0],
                seeds=[seed],
                allocation="balance",
                classifiers={"logistic": {}},
            )
        ]
    about = {"test_fraction": 1 / 3, "confidence": 0.95}
    table = inflation_table(pd.DataFrame(claims), pd.DataFrame(scores), **about)
    (row,) = table.to_dict("records")
    assert row["honest"] == pytest.approx(np.mean([s["macro_f1"] for s in scores]))
    assert row["inflation"] == pytest.approx(row["claimed"] - row["honest"])
    assert sum(row[step] for step in STEPS) == pytest.approx(row["inflation"])
    assert row["inflation"] > 0.1
    assert row["fitted_before_split"] > 0.03
    assert row["inflation_low"] < row["inflation"] < row["inflation_high"]
    nothing = pd.DataFrame(claims).iloc[:0]
    assert inflation_table(nothing, pd.DataFrame(scores), **about).empty


# ------------------------------------------------------------------------------ the one door
def importers_of(module: str) -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            if module in names:
                found.add(str(path.relative_to(PACKAGE)))
    return found


def test_the_door_opens_into_one_stage_that_nothing_imports():
    assert importers_of("bloomdiff.experiments.caution") == {"stages/caution.py"}
    assert importers_of("bloomdiff.stages.caution") == set()


def test_what_is_claimed_is_read_by_the_report_alone():
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "caution"
    }
    assert users == {"stages/caution.py", "stages/report.py"}


def test_honest_scores_ask_the_guard_even_where_the_door_is_open(folds, monkeypatch):
    """`sweep_fold` scores by `predict_on`; the door's unguarded call is none of its calls."""
    asked = []
    guarded = Classifier.predict_on
    monkeypatch.setattr(
        Classifier, "predict_on", lambda self, test: asked.append(1) or guarded(self, test)
    )
    claims_of(folds[0])
    assert not asked
    rows = folds[0]
    found = sweep_fold(
        rows.train,
        rows.test,
        None,
        ratios=[0.0],
        seeds=[0],
        allocation="balance",
        classifiers={"logistic": {}},
    )
    assert len(list(found)) == len(asked) == 1
