"""Each kind of leak, planted, and caught by the guard that stands before the score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import optuna
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.folds import Fold, FoldParams, check_folds, make_folds, read_folds, write_folds
from bloomdiff.errors import BloomDiffError, InputError, LeakageError
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.objectives import generator_objective
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.files import write_yaml
from bloomdiff.generators import make_generator
from bloomdiff.stages.inputs import FoldRows, split
from bloomdiff.stages.tuned import tuned_values

CLASSES = np.array(["neutrophil", "lymphocyte", "monocyte", "basophil"])


def draw_cells(n: int = 240, *, dim: int = 24, spread: float = 2.2, seed: int = 0) -> EmbeddingSet:
    """Embeddings of a long tail of overlapping classes, five cells a slide."""
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, n, p=[0.55, 0.25, 0.13, 0.07])
    slide = np.arange(n) // 5
    centre = rng.normal(size=(len(CLASSES), dim))
    X = centre[np.searchsorted(np.sort(CLASSES), label)] + spread * rng.normal(size=(n, dim))
    ids = [f"c{i:04d}" for i in range(n)]
    rows = pd.DataFrame({"cell_id": ids, "label": label, "group": [f"slide{s:02d}" for s in slide]})
    return EmbeddingSet(X.astype(np.float32), rows.assign(split="", source="drawn"))


@pytest.fixture(scope="module")
def cells() -> EmbeddingSet:
    return draw_cells()


@pytest.fixture(scope="module")
def fold(cells) -> FoldRows:
    table = make_folds(cells.rows, FoldParams(n_splits=4), seed=0)
    first = table[table["fold"] == "r0f0"]
    ids = (first.loc[first["role"] == r, "cell_id"].to_numpy() for r in ("train", "test", "pool"))
    return split(cells, Fold("r0f0", *ids))


def synthesize(rows: EmbeddingSet, name: str = "smote", each: int = 30) -> SyntheticSet:
    generator = make_generator(name, seed=0)
    generator.fit(rows.X, rows.label, fingerprint=rows.fingerprint)
    return generator.synthesize(np.repeat(np.unique(rows.label), each), seed=0)


def classifier(rows: EmbeddingSet, synthetic: SyntheticSet | None = None):
    model = make_classifier("logistic", seed=0)
    return model.fit(rows.X, rows.label, fingerprint=rows.fingerprint, synthetic=synthetic)


def sweep(fold: FoldRows, test: EmbeddingSet, synthetic: SyntheticSet):
    return list(
        sweep_fold(
            fold.train,
            test,
            synthetic,
            ratios=[0.1],
            seeds=[0],
            allocation="balance",
            classifiers={"logistic": {}},
        )
    )


def test_without_a_leak_nothing_is_refused(fold):
    synthetic = synthesize(fold.train)
    assert classifier(fold.train, synthetic).predict_on(fold.test).shape == (len(fold.test), 4)
    assert len(sweep(fold, fold.test, synthetic)) == 1


# ---------------------------------------------------------------- synthetic rows in a test set
def test_synthetic_rows_cannot_be_loaded_as_test_cells(fold, tmp_path):
    synthesize(fold.train).save(tmp_path / "test.parquet")
    with pytest.raises(LeakageError, match="holds synthetic rows where real cells are asked for"):
        EmbeddingSet.load(tmp_path / "test.parquet")


def test_synthetic_rows_cannot_be_judged_on(fold):
    synthetic = synthesize(fold.train)
    with pytest.raises(LeakageError, match="not real cells"):
        classifier(fold.train).predict_on(synthetic)
    with pytest.raises(LeakageError, match="not real cells"):
        sweep(fold, synthetic, synthetic)


def test_synthetic_rows_have_no_identity_to_pass_for_cells_with(fold):
    synthetic = synthesize(fold.train)
    with pytest.raises(ValueError, match="cell_id"):
        EmbeddingSet(synthetic.X, synthetic.rows)


# --------------------------------------------------------- a generator fitted before the split
def test_a_generator_fitted_before_the_split_is_caught(cells, fold):
    synthetic = synthesize(cells)
    n = len(set(fold.test.group))
    caught = f"on {n} of the {n} groups under test .slide"
    with pytest.raises(LeakageError, match=caught):
        classifier(fold.train, synthetic).predict_on(fold.test)
    with pytest.raises(LeakageError, match=caught):
        sweep(fold, fold.test, synthetic)


def test_it_is_caught_after_everything_was_written_and_read_again(cells, fold, tmp_path):
    synthesize(cells).save(tmp_path / "synthetic.parquet")
    model = classifier(fold.train, SyntheticSet.load(tmp_path / "synthetic.parquet"))
    model.save(tmp_path / "model")
    with pytest.raises(LeakageError, match="groups under test"):
        type(model).load(tmp_path / "model").predict_on(fold.test)


def test_the_unlabelled_pool_counts_as_seen(fold):
    generator = make_generator("gaussian", seed=0)
    seen = fold.train.fingerprint | fold.test.fingerprint
    generator.fit(fold.train.X, fold.train.label, fingerprint=seen, X_unlabelled=fold.test.X)
    with pytest.raises(LeakageError, match="groups under test"):
        assert_disjoint(fold.test.group, generator)


# ------------------------------------------------------------------ a duplicate across folds
def test_a_duplicate_found_after_the_split_is_caught(cells, fold, tmp_path):
    table = make_folds(cells.rows, FoldParams(n_splits=4), seed=0)
    write_folds(table, tmp_path / "folds.parquet")
    copy, original = fold.test.cell_id[0], fold.train.cell_id[0]
    rows = cells.rows.copy()
    rows.loc[rows["cell_id"].isin([copy, original]), "group"] = "family 1"
    with pytest.raises(LeakageError, match=r"on 1 of the \d+ groups under test .family 1"):
        check_folds(table, rows)
    with pytest.raises(LeakageError, match="family 1"):
        read_folds(tmp_path / "folds.parquet", rows)
    grouped = EmbeddingSet(cells.X, rows)
    with pytest.raises(LeakageError, match="family 1"):
        split(grouped, read_folds(tmp_path / "folds.parquet")[0])
    with pytest.raises(LeakageError, match="family 1"):
        classifier(grouped.select(fold.train.cell_id)).predict_on(grouped.select(fold.test.cell_id))


def test_a_split_at_random_is_caught(cells):
    train, test = next(StratifiedKFold(4, shuffle=True, random_state=0).split(cells.X, cells.label))
    with pytest.raises(LeakageError, match="groups under test"):
        classifier(cells.take(train)).predict_on(cells.take(test))


# -------------------------------------------------------- tuning that saw the outer test fold
def test_tuning_that_saw_the_outer_test_fold_is_caught(cells, fold, tmp_path):
    path = tmp_path / "tuned.yaml"

    def tuned_on(rows: EmbeddingSet) -> None:
        entry = {"params": {"C": 1.0}, "study": None, "fitted_on": rows.fingerprint.to_dict()}
        write_yaml(path, {"r0f0": {"logistic": entry}})

    tuned_on(cells)
    with pytest.raises(LeakageError, match="the tuning of logistic in r0f0: was fitted on"):
        tuned_values(path, "r0f0", "logistic", fold)
    tuned_on(fold.train)
    assert tuned_values(path, "r0f0", "logistic", fold) == {"C": 1.0}


def test_tuning_of_another_fold_is_caught(cells, fold, tmp_path):
    table = make_folds(cells.rows, FoldParams(n_splits=4), seed=0)
    other = table[(table["fold"] == "r0f1") & (table["role"] == "train")]["cell_id"]
    entry = {
        "params": {},
        "study": None,
        "fitted_on": cells.select(other.to_numpy()).fingerprint.to_dict(),
    }
    write_yaml(tmp_path / "tuned.yaml", {"r0f0": {"logistic": entry}})
    with pytest.raises(LeakageError, match="groups under test"):
        tuned_values(tmp_path / "tuned.yaml", "r0f0", "logistic", fold)


def test_tuning_leaves_the_pool_of_validated_slides_out(cells):
    """The pool of a few-shot study shares slides with its training part, hence with validation."""
    table = make_folds(cells.rows, FoldParams(n_splits=4, shots_per_class=6), seed=0)
    few = table[table["fold"] == "r0f0"]
    train, pool = (
        cells.select(few.loc[few["role"] == role, "cell_id"].to_numpy())
        for role in ("train", "pool")
    )
    assert set(train.group) & set(pool.group)
    objective = generator_objective(
        "jitter",
        {},
        InnerFolds(train, pool, n_splits=2, seed=0),
        classifier=("logistic", {}),
        ratio=1.0,
        allocation="balance",
        seed=0,
        device="cpu",
    )
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=1)
    assert 0 < study.best_value <= 1


def test_an_inner_part_of_one_cell_has_no_distance(cells):
    """A patient with a single cell, held out alone: its macro-F1 counts, no covariance is asked."""
    group = np.where(np.arange(len(cells)) % 2, "a", "b").astype(object)
    group[7] = "c"
    folds = InnerFolds(
        replace(cells, rows=cells.rows.assign(group=group)), cells.take([]), n_splits=3, seed=0
    )
    assert sorted(len(fold.held_out) for fold in folds)[0] == 1
    given = {"ratio": 1.0, "allocation": "balance", "seed": 0, "device": "cpu"}
    given |= {"classifier": ("logistic", {}), "max_frechet": 3.0}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(generator_objective("jitter", {}, folds, **given), n_trials=1)
    assert 0 < study.best_value <= 1
    assert study.best_trial.user_attrs["frechet"] > 0


# ------------------------------------------------------------- statistics of a scaler from all
@dataclass
class Scaler:
    """A scaler that says what it was fitted on, as everything that learned from cells must."""

    statistics: StandardScaler
    fingerprint: Fingerprint


def test_a_scaler_fitted_on_all_cells_is_caught(cells, fold):
    leaking = Scaler(StandardScaler().fit(cells.X), cells.fingerprint)
    with pytest.raises(LeakageError, match=r"the scaler: was fitted on (\d+) of the \1 groups"):
        assert_disjoint(fold.test.group, leaking, what="the scaler")
    honest = Scaler(StandardScaler().fit(fold.train.X), fold.train.fingerprint)
    assert_disjoint(fold.test.group, honest, what="the scaler")


def test_a_classifier_scales_by_its_training_rows_alone(fold):
    """Test cells far away move no prediction of another: nothing is estimated from them."""
    model = classifier(fold.train, synthesize(fold.train))
    before = model.predict_on(fold.test)
    far = EmbeddingSet(np.vstack([fold.test.X[:-1], 1e4 + fold.test.X[-1:]]), fold.test.rows)
    np.testing.assert_array_equal(model.predict_on(far)[:-1], before[:-1])


# ------------------------------------------------------------------- mixing before the split
def macro_f1_mixed_then_split(cells: EmbeddingSet, name: str, each: int, seed: int) -> float:
    """The fault: real and synthetic rows mixed, then split at random, scored on the mixture."""
    synthetic = synthesize(cells, name, each)
    X = np.concatenate([cells.X, synthetic.X])
    y = np.concatenate([cells.label, synthetic.label])
    # No guard can be asked: the mixture has lost where its rows came from.
    predicted = np.empty_like(y)
    nothing = Fingerprint.empty()
    for train, test in StratifiedKFold(4, shuffle=True, random_state=seed).split(X, y):
        model = make_classifier("logistic", seed=0).fit(X[train], y[train], fingerprint=nothing)
        predicted[test] = model.predict(X[test])
    return float(f1_score(y, predicted, average="macro"))


def macro_f1_split_then_generated(cells: EmbeddingSet, name: str, each: int, seed: int) -> float:
    """The protocol: generators see the training part, scores see real cells."""
    predicted = np.empty_like(cells.label)
    table = make_folds(cells.rows, FoldParams(n_splits=4), seed=seed)
    for fold_name, rows in table.groupby("fold"):
        ids = {role: part["cell_id"].to_numpy() for role, part in rows.groupby("role")}
        fold = split(cells, Fold(str(fold_name), ids["train"], ids["test"], ids["test"][:0]))
        model = classifier(fold.train, synthesize(fold.train, name, each))
        at = np.searchsorted(cells.cell_id, fold.test.cell_id)
        predicted[at] = model.classes_[model.predict_on(fold.test).argmax(axis=1)]
    return float(f1_score(cells.label, predicted, average="macro"))


@pytest.mark.parametrize("name", ["oversample", "smote"])
def test_mixing_before_the_split_inflates_macro_f1(name):
    """CytoDiff's published preparation mixes real and synthetic cells and splits afterwards.

    On five draws of the same population it claims at least eight points too many each time.
    """
    inflation = []
    for seed in range(5):
        cells = draw_cells(seed=seed)
        each = 5 * len(cells) // len(CLASSES)
        honest = macro_f1_split_then_generated(cells, name, each, seed)
        claimed = macro_f1_mixed_then_split(cells, name, each, seed)
        inflation.append(100 * (claimed - honest))
    half_width = t.ppf(0.975, 4) * np.std(inflation, ddof=1) / np.sqrt(5)
    print(f"{name}: {np.mean(inflation):.1f} ± {half_width:.1f} points of macro-F1 too many")
    assert min(inflation) > 8, inflation
    assert np.mean(inflation) - half_width > 8


@pytest.mark.parametrize("hide", [lambda group: "", lambda group: np.nan])
def test_training_rows_whose_groups_are_hidden_are_caught(fold, hide):
    known = make_classifier("knn").fit(
        fold.train.X, fold.train.label, fingerprint=fold.train.fingerprint
    )
    rows = fold.train.rows
    hidden = EmbeddingSet(fold.train.X, rows.assign(group=rows["group"].map(hide)))
    with pytest.raises(BloomDiffError, match="group"):
        known.predict_on(hidden)


def test_numbers_as_groups_do_not_change_their_names_where_sets_are_joined():
    rows = pd.DataFrame({"cell_id": ["a", "b"], "label": "x", "group": [7, 8]})
    numbered = EmbeddingSet(np.zeros((2, 3), np.float32), rows)
    assert numbered.fingerprint == Fingerprint.of(["7", "8"])
    gap = EmbeddingSet(np.zeros((2, 3), np.float32), rows.assign(group=[9, np.nan]))
    with pytest.raises(InputError, match="column group: holds numbers with a fraction or gaps"):
        _ = EmbeddingSet.concatenate([numbered, gap]).fingerprint
