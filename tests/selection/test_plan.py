import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from lab import CLASSES, make, truth_of

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import BloomDiffError, InputError
from bloomdiff.selection import base, filling, geometry
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.selection.queue import Queue


@pytest.fixture
def world(tmp_path):
    return make(tmp_path)


def plan(objects=10, strategy="expected-gain", **limits):
    return Plan(strategy=strategy, limits=Limits(objects=objects, **limits))


def test_a_queue_holds_unlabelled_cells_with_rank_score_and_reason(world, tmp_path):
    queue = build_queue(*world, plan(), images=tmp_path)
    table = queue.table
    assert table["rank"].tolist() == list(range(1, 11))
    assert not set(table["cell_id"]) & set(world[0].loc[world[0]["label"] != "", "cell_id"])
    assert set(table["predicted"]) <= set(CLASSES)
    assert table["confidence"].between(0, 1).all()
    assert table["reason"].str.contains(": ").all()
    assert table["part:score"].notna().all()
    assert queue.header["pool"]["cells"] == 36
    assert queue.header["taken"]["objects"] == 10
    assert queue.classes[:3] == list(CLASSES)


def test_equal_calls_give_equal_bytes(world, tmp_path):
    for name in ("a", "b"):
        build_queue(*world, plan()).save(tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    loaded = Queue.load(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(loaded.table, build_queue(*world, plan()).table)


def test_a_queue_continues_and_labelled_cells_never_return(world):
    cells, embeddings = world
    first = build_queue(cells, embeddings, plan())
    done = first.table["cell_id"][:4].tolist()
    rows = cells["cell_id"].isin(done)
    cells.loc[rows, "label"] = [truth_of(name) for name in cells.loc[rows, "cell_id"]]
    then = build_queue(cells, embeddings, plan(), before=first)
    assert then.table["cell_id"][:6].tolist() == first.table["cell_id"][4:].tolist()
    assert then.table["reason"][:6].tolist() == first.table["reason"][4:].tolist()
    assert len(then.table) == 10
    assert not set(then.table["cell_id"]) & set(done)
    assert then.table["cell_id"].is_unique


def test_caps_hold_across_rounds(world):
    table = build_queue(*world, plan(9, per_field=1, strategy="margin")).table
    assert table["field"].value_counts().max() == 1
    assert len(table) == 9  # as many as the pool has fields
    table = build_queue(*world, plan(20, per_slide=2, strategy="random")).table
    assert table["group"].value_counts().tolist() == [2] * 5


def test_minutes_and_fields_bound_the_queue(world):
    limits = {"minutes": 5, "minutes_per_object": 0.5, "minutes_per_field": 1}
    queue = build_queue(*world, plan(30, fields=3, strategy="random", **limits))
    assert queue.table["field"].nunique() <= 3
    assert queue.header["taken"]["minutes"] <= 5


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        ({"fields": 3}, 12),
        ({"per_slide": 1}, 74),
        ({"per_class": 0.1}, 30),
        ({"minutes": 1, "minutes_per_object": 0}, 8),
    ],
)
def test_what_a_limit_shuts_out_is_not_ranked_again(tmp_path, monkeypatch, limits, taken):
    sizes, rank = [], filling._rank
    monkeypatch.setattr(filling, "_rank", lambda *a: sizes.append(len(a[4])) or rank(*a))
    cells, embeddings = make(tmp_path, n=600, images=False)
    queue = build_queue(cells, embeddings, plan(100, strategy="margin", **limits))
    assert queue.header["taken"]["objects"] == taken
    assert queue.header["kept_out"] == {"over a limit": 588 - taken}
    assert sum(sizes) < 1.6 * 588


def test_the_share_of_a_class_holds_where_minutes_end_the_queue(world):
    limits = {"minutes": 3, "minutes_per_field": 0, "per_class": 0.34, "strategy": "random"}
    table = build_queue(*world, plan(36, **limits)).table
    assert table["predicted"].value_counts().tolist() == [4, 4, 4]


