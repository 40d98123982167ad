"""The benchmark of selection: kept replays are those of today's cells, goals are told in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import selection
import selection_renew
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.files import read_json, write_json
from selection_goals import _other_queues, goals, with_pool, with_views

HERE = Path()


def cloud(n: int, seed: int) -> EmbeddingSet:
    """Three classes in 8 dimensions, one cell a group."""
    rng = np.random.default_rng(seed)
    y = np.resize(["a", "b", "c"], n)
    X = rng.normal(size=(n, 8)) + 3 * (y[:, None] == np.array(["a", "b", "c"])) @ np.eye(3, 8)
    names = [f"cell-{i:02d}" for i in range(n)]
    rows = pd.DataFrame({"cell_id": names, "label": y, "group": names})
    return EmbeddingSet(X=X.astype(np.float32), rows=rows, header={"encoder": "none"})


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> dict[str, EmbeddingSet]:
    """The cells that the benchmark is given, by name; nothing remembered from another test."""
    given = {"phantom": cloud(60, seed=0)}
    for name in ("cells", "full", "division"):
        getattr(selection, name).cache_clear()
    monkeypatch.setattr(selection, "cells_of", lambda name, build, real: given[name])
    return given


def edit_source(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Let the module whose name ends so look edited."""
    source = selection.inspect.getsource

    def edited(module: object) -> str:
        changed = str(getattr(module, "__name__", "")).endswith(ending)
        return source(module) + ("# edited" if changed else "")  # type: ignore[arg-type]

    monkeypatch.setattr(selection.inspect, "getsource", edited)


def test_a_replay_is_kept_until_its_cells_or_their_encoder_change(
    sets: dict[str, EmbeddingSet], tmp_path: Path
) -> None:
    def given(cells: EmbeddingSet) -> None:
        sets["phantom"] = cells
        selection.cells.cache_clear()
        selection.division.cache_clear()

    selection.play([("phantom", 0, "random"), ("phantom", 1, "margin")], build=tmp_path, real=HERE)
    kept = read_json(selection.file_of(tmp_path, "phantom", 0, "random"))
    assert kept["classes"] == 3
    assert selection.drop_stale("phantom", tmp_path, HERE) == 0
    same = cloud(60, seed=0)
    given(replace(same, X=same.X * np.float32(1 + 1e-6)))  # another processor's last bits
    assert selection.drop_stale("phantom", tmp_path, HERE) == 0
    given(replace(same, header={"encoder": "another"}))
    assert selection.drop_stale("phantom", tmp_path, HERE) == 2
    assert not list(tmp_path.glob("replays/*/*.json"))
    for other in (cloud(57, seed=0), replace(same, rows=same.rows.assign(blake3="other images"))):
        selection.play([("phantom", 0, "random")], build=tmp_path, real=HERE)
        given(other)
        assert selection.drop_stale("phantom", tmp_path, HERE) == 1


