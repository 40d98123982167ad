"""The benchmark's own protocol: disjoint parts, hidden labels, equal budgets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from augmenters import KEY, RESULTS, ROOT, main, missing, run_unit
from augmenters_data import REGIMES, Regime, divide
from augmenters_goals import best_rival, bootstrap, goals_section, pairs_of
from augmenters_methods import BEHIND, BUDGET, FILL, METHODS, PLAIN, SCATTERED, Method
from augmenters_pages import PAGES, TABLES
from augmenters_regimes import regimes_section
from augmenters_summary import _preamble, _ranks, summarise
from augmenters_tuning import Trained, compete
from augmenters_views import views_section
from bloomdiff.data.embedding_set import EmbeddingSet
from pages import filled_in


@pytest.fixture(scope="module")
def cells() -> EmbeddingSet:
    """Three classes of 60 cells in 12 dimensions, two cells a group."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 60)
    X = rng.normal(size=(180, 12)) + np.repeat(3 * rng.normal(size=(3, 12)), 60, axis=0)
    rows = pd.DataFrame(
        {
            "cell_id": [f"cell-{i:03d}" for i in range(180)],
            "label": y,
            "group": [f"slide-{i // 2:02d}" for i in range(180)],
        }
    )
    return EmbeddingSet(X=X.astype(np.float32), rows=rows, header={"encoder": "none"})


@pytest.mark.parametrize("regime", REGIMES.values(), ids=list(REGIMES))
def test_parts_share_no_group_with_the_test_cells(cells: EmbeddingSet, regime: Regime) -> None:
    parts = divide(cells, regime, seed=3)
    tested = set(parts.test.group)
    assert not tested & (set(parts.labelled.group) | set(parts.pool.group))
    assert not set(parts.labelled.cell_id) & set(parts.pool.cell_id)
    assert len(parts.labelled) + len(parts.pool) == len(parts.all_labels)
    if regime.imbalance is None:
        counts = pd.Series(parts.labelled.label).value_counts()
        assert (counts == min(regime.shots, 40)).all()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.pool])
def test_labels_of_the_pool_change_nothing(cells: EmbeddingSet, name: str) -> None:
    parts = divide(cells, REGIMES["2-shot"], seed=0)
    shuffled = parts.pool.rows.assign(label=np.roll(parts.pool.label, 17))
    told = replace(parts, pool=replace(parts.pool, rows=shuffled))
    kept = ("classifier", "configuration", "macro_f1")
    one, two = (
        [{key: row[key] for key in kept} for row in compete(METHODS[name], p, ["logistic"], 0)]
        for p in (parts, told)
    )
    assert one == two


def test_every_method_has_the_same_number_of_configurations() -> None:
    for method in METHODS.values():
        for classifier in method.own or PLAIN:
            found = method.configurations(classifier)
            assert len(found) == BUDGET, (method.name, classifier)
            assert len({str(option) for option in found}) == BUDGET
    assert {len(values) * len(FILL) for values in BEHIND.values()} == {BUDGET}


# Those without levels of their own may choose to add nothing.
POOL_GENERATORS = [m for m in METHODS.values() if m.pool and m.generator and m.behind]


@pytest.mark.parametrize("method", POOL_GENERATORS, ids=[m.name for m in POOL_GENERATORS])
def test_what_a_pool_gives_is_always_added(cells: EmbeddingSet, method: Method) -> None:
    parts = divide(cells, REGIMES["5-shot"], 0)
    few, many = (replace(parts.pool, rows=parts.pool.rows[:n], X=parts.pool.X[:n]) for n in (9, 99))
    for pool in (few, many):
        trained = Trained(method, parts.labelled, pool, 0)
        for _, level in method.behind["logistic"]:
            added = trained.filled(level, "logistic")
            assert added is not None
            counts = np.unique(added.label, return_counts=True)[1]
            assert (counts == level - 5).all()