def test_a_queued_cell_like_one_that_was_labelled_since_is_not_asked_for(world):
    cells, embeddings = world
    X = embeddings.X.copy()
    X[40] = X[20]
    copies = EmbeddingSet(X, embeddings.rows, embeddings.header)
    first = build_queue(cells, copies, plan(36, strategy="random"))
    asked = first.table.loc[
        first.table["cell_id"].isin(["lab/cell-020", "lab/cell-040"]), "cell_id"
    ]
    other = {"lab/cell-020": 40, "lab/cell-040": 20}[asked.item()]
    cells.loc[other, "label"] = truth_of(f"lab/cell-{other:03d}")
    then = build_queue(cells, copies, plan(35, strategy="random"), before=first)
    fresh = build_queue(cells, copies, plan(35, strategy="random"))
    assert asked.item() not in set(then.table["cell_id"])
    assert then.header["kept_out"] == fresh.header["kept_out"] == {"like a labelled cell": 1}


def test_queued_cells_that_are_unfit_come_last(world, tmp_path):
    from bloomdiff.data.images import encode_png

    first = build_queue(*world, plan(strategy="random"))
    moved = first.table["cell_id"][3]
    grey = np.full((24, 24, 3), 15, dtype=np.uint8)
    (tmp_path / f"images/{moved}.png").write_bytes(encode_png(grey))
    args = {"images": tmp_path, "before": first}
    table = build_queue(*world, plan(36, strategy="random"), **args).table
    unfit = table["code"] == "unfit"
    at = int(table.index[table["cell_id"] == moved][0])
    assert at == int(np.flatnonzero(unfit)[0])
    assert unfit[at:].all()
    assert table["reason"][at].startswith("artefact: too dark")
    assert table["cell_id"][:9].tolist() == first.table["cell_id"].drop(3).tolist()
    # A queue that is full without it has no place for it.
    table = build_queue(*world, plan(10, strategy="random"), **args).table
    assert moved not in set(table["cell_id"])


