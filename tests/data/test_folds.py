from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import StratifiedGroupKFold

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fold_report import fold_report
from bloomdiff.data.folds import (
    FoldParams,
    check_folds,
    inner_folds,
    make_folds,
    read_folds,
    write_folds,
)
from bloomdiff.errors import InputError, LeakageError, ParameterError, ProblemsError


def manifest(label, group=None, split="", source="s") -> pd.DataFrame:
    n = len(label)
    ids = [f"c{i:04d}" for i in range(n)]
    return pd.DataFrame(
        {
            "cell_id": ids,
            "label": np.asarray(label, dtype=object),
            "group": ids if group is None else np.asarray(group, dtype=object),
            "split": split,
            "source": source,
        }
    )


def embeddings(label, group) -> EmbeddingSet:
    cells = manifest(label, group)
    return EmbeddingSet(np.zeros((len(cells), 2), dtype=np.float32), cells)


def roles(folds: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    return folds.merge(cells, on="cell_id")


def straddling(folds: pd.DataFrame, cells: pd.DataFrame) -> int:
    """Groups that are both tested and not, counted without the code under test."""
    table = roles(folds, cells)
    table["tested"] = table["role"] == "test"
    return int((table.groupby(["fold", "group"])["tested"].nunique() > 1).sum())


tables = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=n, max_size=n),
        st.lists(st.integers(0, 12).map(lambda k: f"g{k}"), min_size=n, max_size=n),
    )
)


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(2, 4), st.integers(1, 2), st.integers(0, 3), st.sampled_from([None, 2]))
def test_any_table_is_divided_without_a_leak_or_refused_by_name(
    table, n_splits, n_repeats, seed, shots
):
    cells = manifest(*table)
    params = FoldParams(n_splits=n_splits, n_repeats=n_repeats, shots_per_class=shots)
    labelled = cells[cells["label"] != ""]
    counts = labelled["label"].value_counts()
    spread = labelled.groupby("label")["group"].nunique()
    lone = labelled.loc[labelled["label"].isin(spread.index[spread == 1]), "group"]
    testable = set(labelled["group"]) - set(lone)
    if not len(counts) or counts.min() < n_splits or len(testable) < n_splits:
        with pytest.raises((InputError, ParameterError)):
            make_folds(cells, params, seed=seed)
        return
    folds = make_folds(cells, params, seed=seed)
    assert straddling(folds, cells) == 0
    joined = roles(folds, cells)
    assert (joined.loc[joined["label"] == "", "role"] == "pool").all()
    classes = set(cells["label"]) - {""}
    for _, rows in joined.groupby("fold"):
        assert set(rows.loc[rows["role"] == "train", "label"]) == classes
        assert (rows["role"] == "test").any()
        assert rows["cell_id"].is_unique
        # Nobody labelled is lost: trained on, tested, or set aside.
        assert set(rows["cell_id"]) >= set(cells.loc[cells["label"] != "", "cell_id"])
    tests = joined[joined["role"] == "test"].groupby(joined["fold"].str.split("f").str[0])
    report = fold_report(folds, cells).set_index("label")
    for _, rows in tests:
        assert rows["cell_id"].is_unique  # at most once a repeat
    if n_repeats == 1:
        lost = cells[
            (cells["label"] != "")
            & ~cells["cell_id"].isin(joined["cell_id"][joined["role"] == "test"])
        ]
        assert report["untested"].to_dict() == {
            c: int((lost["label"] == c).sum()) for c in sorted(classes)
        }
    assert (report.loc[report["untested"] > 0, "note"] != "").all()


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(2, 5), st.integers(0, 3))
def test_inner_folds_never_fail_and_never_leak(table, n_splits, seed):
    label, group = table
    train = embeddings(label, group)
    for fit, validation in inner_folds(train, n_splits, seed):
        assert not set(train.group[fit]) & set(train.group[validation])
        assert len(validation)
        assert set(train.label[validation]) <= set(train.label[fit])
        both = np.sort(np.concatenate([fit, validation]))
        assert np.array_equal(both, np.flatnonzero(train.label != ""))


def test_inner_folds_of_two_cells_and_of_one_shot():
    assert inner_folds(embeddings(["a", "a"], ["g", "h"]), 3, 0) != []
    assert inner_folds(embeddings(["a", "b"], ["g", "h"]), 3, 0) == []
    assert inner_folds(embeddings([""], ["g"]), 3, 0) == []