def test_what_one_classifier_asks_for_changes_no_other(cells: EmbeddingSet) -> None:
    labelled = divide(cells, REGIMES["5-shot"], 0).labelled
    asks, does_not = METHODS["gmm"], replace(METHODS["gmm"], behind={})
    assert asks.amount("logistic") > asks.amount("knn") == does_not.amount("logistic")
    drawn = [Trained(m, labelled, None, 0).filled(100, "knn") for m in (asks, does_not)]
    np.testing.assert_array_equal(*(rows.X for rows in drawn if rows is not None), strict=True)


def test_rows_are_drawn_for_each_classifier(cells: EmbeddingSet) -> None:
    labelled = divide(cells, REGIMES["5-shot"], 0).labelled
    plain, method = METHODS["diffusion"], METHODS[SCATTERED]
    spread = {}
    for classifier in ("logistic", "knn"):
        found = []
        for one in (plain, method):
            rows = Trained(one, labelled, None, 0, [classifier]).filled(100, classifier)
            assert rows is not None
            own = rows.X[rows.label == "a"]
            found.append((own.mean(axis=0), own.std(axis=0).mean()))
        # The same draws, farther from or nearer to the same mean.
        np.testing.assert_allclose(found[0][0], found[1][0], atol=0.5)
        spread[classifier] = found[1][1] / found[0][1]
    assert spread["logistic"] > 1.5
    assert spread["knn"] < 0.9


def test_scores_are_taken_up_and_summarised(cells: EmbeddingSet, tmp_path) -> None:
    methods = ["real only", "smote", "self-training + pool", "diffusion + pool", "all labels"]
    units = [("marrow-6", "5-shot", seed) for seed in range(2)]
    scores = pd.concat([run_unit(cells, unit, methods, ["logistic"]) for unit in units])
    assert not scores.duplicated(KEY).any()
    assert missing(scores, units, methods, ["logistic"]) == []
    wanted = missing(scores, units[:1], ["gaussian", "smote", "all labels"], ["logistic", "knn"])
    assert wanted == [
        (units[0], ["gaussian"], ["logistic", "knn"]),
        (units[0], ["smote"], ["knn"]),
    ]
    scores.to_parquet(tmp_path / "scores.parquet")
    text = summarise(tmp_path)
    assert "3. `diffusion + pool` against the best rival" in text
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    best = scores[scores["method"] == "all labels"]["macro_f1"].mean()
    assert f"| all labels | {100 * best:.1f}" in text


def with_views(cells: EmbeddingSet, scale: float) -> EmbeddingSet:
    """The same cells, each with three views that move it along the first axes."""
    rng = np.random.default_rng(1)
    move = scale * rng.normal(size=(len(cells), 3, cells.dim)) * (np.arange(cells.dim) < 4)
    return replace(cells, views=(cells.X[:, None] + move).astype(np.float32))


def test_there_is_nothing_to_say_without_real_cells_alone(tmp_path) -> None:
    told = {"data": "phantom", "regime": "5-shot", "seed": 0, "classifier": "logistic"}
    scores = pd.DataFrame([told | {"method": "smote", "macro_f1": 0.5}])
    scores.to_parquet(tmp_path / "scores.parquet")
    with pytest.raises(SystemExit, match="no scores of `real only`"):
        summarise(tmp_path)
    assert not (tmp_path / "augmenters.md").exists()


def test_views_as_rows_are_asked_for_where_there_are_views_alone(cells: EmbeddingSet) -> None:
    none: pd.DataFrame = pd.DataFrame(columns=KEY)
    plain, seen = ("marrow-6", "5-shot", 0), ("marrow-6 views", "5-shot", 0)
    assert missing(none, [plain], ["views as rows"], ["logistic"]) == []
    assert missing(none, [seen], ["views as rows"], ["logistic"])[0][0] == seen
    told = run_unit(with_views(cells, 1.0), seen, ["views as rows", "real only"], ["logistic"])
    assert set(told["method"]) == {"views as rows", "real only"}