def test_the_pool_is_held_once_beside_the_embeddings(monkeypatch):
    monkeypatch.setattr(geometry, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(base, "PREDICT_ROWS", 256)
    n, d = 3000, 1024
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        {
            "cell_id": [f"c{i:04d}" for i in range(n)],
            "path": [f"c{i:04d}.png" for i in range(n)],
            "label": [CLASSES[i % 3] if i < 30 else "" for i in range(n)],
            "group": [f"g{i // 10}" for i in range(n)],
            **dict.fromkeys(["split", "blake3"], ""),
            **{"source": "x", "width": 9, "height": 9},
        }
    )
    X = rng.standard_normal((n, d), dtype=np.float32)
    embeddings = EmbeddingSet(X, cells[["cell_id", "label", "group"]], {"encoder": "t"})
    build_queue(cells, embeddings, plan(strategy="random"))  # imports
    tracemalloc.start()
    build_queue(cells, embeddings, plan(strategy="random"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(peak / X.nbytes)
    assert peak < 1.6 * X.nbytes


def test_copies_are_asked_for_once(world):
    cells, embeddings = world
    X = embeddings.X.copy()
    X[30:48] = X[30]  # eighteen copies of one cell in the pool
    X[20] = X[0]  # and one of a labelled cell
    copies = EmbeddingSet(X, embeddings.rows, embeddings.header)
    queue = build_queue(cells, copies, plan(36, strategy="random"))
    asked = queue.table["cell_id"]
    assert asked.isin([f"lab/cell-{i:03d}" for i in range(30, 48)]).sum() == 1
    assert "lab/cell-020" not in set(asked)
    assert queue.header["kept_out"] == {"like a labelled cell": 1, "like a queued cell": 17}


def test_overlapping_boxes_are_asked_for_once(world):
    cells, embeddings = world
    for name in ("box_x", "field"):
        cells.loc[cells["cell_id"] == "lab/cell-041", name] = cells.loc[40, name]
    queue = build_queue(cells, embeddings, plan(36, strategy="random"))
    assert queue.table["cell_id"].isin(["lab/cell-040", "lab/cell-041"]).sum() == 1


def test_unfit_crops_come_last_with_the_reason(world, tmp_path):
    from bloomdiff.data.images import encode_png

    grey = np.full((24, 24, 3), 15, dtype=np.uint8)
    (tmp_path / "images/lab/cell-020.png").write_bytes(encode_png(grey))
    table = build_queue(*world, plan(36, strategy="random"), images=tmp_path).table
    at = table.index[table["cell_id"] == "lab/cell-020"][0]
    assert table["reason"][at].startswith("artefact: too dark")
    assert (table["code"][at:] == "unfit").all()
    assert (table["code"][:at] != "unfit").all()


def test_classes_are_balanced_by_prediction(world):
    table = build_queue(*world, plan(12, per_class=0.34, strategy="random")).table
    assert table["predicted"].value_counts().max() <= 4


@pytest.mark.parametrize("n_labelled", [0, 1])
def test_cold_start(tmp_path, n_labelled):
    cells, embeddings = make(tmp_path, n_labelled=n_labelled, images=False)
    queue = build_queue(cells, embeddings, plan())
    assert len(queue) == 10
    assert set(queue.table["predicted"]) == {""}
    assert set(CLASSES) <= set(queue.classes)  # the vocabulary


def test_a_detectors_classes_are_no_labels(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    cells.loc[24:, ["source", "label"]] = ["detector", "monocyte"]
    queue = build_queue(cells, embeddings, plan(), unverified=("detector",))
    assert queue.header["pool"]["cells"] == 36
    with pytest.raises(BloomDiffError, match="did you mean 'detector'"):
        build_queue(cells, embeddings, plan(), unverified=("detectors",))


def scores(cells, path, change=lambda table: table):
    pool = cells.loc[cells["label"] == "", "cell_id"]
    table = pd.DataFrame(
        {"cell_id": pool, "score": 0.9, "basophil": 0.1, "lymphocyte": 0.6, "monocyte": 0.3}
    )
    change(table.reset_index(drop=True)).to_csv(path, index=False)
    return path


def test_a_detectors_probabilities_are_used(world, tmp_path):
    def one_is_close(table):
        table.loc[5, ["lymphocyte", "monocyte"]] = [0.46, 0.44]
        return table

    file = scores(world[0], tmp_path / "scores.csv", one_is_close)
    table = build_queue(*world, plan(strategy="margin"), scores_file=file).table
    assert table["reason"][0] == "disputed: lymphocyte 0.46, monocyte 0.44"
    assert table["detector_score"].tolist() == [0.9] * 10


def replace(column, value, row=3):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


SCORES = {
    "above one": (
        replace("score", 1.2),
        "row 5: cell 'lab/cell-015': score '1.2' is no probability",
    ),
    "negative": (replace("monocyte", -0.1), "monocyte '-0.1' is no probability"),
    "text": (replace("monocyte", "often"), "monocyte 'often' is no probability"),
    "sum": (
        replace("monocyte", 0.9),
        "row 5: cell 'lab/cell-015': the probabilities add up to 1.6",
    ),
    "class": (
        lambda t: t.rename(columns={"monocyte": "monocite"}),
        "column 'monocite': is no known class; did you mean 'monocyte'?",
    ),
    "twice": (lambda t: pd.concat([t, t[:1]]), "row 38: cell 'lab/cell-012' is there twice"),
    "missing": (lambda t: t[1:], "cell 'lab/cell-012': has no row"),
    "no ids": (lambda t: t.drop(columns="cell_id"), "has no column cell_id"),
}


@pytest.mark.parametrize("case", sorted(SCORES))
def test_bad_scores_name_the_cell(case, world, tmp_path):
    change, line = SCORES[case]
    file = scores(world[0], tmp_path / "scores.csv", change)
    with pytest.raises(InputError) as caught:
        build_queue(*world, plan(), scores_file=file)
    assert line in str(caught.value)


def test_bad_manifests_name_the_row(world):
    cells, embeddings = world
    broken = cells.assign(box_width=cells["box_width"].where(cells.index != 7, -3))
    with pytest.raises(InputError, match=r"row 9: box_width '-3.0' is not a number of pixels"):
        build_queue(broken, embeddings, plan())
    twice = cells.assign(cell_id=cells["cell_id"].where(cells.index != 7, "lab/cell-003"))
    with pytest.raises(InputError, match=r"cell_id 'lab/cell-003' is there twice"):
        build_queue(twice, embeddings, plan())
    with pytest.raises(InputError, match="has no cell without a label"):
        build_queue(cells[:12], embeddings, plan())
    with pytest.raises(BloomDiffError, match="objects 37: the pool has 36 cells"):
        build_queue(cells, embeddings, plan(37))
    with pytest.raises(InputError, match="embeddings of cell 'lab/cell-047': are missing"):
        build_queue(cells, embeddings.take(np.arange(47)), plan())


def test_a_damaged_queue_is_told(tmp_path):
    path = tmp_path / "queue.parquet"
    with pytest.raises(InputError, match="no such file"):
        Queue.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no queue"):
        Queue.load(path)


def test_cells_with_views_are_chosen_in_their_units_whether_they_have_groups_or_not(world):
    cells, embeddings = world
    rng = np.random.default_rng(0)
    move = rng.normal(size=(len(embeddings), 3, embeddings.dim)) * (np.arange(embeddings.dim) < 2)
    seen = dataclasses.replace(
        embeddings, views=(embeddings.X[:, None] + 5 * move).astype(np.float32)
    )
    plain, whitened = (build_queue(cells, e, plan()).table for e in (embeddings, seen))
    assert plain["cell_id"].tolist() != whitened["cell_id"].tolist()
    bare = cells.assign(group=cells["group"].where(cells["label"] != "", ""))
    assert build_queue(bare, seen, plan()).table["cell_id"].tolist()


def test_fields_of_two_sources_are_two_whatever_their_names(world):
    cells, embeddings = world
    # Labelled cells 8 to 11 lie where those of another source, 12 to 15, do.
    cells.loc[12:, "source"] = "other"
    cells.loc[12:15, "field"] = cells.loc[8, "field"]
    queue = build_queue(cells, embeddings, plan(36, strategy="random"))
    assert len(queue) == 36
    capped = build_queue(cells, embeddings, plan(36, strategy="random", per_field=1))
    assert capped.header["taken"]["fields"] == len(capped) == 9
    one = cells.assign(source="lab")
    assert len(build_queue(one, embeddings, plan(36, strategy="random"))) == 32


def test_a_detector_of_one_class_is_no_classifier(world, tmp_path):
    pool = world[0].loc[world[0]["label"] == "", "cell_id"]
    pd.DataFrame({"cell_id": pool, "monocyte": 1.0}).to_csv(tmp_path / "one.csv", index=False)
    told = build_queue(*world, plan(), scores_file=tmp_path / "one.csv").table
    pd.testing.assert_frame_equal(told, build_queue(*world, plan()).table)


def test_exact_copies_are_one_cell_at_a_cosine_of_one(world):
    cells, embeddings = world
    X = embeddings.X.copy()
    X[12:24] = X[:12]  # a copy of every labelled cell, and then of every third one of the pool
    X[24:36] = X[36:48]
    copies = EmbeddingSet(X, embeddings.rows, embeddings.header)
    strict = Plan("random", limits=Limits(objects=36), min_cosine=1.0, min_iou=1.0)
    queue = build_queue(cells, copies, strict)
    assert queue.header["kept_out"] == {"like a labelled cell": 12, "like a queued cell": 12}


def test_labelled_cells_without_a_group_are_looked_at_too(world):
    cells, embeddings = world
    cells.loc[:3, "group"] = ""
    cells.loc[0, "label"] = "monocyte"
    assert "lab/cell-000" in set(build_queue(cells, embeddings, plan()).review["cell_id"])


@pytest.mark.parametrize(
    ("limit", "column"), [("per_patient", "patient"), ("per_field", "field"), ("fields", "field")]
)
def test_a_cap_on_what_no_cell_has_is_told(world, limit, column):
    cells, embeddings = world
    bare = cells.drop(columns=["field", "box_x", "box_y", "box_width", "box_height"])
    told = f"limit {limit}: bounds nothing: no cell of the pool has a {column}"
    with pytest.raises(BloomDiffError, match=told):
        build_queue(bare, embeddings, plan(**{limit: 1}))


@pytest.mark.parametrize("name", ["Monocyte", "MON", "MONOCYTE"])
def test_a_new_class_is_no_known_one_by_another_name(world, name):
    given = dataclasses.replace(plan(), classes=(name,))
    with pytest.raises(BloomDiffError, match=f"class '{name}': is 'monocyte' by another name"):
        build_queue(*world, given)
    twice = dataclasses.replace(plan(), classes=("fern", "Fern"))
    with pytest.raises(BloomDiffError, match="class 'Fern': is 'fern' by another name"):
        build_queue(*world, twice)
    assert (
        "monocyte"
        in build_queue(*world, dataclasses.replace(plan(), classes=("monocyte",))).classes
    )


def test_scores_may_end_in_commas_and_hold_blank_lines(world, tmp_path):
    file = scores(world[0], tmp_path / "scores.csv")
    plain = build_queue(*world, plan(), scores_file=file).table
    head, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, "", *(line + "," for line in lines)]))
    pd.testing.assert_frame_equal(plain, build_queue(*world, plan(), scores_file=file).table)
    lines[3] = lines[3].replace("0.9", "9")
    file.write_text("\n".join([head, "", *lines]))
    with pytest.raises(InputError, match=r"row 6: cell 'lab/cell-015': score '9' is no"):
        build_queue(*world, plan(), scores_file=file)


