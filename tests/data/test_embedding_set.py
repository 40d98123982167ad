from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bloomdiff import vector_file
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import InputError, IntegrityError, LeakageError


def real(X) -> EmbeddingSet:
    X = np.asarray(X, dtype=np.float32)
    ids = [f"c{i}" for i in range(len(X))]
    label = ["a" if i % 2 else "" for i in range(len(X))]
    rows = pd.DataFrame(
        {"cell_id": ids, "label": label, "group": [f"g{i // 2}" for i in range(len(X))]}
    )
    return EmbeddingSet(X, rows.astype(object), {"encoder": "x", "d": X.shape[1]})


def synthetic(n=4, groups=("g0", "g1")) -> SyntheticSet:
    return SyntheticSet.make(
        np.arange(n * 3, dtype=np.float32).reshape(n, 3),
        np.array(["a", "b"] * (n // 2)),
        generator="smote",
        seed=3,
        guidance=float("nan"),
        fingerprint=Fingerprint.of(groups),
    )


finite = st.floats(-(2.0**100), 2.0**100, width=32)
matrices = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=finite)
)


@settings(max_examples=30, deadline=None)
@given(matrices)
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path_factory, X):
    path = tmp_path_factory.mktemp("set") / "x.parquet"
    given_set = real(X)
    given_set.save(path)
    loaded = EmbeddingSet.load(path)
    assert loaded.X.tobytes() == given_set.X.tobytes()
    assert loaded.rows.astype(str).equals(given_set.rows.astype(str))
    assert loaded.header == given_set.header
    assert loaded.fingerprint == given_set.fingerprint


def test_no_rows_have_no_groups():
    bare = pd.DataFrame({"cell_id": [], "label": [], "group": []})  # of floats, as pandas makes it
    assert len(EmbeddingSet(np.empty((0, 4), np.float32), bare).group) == 0


def test_no_rows_with_views_are_loaded_again(tmp_path):
    empty = replace(real(np.eye(4)), views=np.zeros((4, 3, 4), np.float32)).take([])
    empty.save(tmp_path / "x.parquet")
    loaded = EmbeddingSet.load(tmp_path / "x.parquet")
    assert loaded.X.shape == (0, 4)
    assert loaded.views.shape == (0, 3, 4)


def test_equal_sets_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        real(np.eye(4)).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def seen(n=40, d=6) -> EmbeddingSet:
    views = np.arange(n * 3 * d, dtype=np.float32).reshape(n, 3, d)
    return replace(real(views[:, 0] / 7), views=views)


@pytest.mark.parametrize("size", [1, 1000, 1 << 25])
def test_vectors_that_are_read_in_batches_are_those_that_were_written(tmp_path, monkeypatch, size):
    monkeypatch.setattr(vector_file, "READ_BYTES", size)
    seen().save(tmp_path / "x.parquet")
    loaded = EmbeddingSet.load(tmp_path / "x.parquet")
    assert loaded.X.tobytes() == seen().X.tobytes()
    assert loaded.views.tobytes() == seen().views.tobytes()


def test_the_digest_of_a_file_stays_what_it_was(tmp_path):
    seen().save(tmp_path / "x.parquet")
    meta = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"bloomdiff"])
    assert meta["sha256"] == "0ff80e7fd3c88e4b7f335df6c48493e2e4be27ee216628ab74ce610ec40494b0"


def test_a_set_is_held_once_while_it_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_file, "READ_BYTES", 1 << 19)
    rng = np.random.default_rng(0)
    given_set = real(rng.standard_normal((8_000, 512)))
    given_set.save(tmp_path / "x.parquet")
    EmbeddingSet.load(tmp_path / "x.parquet")  # imports
    before, counted = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        EmbeddingSet.load(tmp_path / "x.parquet")
        _, ours = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert ours < 1.3 * given_set.X.nbytes
    assert counted.max_memory() < 0.5 * given_set.X.nbytes