def test_methods_are_whitened_by_the_views_of_the_cells_that_they_may_use(
    cells: EmbeddingSet,
) -> None:
    parts = divide(with_views(cells, 5.0), REGIMES["5-shot"], 0)
    for method in METHODS.values():
        if method.own and "logistic" in method.own:
            trained = Trained(method, parts.labelled, None, 0)
            assert (trained.whitening is None) == method.view_rows
    pooled = Trained(METHODS["real only"], parts.labelled, parts.pool, 0)
    assert pooled.whitening is not None
    assert pooled.whitening.fingerprint == parts.labelled.fingerprint | parts.pool.fingerprint


def test_what_views_add_is_paired_by_division(tmp_path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(4):
        base = rng.uniform(0.4, 0.6)
        for data, gain in (("phantom", 0.0), ("phantom views", 0.1)):
            for method, more in (("real only", 0.0), ("diffusion classifier + pool", 0.2)):
                score = base + more + gain + 0.001 * rng.normal()
                rows.append((data, "5-shot", seed, method, score))
    rows += [("phantom views", "5-shot", s, "views as rows", 0.5) for s in range(4)]
    scores = pd.DataFrame(rows, columns=["data", "regime", "seed", "method", "macro_f1"])
    text = "\n".join(views_section(scores, tmp_path / "views.png"))
    assert "| real only | 1 | +10.0 |" in text or "| real only | 1 | +9.9 |" in text
    assert "| 1 | 0 |" in text
    assert (tmp_path / "views.png").stat().st_size > 10_000
    moved = scores.replace({"phantom": "blood to marrow", "phantom views": "blood to marrow views"})
    both = pd.concat([scores, moved], ignore_index=True).assign(classifier="logistic")
    both.to_parquet(tmp_path / "scores.parquet")
    within, across = summarise(tmp_path).split("## Whitened by views")[1:]
    assert across.startswith(", across laboratories")
    assert "blood to marrow" not in within
    assert "| phantom |" not in across.split("## ")[0]
    plain = scores[~scores["data"].str.endswith("views")]
    assert views_section(plain, tmp_path / "none.png") == []


def test_best_rival_was_scored_on_all_divisions() -> None:
    wide = pd.DataFrame({"real only": [0.5, 0.6], "smote": [0.5, 0.7], "gmm": [np.nan, 0.9]})
    assert best_rival(wide, pool=False) == "smote"
    assert best_rival(wide.tail(1), pool=False) == "gmm"


def test_one_rival_in_all_regimes_is_compared_division_by_division() -> None:
    """The gain over each rival, though the best of a regime changes from one to the next."""
    shares = {"real only": 0.40, "diffusion": 0.52, "smote": 0.50, "gmm": 0.45, "tvae": 0.60}
    rows = [
        {"data": "made", "regime": regime, "method": name, "seed": seed}
        | {"macro_f1": share + 0.01 * seed + (0.08 if (name, regime) == ("gmm", "5-shot") else 0.0)}
        for regime in ("1-shot", "5-shot")
        for name, share in shares.items()
        for seed in range(2 if (name, regime) == ("tvae", "5-shot") else 3)
    ]
    scores = pd.DataFrame(rows)
    told = "\n".join(goals_section(scores))
    # Where it has all divisions:
    assert "| tvae | 1 | -8.0, -8.0 to -8.0 [-8.0 to -8.0] | 0 [0] | 1 [1] |" in told
    assert "| smote | 2 | +2.0, +2.0 to +2.0 [+2.0 to +2.0] | 2 [2] | 0 [0] |" in told
    assert "| gmm | 2 | +3.0, +3.0 to +3.0 [+3.0 to +3.0] | 1 [1] | 1 [1] |" in told
    assert "| real only | 2 | +12.0, +12.0 to +12.0 [+12.0 to +12.0] | 2 [2] | 0 [0] |" in told
    assert "none with a pool: -4.5, -4.5 to -4.5 [-4.5 to -4.5] points on average" in told
    assert "ahead in 0 [0] and behind in 2 [2] of 2" in told
    assert "| made | -8.0, -8.0 to -8.0, tvae | -1.0, -1.0 to -1.0, gmm |" in told


def test_regime_by_regime_the_rival_is_the_same_on_every_set() -> None:
    """Each rival wins on one set; the one with the higher mean over both is compared on both."""
    shares = {
        "first": {"real only": 0.40, "diffusion": 0.52, "smote": 0.60, "gmm": 0.40},
        "second": {"real only": 0.44, "diffusion": 0.50, "smote": 0.40, "gmm": 0.50},
    }
    shares["second"]["tvae"] = 0.9  # on one set alone: no method that all sets could have
    rows = [
        {"data": data, "regime": "5-shot", "method": name, "seed": seed}
        | {"macro_f1": share + 0.01 * seed}
        for data, of_set in shares.items()
        for name, share in of_set.items()
        for seed in range(3)
    ]
    scores = pd.DataFrame(rows)
    told = "\n".join(regimes_section(pairs_of(scores)))
    assert (
        "2. `diffusion` against the best rival of each regime, none with a pool: ahead in 1 [1]"
        in told
    )
    real, best = (f"{g}, {g} to {g} [{g} to {g}]" for g in ("+9.0", "+1.0"))
    assert f"| 5-shot | 2 | {real} | {best}, smote |" in told
    assert "tvae" not in told
    assert regimes_section(pairs_of(scores[scores["data"] == "first"])) == []


def test_a_loss_that_only_the_bootstrap_sees_is_named() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(10):
        own = 0.5 - 0.02 + 0.02 * rng.normal()
        rows += [(seed, "real only", 0.5), (seed, "diffusion", own), (seed, "smote", 0.4)]
    scores = pd.DataFrame(rows, columns=["seed", "method", "macro_f1"])
    told = "\n".join(goals_section(scores.assign(data="made", regime="5-shot")))
    assert "significantly worse in 0 [1: made 5-shot (" in told
    assert "significantly better in 0 [0]" in told


def test_the_bootstrap_is_scipys() -> None:
    from scipy.stats import bootstrap as theirs

    rng = np.random.default_rng(0)
    scored = pd.DataFrame({"a": rng.normal(size=10), "b": rng.normal(size=10)})
    scored.loc[10] = [np.nan, 0.0]  # a division that only one of them has
    both = scored.dropna()
    found = theirs(
        (both["a"], both["b"]),
        lambda a, b, axis: (a - b).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    np.testing.assert_allclose(bootstrap(scored, "a", "b"), found, atol=0.05)


def test_methods_with_fewer_divisions_are_named() -> None:
    seeds = {"real only": 4, "smote": 4, "tvae": 2}
    rows = [
        {"data": "made", "regime": regime, "classifier": "knn", "method": name, "seed": seed}
        for regime in ("1-shot", "5-shot")
        for name, n in seeds.items()
        for seed in range(n)
    ]
    told = _preamble(pd.DataFrame(rows))
    assert told.endswith("Scored on fewer, so that only their gains can be compared: `tvae` on 2.")
    assert "mean over 4 divisions of each set" in told
    assert "Scored on fewer" not in _preamble(pd.DataFrame(rows).query("method != 'tvae'"))


def test_ranks_are_of_methods_scored_on_all_divisions(tmp_path) -> None:
    rows = [
        {"data": "made", "regime": regime, "seed": seed, "method": name, "macro_f1": value}
        for regime in ("1-shot", "2-shot", "5-shot")
        for name, value, seeds in (
            ("real only", 0.5, 4),
            ("smote", 0.6, 4),
            ("gaussian", 0.4, 4),
            ("gmm", 0.9, 3),  # the fourth division is the hard one
        )
        for seed in range(seeds)
    ]
    told = "\n".join(_ranks(pd.DataFrame(rows), False, tmp_path))
    assert "- smote: 1.00" in told
    assert "- real only: 2.00" in told
    assert "gmm" not in told


def test_labels_from_one_laboratory_and_pool_and_test_from_the_other(cells: EmbeddingSet) -> None:
    source = np.where(np.arange(len(cells)) % 60 < 20, "here", "there")
    both = replace(cells, rows=cells.rows.assign(source=source))
    parts = divide(both, REGIMES["5-shot"], 0, labelled_from="here")
    assert set(parts.labelled.rows["source"]) == {"here"}
    assert set(parts.pool.rows["source"]) == set(parts.test.rows["source"]) == {"there"}
    assert not set(parts.test.group) & (set(parts.pool.group) | set(parts.labelled.group))
    assert len(parts.labelled) == 15
    assert len(parts.all_labels) == len(parts.labelled) + len(parts.pool)


@pytest.mark.parametrize("page", PAGES)
def test_pages_tell_what_was_scored(page: str) -> None:
    published = pd.read_parquet(RESULTS / "scores.parquet")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- scored: " in text
    found = filled_in(text, TABLES, published)
    assert found == text, "run `python bench/augmenters.py --summary`"


def test_bold_is_what_is_ahead_beyond_the_noise() -> None:
    published = pd.read_parquet(RESULTS / "scores.parquet")
    real = published["method"] == "real only"
    worse = published.assign(macro_f1=published["macro_f1"].where(~real, published["macro_f1"] / 2))
    found, other = (TABLES["regimes"](scores) for scores in (published, worse))
    assert "".join(found).count("**") < "".join(other).count("**")


def benched(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the benchmark's command with two methods in one regime."""
    few = ["--methods", "real only", "self-training + pool", "--regimes", "5-shot"]
    command = ["augmenters.py", *arguments, *few, "--seeds", "2", "--jobs", "1"]
    monkeypatch.setattr("sys.argv", [*command, "--classifiers", "logistic"])
    main()


def test_cells_of_ones_own_are_scored_apart(
    cells: EmbeddingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    cells.save(tmp_path / "cells.parquet")
    build = ["--build", str(tmp_path / "build")]
    benched(monkeypatch, *build, "--imported", f"lab={tmp_path / 'cells.parquet'}")
    assert "## lab, logistic" in capsys.readouterr().out
    scores = pd.read_parquet(tmp_path / "build" / "imported" / "scores.parquet")
    assert set(scores["data"]) == {"lab"}
    assert len(scores) == 4
    # Another set joins them, from a folder with a manifest this time.
    folder = tmp_path / "other" / "data"
    folder.mkdir(parents=True)
    rest = {"path": "x.png", "split": "", "source": "lab", "width": 9, "height": 9, "blake3": "f0"}
    cells.rows.assign(**rest).to_csv(folder / "manifest.csv", index=False)
    monkeypatch.setattr("augmenters_data.group_duplicates", lambda table, *_: table)
    monkeypatch.setattr("augmenters_data._embed", lambda table, *_: replace(cells, rows=table))
    benched(monkeypatch, *build, "--imported", f"other={folder}")
    scores = pd.read_parquet(tmp_path / "build" / "imported" / "scores.parquet")
    assert set(scores["data"]) == {"lab", "other"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("cells.parquet", "is no name and path"),
        ("blood-13=cells.parquet", "is no name and path"),
        ("lab=none.parquet", "none.parquet"),
        ("lab=nowhere", "nowhere"),
        ("lab=one.parquet", "too few labelled groups"),
    ],
)
def test_bad_cells_of_ones_own_are_one_line(
    given: str,
    told: str,
    cells: EmbeddingSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
) -> None:
    monkeypatch.chdir(tmp_path)
    cells.save("cells.parquet")
    replace(cells, rows=cells.rows.assign(group="one")).save("one.parquet")
    with pytest.raises(SystemExit) as stopped:
        benched(monkeypatch, "--build", "build", "--imported", given)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert told in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not (tmp_path / "build" / "imported" / "scores.parquet").exists()


def test_cells_that_never_had_a_label_join_the_pool(cells: EmbeddingSet) -> None:
    """But for those of slides that are tested."""
    unlabelled = np.arange(len(cells)) % 3 == 0
    some = replace(cells, rows=cells.rows.assign(label=np.where(unlabelled, "", cells.label)))
    parts = divide(some, REGIMES["5-shot"], 0)
    never = parts.pool.cell_id[parts.pool.label == ""]
    assert len(never)
    tested = np.isin(some.group, parts.test.group)
    assert set(never) == set(some.cell_id[unlabelled & ~tested])
    for labelled in (parts.labelled, parts.test, parts.all_labels):
        assert (labelled.label != "").all()