def test_a_queue_begun_without_labels_keeps_its_cells_under_a_cap_on_classes(tmp_path):
    cells, embeddings = make(tmp_path, n=150, n_labelled=0, images=False)
    capped = Plan(limits=Limits(objects=20, per_class=0.25), min_cosine=1.0)
    first = build_queue(cells, embeddings, capped)
    assert set(first.table["predicted"]) == {""}  # else this could not fail
    asked = cells["cell_id"].isin(first.table["cell_id"][:4])
    label = cells["label"].where(~asked, cells["cell_id"].map(truth_of))
    then = build_queue(cells.assign(label=label), embeddings, capped, before=first)
    assert then.table["cell_id"][:16].tolist() == first.table["cell_id"][4:].tolist()
    assert len(then) == 20


def test_a_cell_on_a_labelled_cells_box_is_told_as_such_and_out_of_reckoning(world):
    cells, embeddings = world
    for at in range(12, 16):  # cells 8 to 11 are labelled
        cells.loc[at, ["field", "box_x"]] = cells.loc[at - 4, ["field", "box_x"]].to_numpy()
    queue = build_queue(cells, embeddings, plan(36, strategy="random", per_class=1.0))
    assert queue.header["kept_out"] == {"like a labelled cell": 4}
    assert len(queue) == 32