def test_the_file_opens_without_us(tmp_path):
    real(np.eye(3)).save(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").to_pandas()
    assert np.stack(table["x"]).tolist() == np.eye(3).tolist()
    assert table["cell_id"].tolist() == ["c0", "c1", "c2"]


def test_a_changed_vector_label_or_header_is_noticed(tmp_path):
    path = tmp_path / "x.parquet"
    given_set = real(np.eye(4))
    given_set.save(path)
    table = pq.read_table(path)
    column = table.column_names.index("label")
    changed = table.set_column(column, "label", [["b"] * 4])
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(IntegrityError, match="does not match its SHA-256"):
        EmbeddingSet.load(path)
    meta = dict(table.schema.metadata)
    meta[b"bloomdiff"] = meta[b"bloomdiff"].replace(b'"encoder": "x"', b'"encoder": "y"')
    assert meta != table.schema.metadata
    pq.write_table(table.replace_schema_metadata(meta), path)
    with pytest.raises(IntegrityError):
        EmbeddingSet.load(path)


def test_synthetic_rows_are_refused_where_real_cells_are_asked_for(tmp_path):
    synthetic().save(tmp_path / "s.parquet")
    with pytest.raises(LeakageError, match="holds synthetic rows"):
        EmbeddingSet.load(tmp_path / "s.parquet")
    real(np.eye(3)).save(tmp_path / "r.parquet")
    with pytest.raises(InputError, match="holds real cells"):
        SyntheticSet.load(tmp_path / "r.parquet")


def test_every_synthetic_row_says_what_made_it(tmp_path):
    synthetic().save(tmp_path / "s.parquet")
    loaded = SyntheticSet.load(tmp_path / "s.parquet")
    assert loaded.rows["generator"].tolist() == ["smote"] * 4
    assert loaded.rows["seed"].tolist() == [3] * 4
    assert set(loaded.rows["parent"]) == {Fingerprint.of(["g0", "g1"]).digest}
    assert loaded.fingerprint.overlap(["g1", "g2"]) == ["g1"]


def test_sets_of_different_parents_cannot_be_stacked():
    both = SyntheticSet.concatenate([synthetic(), synthetic(2)])
    assert len(both) == 6
    with pytest.raises(ValueError, match="same training fingerprint"):
        SyntheticSet.concatenate([synthetic(), synthetic(groups=("g9",))])


def test_sets_of_two_encoders_cannot_be_stacked():
    def made_by(**header) -> EmbeddingSet:
        return replace(real(np.eye(3)), header=header)

    one = made_by(encoder="dinov2-s", digest="abc")
    with pytest.raises(InputError, match="the encoder 'timm:x': cannot be joined") as caught:
        EmbeddingSet.concatenate([one, made_by(encoder="timm:x", digest="abc")])
    assert "'dinov2-s'" in str(caught.value)
    with pytest.raises(InputError, match="the digest 'xyz': cannot be joined"):
        EmbeddingSet.concatenate([one, one, made_by(encoder="dinov2-s", digest="xyz")])
    # Where it ran is no other encoder, and what says nothing contradicts nothing.
    alike = made_by(encoder="dinov2-s", digest="abc", preprocessing={"runtime": "cuda"})
    both = EmbeddingSet.concatenate([one, alike, made_by(digest=""), made_by()])
    assert (len(both), both.header) == (12, one.header)


def test_views_are_not_told_of_where_one_set_has_none():
    views = np.ones((3, 2, 3), np.float32)
    whole = replace(real(np.eye(3)), views=views, header={"encoder": "x", "views": {"n": 2}})
    bare = replace(whole, views=None, header={"encoder": "x"})
    assert EmbeddingSet.concatenate([whole, whole]).header == whole.header
    for sets in ([whole, bare], [bare, whole]):
        joined = EmbeddingSet.concatenate(sets)
        assert joined.views is None
        assert joined.header == {"encoder": "x"}
    assert whole.header["views"] == {"n": 2}


def test_rows_are_taken_by_position_mask_and_name():
    cells = real(np.eye(4))
    assert cells.take([2, 0]).cell_id.tolist() == ["c2", "c0"]
    assert cells.take(np.array([False, True, False, True])).X.tolist() == np.eye(4)[[1, 3]].tolist()
    chosen = cells.select(["c3", "c1"])
    assert chosen.cell_id.tolist() == ["c3", "c1"]
    assert chosen.X.tolist() == np.eye(4)[[3, 1]].tolist()
    assert len(cells.take([])) == 0
    with pytest.raises(InputError, match="'c9': are missing"):
        cells.select(["c1", "c9"])
    with pytest.raises(InputError, match="'c1': are asked for twice"):
        cells.select(["c1", "c1"])
    numbered = replace(cells, rows=cells.rows.assign(cell_id=[4, 3, 2, 1]))
    assert numbered.select(numbered.cell_id[1:3]).X.tolist() == np.eye(4)[1:3].tolist()


@pytest.mark.parametrize("gap", [None, np.nan])
def test_a_gap_makes_no_other_classes_of_numbers(gap, tmp_path):
    cells = real(np.eye(4))
    whole = replace(cells, rows=cells.rows.assign(label=[1, 2, 1, 2]))
    gaps = replace(cells, rows=cells.rows.assign(label=[1, 2, 1, gap]))
    assert whole.label.tolist() == ["1", "2", "1", "2"]
    assert gaps.label.tolist() == ["1", "2", "1", ""]
    gaps.save(tmp_path / "x.parquet")
    assert EmbeddingSet.load(tmp_path / "x.parquet").label.tolist() == gaps.label.tolist()
    halves = replace(cells, rows=cells.rows.assign(label=[1.5, 2.0, 1.5, 2.0]))
    assert halves.label.tolist() == ["1.5", "2", "1.5", "2"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([61, None, 5, 6], dtype=object),
        pd.Categorical([61, None, 5, 61]),
        [[1, 2], [3], [], [4]],
        [{"stain": "MGG"}, None, {}, {"stain": "x"}],
        pd.to_datetime(["2020-01-01"] * 4),
    ],
)
def test_what_a_table_reads_otherwise_than_it_was_is_loaded_again(values, tmp_path):
    cells = real(np.eye(4))
    cells = replace(cells, rows=cells.rows.assign(age=values))
    cells.save(tmp_path / "x.parquet")
    assert len(EmbeddingSet.load(tmp_path / "x.parquet")) == 4


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"x": 0.0}, r"column 'x': is the vectors' own; rename the column"),
        ({"views": 1}, r"column 'views': is the vectors' own"),
        ({"label": [1, "a", 2, "b"]}, r"would hold what no table can \(.*label.*as text"),
    ],
)
def test_what_no_file_can_hold_is_not_written(columns, told, tmp_path):
    cells = real(np.eye(4))
    with pytest.raises(InputError, match=told) as caught:
        replace(cells, rows=cells.rows.assign(**columns)).save(tmp_path / "x.parquet")
    assert "\n" not in str(caught.value)
    twice = pd.concat([cells.rows, cells.rows[["label"]]], axis=1)
    with pytest.raises(InputError, match="column 'label': is there twice"):
        replace(cells, rows=twice).save(tmp_path / "x.parquet")
    assert not any(tmp_path.iterdir())