def test_the_division_is_scikit_learns_where_nothing_needs_mending():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 300, p=[0.6, 0.3, 0.1])
    group = rng.integers(0, 15, 300).astype(str)
    cells = manifest(label, group)
    folds = make_folds(cells, FoldParams(n_splits=4), seed=5)
    state = int(np.random.SeedSequence([5, 0]).generate_state(1)[0])
    oracle = StratifiedGroupKFold(n_splits=4, shuffle=True, random_state=state)
    for k, (_, test) in enumerate(oracle.split(label, label, group)):
        mine = folds[(folds["fold"] == f"r0f{k}") & (folds["role"] == "test")]
        assert list(mine["cell_id"]) == list(cells["cell_id"].iloc[test])


def test_every_cell_is_tested_once_a_repeat_and_repeats_differ():
    cells = manifest(["a", "b"] * 50, [f"g{i % 20}" for i in range(100)])
    folds = make_folds(cells, FoldParams(n_splits=5, n_repeats=3), seed=0)
    tested = folds[folds["role"] == "test"]
    assert (tested.groupby("cell_id").size() == 3).all()
    first = [set(tested.loc[tested["fold"] == f"r{r}f0", "cell_id"]) for r in range(3)]
    assert first[0] != first[1] != first[2]


def test_repeats_test_other_slides_though_no_two_slides_are_alike():
    """Plain stratified division of unequal groups ignores its seed but for ties."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), rng.integers(10, 60, 60))
    share = rng.dirichlet(np.ones(8), 60)
    label = [f"class {rng.choice(8, p=share[g])}" for g in group]
    cells = manifest(label, group.astype(str))
    folds = make_folds(cells, FoldParams(n_splits=3, n_repeats=8), seed=0)
    tested = folds[folds["role"] == "test"].merge(cells[["cell_id", "group"]], on="cell_id")
    first, *others = (
        [set(tested.loc[tested["fold"] == f"r{r}f{k}", "group"]) for k in range(3)]
        for r in range(8)
    )
    shared = [max(len(first[0] & part) / len(first[0]) for part in other) for other in others]
    assert max(shared) < 0.7


def test_equal_seeds_give_equal_folds_whatever_the_order_of_rows():
    cells = manifest(["a", "b", "c"] * 30, [f"g{i % 17}" for i in range(90)])
    params = FoldParams(n_splits=3, shots_per_class=5)
    folds = make_folds(cells, params, seed=1)
    pd.testing.assert_frame_equal(folds, make_folds(cells.sample(frac=1), params, seed=1))
    assert not folds.equals(make_folds(cells, params, seed=2))
    assert folds.equals(folds.sort_values(["fold", "cell_id"], ignore_index=True))


def test_a_class_with_fewer_cells_than_folds_is_refused_by_name_with_all_others():
    cells = manifest(["a"] * 10 + ["b"] * 3 + ["c"])
    with pytest.raises(ProblemsError) as caught:
        make_folds(cells, FoldParams(n_splits=5), seed=0)
    first, second = str(caught.value).splitlines()
    assert first == (
        "manifest class 'b': has 3 cells, fewer than the 5 folds; "
        "lower n_splits to 3, or merge or drop the class"
    )
    assert "class 'c': has 1 cells" in second
    assert "lower" not in second


def test_a_class_in_few_groups_is_trained_on_in_every_fold_and_told():
    label = ["a"] * 60 + ["b"] * 8 + ["c"] * 8
    group = [f"g{i % 12}" for i in range(60)] + ["p", "q"] * 4 + ["g0"] * 8
    cells = manifest(label, group)
    folds = make_folds(cells, FoldParams(n_splits=5), seed=0)
    report = fold_report(folds, cells).set_index("label")
    assert report.loc["b", ["groups", "folds_tested", "untested"]].tolist() == [2, 2, 0]
    assert "tested in 2 of 5 folds" in report.loc["b", "note"]
    assert report.loc["c", ["groups", "folds_tested", "untested"]].tolist() == [1, 0, 8]
    assert "never tested" in report.loc["c", "note"]
    # The other class in the group of 'c' stays in training with it, and that is told too.
    assert report.loc["a", "untested"] == group[:60].count("g0")
    assert (report["least_train"] > 0).all()


def test_too_few_groups_is_refused():
    cells = manifest(["a", "b"] * 10, ["g", "h"] * 10)
    with pytest.raises(ParameterError, match="only 0 of 2 groups can be tested"):
        make_folds(cells, FoldParams(n_splits=2), seed=0)


def test_a_cell_without_a_group_is_refused():
    with pytest.raises(InputError, match="'c0001': has no group"):
        make_folds(manifest(["a", "a"], ["g", ""]), FoldParams(n_splits=2), seed=0)


def test_official_split_keeps_its_test_part_and_leaves_shared_groups_out_of_training():
    split = ["train"] * 6 + ["val"] * 2 + ["test"] * 4 + [""]
    group = [*"abcdef", *"gh", *"aijk", "l"]
    cells = manifest(["x", "y"] * 6 + ["x"], group, split=split)
    folds = make_folds(cells, FoldParams(scheme="official"), seed=0)
    role = folds.set_index("cell_id")["role"]
    assert (role[cells["cell_id"][8:12]] == "test").all()
    assert (role[cells["cell_id"][1:8]] == "train").all()
    assert "c0000" not in role.index  # its duplicate is under test
    assert "c0012" not in role.index  # no official split
    assert "left out 2 times" in fold_report(folds, cells).set_index("label").loc["x", "note"]
    assert straddling(folds, cells) == 0


def test_leave_one_source_out_tests_each_source_on_the_classes_that_others_have():
    cells = manifest(["x", "y", "x", "y", "x", "z"], source=["A", "A", "B", "B", "C", "C"])
    folds = make_folds(cells, FoldParams(scheme="leave-one-source-out"), seed=0)
    tested = folds[folds["role"] == "test"].groupby("fold")["cell_id"].apply(list)
    assert tested.to_dict() == {
        "r0f0": ["c0000", "c0001"],
        "r0f1": ["c0002", "c0003"],
        "r0f2": ["c0004"],
    }
    assert fold_report(folds, cells).set_index("label").loc["z", "untested"] == 1


def test_one_source_cannot_be_left_out():
    with pytest.raises(InputError, match="training part is empty"):
        make_folds(manifest(["x", "y"]), FoldParams(scheme="leave-one-source-out"), seed=0)


def test_shots_and_their_pool():
    cells = manifest(["a"] * 40 + ["b"] * 20 + [""] * 5)
    few = make_folds(cells, FoldParams(n_splits=4, shots_per_class=3), seed=0)
    more = make_folds(cells, FoldParams(n_splits=4, shots_per_class=9), seed=0)
    for name, rows in roles(few, cells).groupby("fold"):
        train = rows[rows["role"] == "train"]
        assert train["label"].value_counts().to_dict() == {"a": 3, "b": 3}
        assert (rows["role"] == "pool").sum() == 65 - 15 - 6
        wider = more[(more["fold"] == name) & (more["role"] == "train")]
        assert set(train["cell_id"]) <= set(wider["cell_id"])


def test_long_tail_profile_is_that_of_the_paper():
    cells = manifest([c for c in "abc" for _ in range(200)] + ["a"] * 2 + ["b"])
    params = FoldParams(n_splits=2, shots_per_class=80, imbalance_factor=16)
    joined = roles(make_folds(cells, params, seed=0), cells)
    train = joined[(joined["fold"] == "r0f0") & (joined["role"] == "train")]
    # 80 * 16 ** (-r / 2) for r = 0, 1, 2
    assert train["label"].value_counts().to_dict() == {"a": 80, "b": 20, "c": 5}


def test_folds_survive_the_disk_and_are_checked_against_the_manifest(tmp_path):
    cells = manifest(["a", "b"] * 10, [f"g{i // 2}" for i in range(20)])
    path = tmp_path / "folds.parquet"
    write_folds(make_folds(cells, FoldParams(n_splits=2), seed=0), path)
    folds = read_folds(path, cells)
    assert [f.name for f in folds] == ["r0f0", "r0f1"]
    assert sorted([*folds[0].train, *folds[0].test]) == list(cells["cell_id"])
    assert len(folds[0].pool) == 0
    # The duplicates are found after the folds were made.
    cells.loc[cells["cell_id"].isin([folds[0].train[0], folds[0].test[0]]), "group"] = "twins"
    with pytest.raises(LeakageError, match="twins"):
        read_folds(path, cells)


def test_damaged_folds_are_refused(tmp_path):
    cells = manifest(["a", "b"] * 10)
    folds = make_folds(cells, FoldParams(n_splits=2), seed=0)
    with pytest.raises(InputError, match="no such file"):
        read_folds(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("fold")
    with pytest.raises(InputError, match="is no table"):
        read_folds(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="not in the manifest"):
        check_folds(folds, cells.iloc[1:])
    twice = pd.concat([folds, folds[folds["role"] == "train"].assign(role="pool")])
    with pytest.raises(LeakageError, match="two roles"):
        check_folds(twice, cells)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_splits": 1},
        {"scheme": "random"},
        {"shots": 3},
        {"imbalance_factor": 0.5},
        {"scheme": "official", "n_repeats": 2},
    ],
)
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        FoldParams(**wrong)


def test_no_fit_sees_unlabelled_cells_of_the_source_or_split_under_test():
    cells = manifest(["x", "y", "", "x", "y", ""], source=["A"] * 3 + ["B"] * 3)
    folds = make_folds(cells, FoldParams(scheme="leave-one-source-out"), seed=0)
    pools = folds[folds["role"] == "pool"].set_index("fold")["cell_id"]
    assert pools.to_dict() == {"r0f0": "c0005", "r0f1": "c0002"}
    split = ["train", "train", "train", "test", "test", "test"]
    folds = make_folds(cells.assign(split=split), FoldParams(scheme="official"), seed=0)
    assert folds.loc[folds["role"] == "pool", "cell_id"].tolist() == ["c0002"]


@pytest.mark.parametrize("seed", range(4))
def test_no_part_is_empty_where_there_are_as_many_groups_as_folds(seed: int) -> None:
    slides = [("mono", 3), ("neutro", 4), ("neutro", 7), ("neutro", 1), ("mono", 2)]
    label = [name for name, n in slides for _ in range(n)]
    group = [f"slide {k}" for k, (_, n) in enumerate(slides) for _ in range(n)]
    cells = manifest(label, group)
    folds = make_folds(cells, FoldParams(), seed=seed)
    tested = roles(folds[folds["role"] == "test"], cells).groupby("fold")["group"].unique()
    assert sorted(name for part in tested for name in part) == sorted(set(group))
    assert tested.map(len).tolist() == [1] * 5


@pytest.mark.parametrize(
    ("params", "mend"),
    [
        (FoldParams(n_splits=2), "lower n_splits or name more groups"),
        (FoldParams(scheme="official"), "mend the official split"),
        (FoldParams(scheme="leave-one-source-out"), "mend the sources"),
    ],
)
def test_an_empty_part_is_mended_where_the_scheme_takes_it_from(params, mend, monkeypatch) -> None:
    monkeypatch.setattr("bloomdiff.data.folds.partition", lambda label, *_, **__: [0] * len(label))
    cells = manifest(["x", "y"] * 2, split="test")
    with pytest.raises(InputError, match=f"fold r0f0: its training part is empty; {mend}"):
        make_folds(cells, params, seed=0)


def test_the_report_tells_why_a_class_is_never_tested() -> None:
    label = ["x", "x", "rare", "rare", "nosplit", "lone"]
    cells = manifest(label, split=["train", "test", "test", "test", "", "train"])
    report = fold_report(make_folds(cells, FoldParams(scheme="official"), seed=0), cells)
    notes = report.set_index("label")["note"]
    for name in ("rare", "nosplit"):
        assert notes[name].startswith("never trained on, and so never tested; left out")
    assert notes["nosplit"].endswith("or it has no split")
    assert notes["lone"] == "stands in one group, which is always trained on: never tested"
    assert notes["x"] == "1 cells are in no test part"


def test_the_report_tells_how_often_a_class_of_few_sources_is_trained_on() -> None:
    # 'y' of source B is trained on only where the slide that both sources have is not under test.
    label, source = ["x", "y", "x", "y", "y", "x", "z"], ["A", "A", "B", "B", "B", "C", "C"]
    cells = manifest(label, ["a", "s", "b", "s", "t", "c", "d"], source=source)
    folds = make_folds(cells, FoldParams(scheme="leave-one-source-out"), seed=0)
    notes = fold_report(folds, cells).set_index("label")["note"]
    assert notes["z"].startswith("trained on in 2 of 3 folds, and in none in which its cells could")
    assert notes["y"].startswith("2 groups: tested in 1 of 3 folds, trained on in 2; ")
    assert notes["x"] == ""


def test_shots_are_drawn_anew_in_each_repeat_and_under_each_seed():
    cells = manifest(["a", "b"] * 40, split=["train"] * 60 + ["test"] * 20)
    params = FoldParams(scheme="official", n_repeats=3, shots_per_class=5)
    drawn = set()
    for seed in (0, 1):
        folds = make_folds(cells, params, seed=seed)
        train = folds[folds["role"] == "train"]
        drawn |= set(train.groupby("fold")["cell_id"].apply(frozenset))
    assert len(drawn) == 2 * 3


def test_another_seed_validates_on_other_groups():
    train = embeddings(["a", "b"] * 30, [f"g{i // 3}" for i in range(60)])
    held = [frozenset(train.group[inner_folds(train, 4, seed)[0][1]]) for seed in range(5)]
    assert len(set(held)) > 1