def test_a_cap_on_classes_holds_for_what_the_queue_tells(tmp_path):
    """Cells of an earlier queue count as the class that was predicted of them then."""
    cells, embeddings = make(tmp_path, n=150, n_labelled=9, images=False)
    limits = Plan(limits=Limits(objects=24, per_class=0.4), min_cosine=1.0)
    first = build_queue(cells, embeddings, limits)
    for done in (4, 8, 12):
        asked = cells["cell_id"].isin(first.table["cell_id"][:done])
        label = cells["label"].where(~asked, cells["cell_id"].map(truth_of))
        then = build_queue(cells.assign(label=label), embeddings, limits, before=first)
        kept = first.table["cell_id"][done:].tolist()
        assert then.table["cell_id"][: len(kept)].tolist() == kept
        assert then.table["predicted"].value_counts().max() <= 9


def test_a_share_of_classes_that_nobody_can_tell_any_more_is_no_error(world):
    cells, embeddings = world
    bare = cells.assign(label="")
    head = build_queue(cells, embeddings, plan(6, strategy="random"))
    assert head.table["predicted"].ne("").all()
    again = build_queue(bare, embeddings, plan(12, strategy="random", per_class=0.2), before=head)
    assert len(again) == 12


def test_later_rounds_know_what_is_queued_and_draw_anew(tmp_path, monkeypatch):
    asked, select = [], filling.select

    def spy(X, **given):
        asked.append((given["seed"], given["X_pending"]))
        return select(X, **given)

    monkeypatch.setattr(filling, "select", spy)
    cells, embeddings = make(tmp_path, n=600, images=False)
    plan = Plan(strategy="margin", seed=7, limits=Limits(objects=100, per_slide=1))
    table = build_queue(cells, embeddings, plan).table
    assert [seed for seed, _ in asked] == list(range(7, 7 + len(asked)))
    assert len(asked) > 1
    for _, pending in asked:
        queued = table["cell_id"][: len(pending)].tolist()
        np.testing.assert_array_equal(pending, embeddings.select(queued).X)
    assert len(asked[1][1]) > 0