def test_a_file_that_others_have_written_anew_is_one_line(tmp_path):
    path = tmp_path / "x.parquet"
    real(np.eye(4)).save(path)
    table = pq.read_table(path)
    lists = table.column("x").cast(pa.list_(pa.float32()))
    for changed, told in (
        (table.set_column(table.schema.get_field_index("x"), "x", lists), "not a set of"),
        (table.drop_columns("x"), "lacks the column 'x'"),
        (table.drop_columns("group"), "lacks the column 'group'"),
    ):
        pq.write_table(changed, path)
        with pytest.raises(InputError, match=rf"x\.parquet: {told}"):
            EmbeddingSet.load(path)


def test_what_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(InputError, match="row 1: the embedding is not finite"):
        real([[0, 1], [np.nan, 0]]).save(tmp_path / "x.parquet")
    views = np.zeros((4, 3, 4), np.float32)
    views[2, 1, 3] = np.inf
    with pytest.raises(InputError, match="row 2: one of the views is not finite"):
        replace(real(np.eye(4)), views=views).save(tmp_path / "x.parquet")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_what_is_no_set_is_one_line_that_names_the_file(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.parquet: not a set of embeddings") as caught:
        EmbeddingSet.load(tmp_path / "x.parquet")
    assert "\n" not in str(caught.value)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(InputError, match="not a set of embeddings"):
        EmbeddingSet.load(tmp_path / "y.parquet")
    with pytest.raises(InputError, match="no such file"):
        EmbeddingSet.load(tmp_path / "z.parquet")


@pytest.mark.parametrize(
    ("X", "columns"),
    [
        (np.eye(2), ["cell_id", "label", "group"]),
        (np.eye(3, dtype=np.float32), ["cell_id", "label", "group"]),
        (np.eye(2, dtype=np.float32), ["cell_id", "label"]),
        (np.ones(2, dtype=np.float32), ["cell_id", "label", "group"]),
    ],
)
def test_vectors_and_rows_that_disagree_are_refused(X, columns):
    with pytest.raises(ValueError, match=r"float32|rows|columns"):
        EmbeddingSet(X, pd.DataFrame("v", index=range(2), columns=columns))


def test_sets_of_one_encoder_used_in_two_ways_cannot_be_stacked():
    def made(views=None, **used) -> EmbeddingSet:
        header = {"encoder": "x", "digest": "abc", "preprocessing": {"batch_size": 8} | used}
        return replace(real(np.eye(3)), header=header, views=views)

    one = made(layers=[11], size=224)
    with pytest.raises(InputError, match=r'preprocessing \{"layers": .12., "size": 112'):
        EmbeddingSet.concatenate([one, made(layers=[12], size=112)])
    assert len(EmbeddingSet.concatenate([one, made(layers=[11], size=224, batch_size=1)])) == 6
    four, two = (made(np.ones((3, v, 3), np.float32)) for v in (4, 2))
    with pytest.raises(
        InputError, match="4 views of each cell: cannot be joined with those with 2"
    ):
        EmbeddingSet.concatenate([four, made(), two])