def test_a_replay_with_views_is_kept_until_the_whitening_changes(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sets["phantom"]
    shifts = np.random.default_rng(3).normal(size=(60, 2, 8)).astype(np.float32)
    sets["phantom views"] = replace(plain, views=plain.X[:, None] + shifts)
    for name in sets:
        selection.play([(name, 0, "random")], build=tmp_path, real=HERE)
    edit_source(monkeypatch, "view_whitening")
    assert [selection.drop_stale(name, tmp_path, HERE) for name in sets] == [0, 1]


def test_published_replays_are_put_back(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "RESULTS", tmp_path)
    monkeypatch.setattr(selection, "BUDGETS", (3, 6))
    for judge in selection.JUDGES:
        units = [("phantom", seed, who) for seed in (0, 1) for who in ("random", "margin")]
        selection.play(units, build=tmp_path / "first", real=HERE, judge=judge)
    selection.gather(tmp_path / "first")
    published = pd.read_parquet(tmp_path / "selection.parquet")
    assert np.isinf(published["all_found_5"]).any()
    selection.restore(tmp_path / "second")
    assert selection.drop_stale("phantom", tmp_path / "second", HERE) == 0
    selection.gather(tmp_path / "second")
    again = pd.read_parquet(tmp_path / "selection.parquet")
    pd.testing.assert_frame_equal(published, again, check_like=True)


def test_a_replay_is_kept_until_its_strategy_changes(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = [("phantom", 0, who) for who in ("random", "k-center", "expected-gain")]
    selection.play(units, build=tmp_path, real=HERE)
    for ending in ("k_center", "diffusion.prior"):  # the latter is asked what is strange
        edit_source(monkeypatch, ending)
        assert selection.drop_stale("phantom", tmp_path, HERE) == 1
    assert selection.file_of(tmp_path, "phantom", 0, "random").exists()


def test_goals_say_where_a_third_of_randoms_budget_is_too_little_for_anybody() -> None:
    base = {"area": 0.5, "labels_95%": 100.0, "classes": 6}
    rows = [
        {**base, "strategy": who, "seed": seed, "all_found_1": found}
        for seed in (0, 1)
        for who, found in (("random", 15.0), ("expected-gain", 9.0), ("margin", 12.0))
    ]
    part = pd.DataFrame(rows)
    assert "| 9 / 15 = 0.60 (6 classes; *) |" in goals({"few": part}, 600)
    later = part.assign(all_found_1=part["all_found_1"] * 2)
    assert "| 18 / 30 = 0.60 (6 classes) |" in goals({"rare": later}, 600)


def test_a_second_judge_is_set_beside_the_probe_on_the_same_labels(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "BUDGETS", (6, 12))
    units = [("phantom", seed, who) for seed in (0, 1) for who in ("random", "expected-gain")]
    for judge in selection.JUDGES:
        selection.play(units, build=tmp_path, real=HERE, judge=judge)
    files = sorted(tmp_path.glob("replays*/*/*.json"))
    kept = ["replays", "replays-diffusion", "replays-diffusion-own-shares"]
    assert [path.parents[1].name for path in files] == list(np.repeat(kept, 4))
    table = pd.DataFrame([read_json(path) for path in files])
    text = with_pool(table, selection.PROBE, 12)
    area = table.groupby(["judge", "strategy"])["area"].mean()
    random, probe = area["diffusion", "random"], area["logistic", "random"]
    assert text.count("| phantom | diffusion |") == 2
    assert text.count("| phantom | diffusion, own shares |") == 2
    line = next(line for line in text.splitlines() if "| diffusion | random |" in line)
    assert f"| 2 | {random:.3f} | {area['diffusion', 'expected-gain'] - random:+.3f} (" in line
    assert line.count(f"| {random - probe:+.3f} (") == 2
    assert with_pool(table[:4], selection.PROBE, 12) == ""


def test_replays_of_a_judge_that_changed_are_dropped(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = [("phantom", 0, "random")]
    for judge in selection.JUDGES:
        selection.play(units, build=tmp_path, real=HERE, judge=judge)
    edit_source(monkeypatch, "classifiers.diffusion")
    assert selection.drop_stale("phantom", tmp_path, HERE) == 2  # of the classifier's two judges
    assert selection.file_of(tmp_path, "phantom", 0, "random").exists()


def test_views_are_held_against_the_same_pools_without_them() -> None:
    base = {"classes": 3, "all_found_1": 30.0, "labels_95%": 80.0, "full": 0.8}
    curve = {"score_10": 0.4, "score_50": 0.6, "score_100": 0.78}
    better = {"score_10": 0.5, "score_50": 0.76, "score_100": 0.8}
    plain, seen = (
        pd.DataFrame(
            [
                {**base, **scores, "strategy": who, "seed": seed, "area": area + 0.01 * seed}
                for seed in range(3)
                for who in ("random", "expected-gain")
            ]
        )
        for scores, area in ((curve, 0.5), (better, 0.6))
    )
    text = with_views({"phantom": plain, "phantom views": seen}, 600)
    row = next(line for line in text.splitlines() if line.startswith("| phantom views | expected"))
    assert "| 0.610 | +0.100 (+0.100 to +0.100) | +0.100 (+0.100 to +0.100) |" in row
    assert "| 50 / 80 = 0.62 | 30 / 30 = 1.00 |" in row
    assert with_views({"phantom": plain}, 600) == ""


def test_queues_that_judges_did_not_share_are_counted():
    seeds = pd.Index([0, 1, 2], name="seed")
    found = {"all_found_1": [5.0, 6.0, np.inf], "all_found_5": [9.0, 9.0, np.inf]}
    judged = pd.DataFrame({**found, "order": ["a", "b", None]}, index=seeds)
    assert _other_queues(judged, judged) == 0
    assert _other_queues(judged[:2], judged) == 0
    assert _other_queues(judged, judged.assign(order=["a", "x", "c"])) == 1  # one had none yet
    assert _other_queues(judged, judged.assign(all_found_5=[8.0, 9.0, 9.0])) == 2
    assert _other_queues(judged.drop(columns="order"), judged.drop(columns="order")) == 0


def test_a_change_that_leaves_replays_alone_renews_them(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "BUDGETS", (6, 12))
    monkeypatch.setattr(selection, "ALL_SETS", ("phantom",))
    units = [("phantom", seed, who) for seed in (0, 1) for who in ("random", "expected-gain")]
    selection.play(units, build=tmp_path, real=HERE)
    paths = [selection.file_of(tmp_path, *unit) for unit in units]
    before = [read_json(path) for path in paths]
    assert not selection_renew.stale(tmp_path, HERE)
    edit_source(monkeypatch, "diffusion.prior")
    groups = selection_renew.stale(tmp_path, HERE)
    assert {key[2]: len(found) for key, found in groups.items()} == {"expected-gain": 2}
    assert selection_renew.renew(list(groups.items()), build=tmp_path, real=HERE) == [2]
    assert selection.drop_stale("phantom", tmp_path, HERE) == 0
    for path, old in zip(paths, before, strict=True):
        assert selection_renew._told(read_json(path)) == selection_renew._told(old)


def test_a_change_that_shows_renews_nothing(
    sets: dict[str, EmbeddingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "BUDGETS", (6, 12))
    monkeypatch.setattr(selection, "ALL_SETS", ("phantom",))
    units = [("phantom", seed, "expected-gain") for seed in (0, 1)]
    selection.play(units, build=tmp_path, real=HERE)
    paths = [selection.file_of(tmp_path, *unit) for unit in units]
    for path in paths:  # the later version chooses otherwise
        write_json(path, read_json(path) | {"score_6": 0.123})
    edit_source(monkeypatch, "diffusion.prior")
    kept = [path.read_bytes() for path in paths]
    groups = selection_renew.stale(tmp_path, HERE)
    assert selection_renew.renew(list(groups.items()), build=tmp_path, real=HERE) == [0]
    assert [path.read_bytes() for path in paths] == kept
    assert selection.drop_stale("phantom", tmp_path, HERE) == 2
