import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.encoders.bags import read_bag_labels, read_bags, write_bags
from bloomdiff.errors import InputError, ProblemsError

HEADER = {"encoder": "stub", "digest": "abc", "preprocessing": {"size": 3}}


def make_set(groups: list[str], seed: int = 0, **columns) -> EmbeddingSet:
    rng = np.random.default_rng(seed)
    n = len(groups)
    rows = pd.DataFrame(
        {
            "cell_id": [f"c{i}" for i in range(n)],
            "label": ["ä β"[i % 3] for i in range(n)],
            "group": groups,
            "split": "",
            "source": "lab",
            **columns,
        }
    )
    return EmbeddingSet(rng.standard_normal((n, 5)).astype(np.float32), rows, HEADER)


def as_mapping(embeddings: EmbeddingSet) -> dict:
    fields = embeddings.rows[["cell_id", "label", "group", "split", "source"]]
    return {
        r[0]: (r[1:], tuple(x)) for r, x in zip(fields.values.tolist(), embeddings.X, strict=True)
    }


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["p1", "p 2", "ä3"]), min_size=1, max_size=9),
    st.sampled_from(["marr", "trident"]),
)
def test_there_and_back(tmp_path_factory, groups: list[str], layout: str) -> None:
    folder = tmp_path_factory.mktemp("bags")
    made = make_set(groups)
    assert write_bags(made, folder / "b", layout=layout) == len(set(groups))
    back = read_bags(folder / "b")
    assert {k: (tuple(v[0]), v[1]) for k, v in as_mapping(back).items()} == {
        k: (tuple(v[0]), v[1]) for k, v in as_mapping(made).items()
    }
    assert back.header == HEADER
    assert back.X.dtype == np.float32


@pytest.mark.parametrize("layout", ["marr", "trident"])
def test_what_other_readers_need_is_there(tmp_path: Path, layout: str) -> None:
    made = make_set(["p1", "p1", "p2"], box_x=[3, 4, 5], box_y=[6, 7, 8])
    write_bags(made, tmp_path / "b", layout=layout)
    with h5py.File(tmp_path / "b" / "p1.h5") as bag:
        assert bag["features"].shape == (2, 5)
        assert bag["features"].dtype == np.float32
        assert ("coords" in bag) == (layout == "trident")
        if layout == "trident":
            assert bag["coords"][()].tolist() == [[3, 6], [4, 7]]
            assert bag["features"].attrs["encoder"] == "stub"
    back = read_bags(tmp_path / "b")
    assert ("box_x" in back.rows) == (layout == "trident")


def foreign(path: Path, X: np.ndarray, **more: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as bag:
        bag["features"] = X
        for name, value in more.items():
            bag[name] = value


def test_the_marr_labs_layout_is_read(tmp_path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((12, 768)).astype(np.float16)
    foreign(tmp_path / "AML" / "patient7.h5", X)
    foreign(tmp_path / "AML" / "patient8.hdf5", X[:3])
    made = read_bags(tmp_path, encoder="dinobloom-b", labels={"patient7": "AML"})
    assert made.X.shape == (15, 768)
    np.testing.assert_array_equal(made.X[:12], X.astype(np.float32))
    assert made.cell_id[0] == "patient7/00"
    assert made.group.tolist() == ["patient7"] * 12 + ["patient8"] * 3
    assert made.label.tolist() == ["AML"] * 12 + [""] * 3
    assert made.header["encoder"] == "dinobloom-b"
    assert set(made.rows["source"]) == {"AML"}


def test_tridents_layouts_are_read(tmp_path: Path) -> None:
    X = np.ones((4, 6), np.float32)
    coords = np.arange(8).reshape(4, 2)
    foreign(tmp_path / "slide.h5", X[None], coords=coords[None])
    made = read_bags(tmp_path / "slide.h5")
    assert made.X.shape == (4, 6)
    assert made.rows["box_y"].tolist() == [1, 3, 5, 7]


def test_every_bad_bag_is_told_at_once(tmp_path: Path) -> None:
    foreign(tmp_path / "a.h5", np.ones((2, 3), np.float32))
    foreign(tmp_path / "b.h5", np.ones((2, 4), np.float32))
    foreign(tmp_path / "c.h5", np.full((2, 3), np.nan, np.float32))
    foreign(tmp_path / "d.h5", np.ones(3, np.float32))
    (tmp_path / "e.h5").write_bytes(b"not hdf5")
    with h5py.File(tmp_path / "f.h5", "w") as bag:
        bag["x"] = 1
    with pytest.raises(ProblemsError) as error:
        read_bags(tmp_path)
    lines = str(error.value).splitlines()
    told = ["b.h5: has vectors of 4", "c.h5 row 0: the vector is not finite", "d.h5: 'features' is"]
    told += ["e.h5: not an HDF5 file", "f.h5: has no data set 'features'"]
    assert len(lines) == 5
    for line, piece in zip(lines, told, strict=True):
        assert piece in line


def test_bags_of_two_encoders_are_not_mixed(tmp_path: Path) -> None:
    write_bags(make_set(["p1"]), tmp_path / "one")
    other = make_set(["p2"])
    write_bags(EmbeddingSet(other.X, other.rows, {"encoder": "b"}), tmp_path / "two")
    with pytest.raises(InputError, match="names another encoder"):
        read_bags(tmp_path)


def test_a_folder_without_bags_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no feature bags"):
        read_bags(tmp_path)


def test_a_group_that_cannot_name_a_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot name a file"):
        write_bags(make_set(["ok", "x" * 300]), tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("group", ["", None, np.nan])
def test_a_cell_without_a_group_is_named_and_leaves_nothing(tmp_path: Path, group) -> None:
    with pytest.raises(InputError, match="cell 'c1': is of no group") as error:
        write_bags(make_set(["ok", group, "ok"]), tmp_path / "b")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_a_text_that_is_missing_is_written_as_an_empty_one(tmp_path: Path, dtype) -> None:
    columns = {"label": ["a", None, np.nan], "split": [None] * 3}
    made = make_set(["p"] * 3, **{k: pd.Series(v, dtype=dtype) for k, v in columns.items()})
    write_bags(made, tmp_path / "b")
    back = read_bags(tmp_path / "b")
    assert back.label.tolist() == ["a", "", ""]
    assert back.rows["split"].tolist() == [""] * 3


def test_groups_that_no_file_can_be_named_after_come_back(tmp_path: Path) -> None:
    groups = ["lab/p1", "lab/p 2", "lab%2Fp1", "../up", ".hidden", 'a:"b"\\c', "ends.", "ä/é"]
    assert write_bags(make_set(groups), tmp_path / "b") == len(groups)
    files = {path.name for path in (tmp_path / "b").iterdir()}
    assert {"lab%2Fp1.h5", "lab%2Fp 2.h5", "lab%252Fp1.h5", "%2Ehidden.h5"} < files
    assert as_mapping(read_bags(tmp_path / "b")) == as_mapping(make_set(groups))


def test_imported_groups_go_through_bags_and_back(tmp_path: Path) -> None:
    from PIL import Image
    from typer.testing import CliRunner

    from bloomdiff.cli import app
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder

    def run(*words: str | Path) -> None:
        done = CliRunner().invoke(app, [*map(str, words)])
        assert done.exit_code == 0, done.output

    rng = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "scans" / "mono" / f"patient{number % 2}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    data, made, back = tmp_path / "data", tmp_path / "made.parquet", tmp_path / "back.parquet"
    run(
        *("data", "import", "folder", tmp_path / "scans", "--out", data, "--source", "lab"),
        *("--group", r"(patient\d+)", "--jobs", "1"),
    )
    encoder = load_encoder(EncoderParams(name="colour-histogram", views=0), cache_dir=tmp_path)
    cells = read_manifest(data / "manifest.csv")
    embed_cells(cells, data, encoder, cache_dir=tmp_path, jobs=1).save(made)
    bags = tmp_path / "bags"
    run("embeddings", "export", bags, "--to", "bags", "--embeddings", made)
    run("embeddings", "import-bags", bags, "--out", back)
    before, after = EmbeddingSet.load(made), EmbeddingSet.load(back)
    assert as_mapping(after) == as_mapping(before)
    assert set(after.group) == {"lab/patient0", "lab/patient1"}


def test_one_cell_twice_is_refused(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_bags(make_set([name]), tmp_path / name)
    with pytest.raises(InputError, match="holds the cell 'c0' twice"):
        read_bags(tmp_path)


@pytest.mark.parametrize("n", [3, 12])
def test_two_bags_of_one_stem_are_refused_whatever_their_sizes(tmp_path: Path, n: int) -> None:
    one, other = tmp_path / "siteA" / "001.h5", tmp_path / "siteB" / "001.hdf5"
    foreign(one, np.ones((3, 4), np.float32))
    foreign(other, np.ones((n, 4), np.float32))
    with pytest.raises(InputError, match="by the files' names alone") as error:
        read_bags(tmp_path)
    assert str(error.value).startswith(f"{other}: would be one patient with {one}, ")


def test_two_bags_that_say_that_they_are_one_patients_are_read(tmp_path: Path) -> None:
    made = make_set(["p1"] * 4)
    write_bags(made.take([0, 1]), tmp_path / "one")
    write_bags(made.take([2, 3]), tmp_path / "two")
    assert read_bags(tmp_path).group.tolist() == ["p1"] * 4
    foreign(tmp_path / "three" / "p1.h5", np.ones((2, 5), np.float32))
    with h5py.File(tmp_path / "three" / "p1.h5", "a") as bag:
        bag["features"].attrs["bloomdiff"] = json.dumps(HEADER)
    with pytest.raises(InputError, match=r"three.p1\.h5: would be one patient with"):
        read_bags(tmp_path)


def test_labels_by_patient(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("patient,label\np1,AML\n007,APL\n")
    assert read_bag_labels(tmp_path / "l.csv") == {"p1": "AML", "007": "APL"}
    (tmp_path / "l.csv").write_text("patient, label\n p1, AML,\n007,APL,\n")
    assert read_bag_labels(tmp_path / "l.csv") == {"p1": "AML", "007": "APL"}
    (tmp_path / "l.csv").write_text("who,what\n")
    with pytest.raises(InputError, match="give it the columns patient, label"):
        read_bag_labels(tmp_path / "l.csv")
    with pytest.raises(InputError, match="no such file"):
        read_bag_labels(tmp_path / "none.csv")


def test_a_patient_listed_twice_is_refused_by_its_row(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("patient,label\np1,AML\n\np1 ,ALL\n")
    with pytest.raises(InputError, match=r"l\.csv row 4: lists the patient 'p1' again"):
        read_bag_labels(tmp_path / "l.csv")
    (tmp_path / "l.csv").write_text("patient,label\np1,AML\np2,acute, myeloid\n")
    with pytest.raises(InputError, match=r"l\.csv row 3: has more fields"):
        read_bag_labels(tmp_path / "l.csv")


def test_labels_that_match_no_bag_are_refused(tmp_path: Path) -> None:
    foreign(tmp_path / "p1.h5", np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=r"no bag of 2 labelled patient\(s\), the first 'P1\.h5'"):
        read_bags(tmp_path, labels={"P1.h5": "AML", "p2": "AML", "p1": "AML"})


def test_bags_without_a_label_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("p1", "p2", "p3"):
        foreign(tmp_path / f"{name}.h5", np.ones((2, 3), np.float32))
    read_bags(tmp_path)
    assert not caplog.records
    read_bags(tmp_path, labels={"p1": "AML"})
    assert "2 bag(s) have no label, the first 'p2'" in caplog.text


def test_labels_go_to_bags_written_here_by_their_group(tmp_path: Path) -> None:
    write_bags(make_set(["lab/p1", "lab/p2"], label=["", "own"]), tmp_path / "b")
    made = read_bags(tmp_path / "b", labels={"lab/p1": "AML"})
    assert dict(zip(made.group, made.label, strict=True)) == {"lab/p1": "AML", "lab/p2": "own"}


def test_a_label_that_contradicts_the_bags_own_is_refused_with_both(tmp_path: Path) -> None:
    write_bags(make_set(["p1", "p1", "p2"], label=["", "blast", "ALL"]), tmp_path / "b")
    told = r"p1\.h5 row 1: is labelled 'blast', the labels by patient say 'AML'; mend one"
    with pytest.raises(InputError, match=told):
        read_bags(tmp_path / "b", labels={"p1": "AML", "p2": "ALL"})
    made = read_bags(tmp_path / "b", labels={"p1": "blast", "p2": "ALL"})
    assert made.label.tolist() == ["blast", "blast", "ALL"]


def test_suffixes_in_capitals_are_found(tmp_path: Path) -> None:
    foreign(tmp_path / "p1.H5", np.ones((2, 3), np.float32))
    foreign(tmp_path / "p2.HDF5", np.ones((2, 3), np.float32))
    assert set(read_bags(tmp_path).group) == {"p1", "p2"}


def test_what_is_not_one_a_vector_is_one_line(tmp_path: Path) -> None:
    X = np.ones((3, 4), np.float32)
    foreign(tmp_path / "a.h5", X, coords=np.zeros((3, 3), int))
    foreign(tmp_path / "b.h5", X, coords=np.zeros((2, 2), int))
    foreign(tmp_path / "c.h5", X, **{"cells/label": [b"a", b"b"]})
    foreign(tmp_path / "d.h5", X, **{"cells/label": [1, 2, 3]})
    foreign(tmp_path / "e.h5", X, **{"cells/label/x": [1]})
    foreign(tmp_path / "f.h5", X, **{"cells/label": [b"a", b"b", b"\xff"]})
    foreign(tmp_path / "g.h5", np.array([[b"1", b"2"]]))
    foreign(tmp_path / "h.h5", np.full((2, 4), 1e300))
    with pytest.raises(ProblemsError) as error:
        read_bags(tmp_path)
    told = [
        "a.h5: 'coords' is int64 (3, 3), not numbers (3, 2)",
        "b.h5: 'coords' is int64 (2, 2), not numbers (3, 2)",
        "c.h5 cells/label: is <HDF5 dataset",
        "d.h5 cells/label: holds int64, not texts",
        "e.h5 cells/label: is <HDF5 group",
        "f.h5 cells/label: is not in UTF-8",
        "g.h5: 'features' holds |S1",
        "h.h5 row 0: the vector is not finite",
    ]
    lines = str(error.value).splitlines()
    assert len(lines) == len(told)
    for line, piece in zip(lines, told, strict=True):
        assert piece in line


def test_tridents_encoders_are_not_mixed(tmp_path: Path) -> None:
    for name, encoder in (("a", "uni_v1"), ("b", "uni_v1"), ("c", "conch_v1")):
        foreign(tmp_path / f"{name}.h5", np.ones((2, 3), np.float32))
        with h5py.File(tmp_path / f"{name}.h5", "a") as bag:
            bag["features"].attrs["encoder"] = encoder
    with pytest.raises(InputError, match=r"c\.h5: names another encoder than a\.h5"):
        read_bags(tmp_path)
    (tmp_path / "c.h5").unlink()
    assert read_bags(tmp_path).header["encoder"] == "uni_v1"


def test_coordinates_of_some_bags_are_not_made_up_for_others(tmp_path: Path) -> None:
    foreign(tmp_path / "in" / "a.h5", np.ones((2, 3), np.float32), coords=np.ones((2, 2)))
    foreign(tmp_path / "in" / "b.h5", np.ones((2, 3), np.float32))
    write_bags(read_bags(tmp_path / "in"), tmp_path / "out", layout="trident")
    with h5py.File(tmp_path / "out" / "a.h5") as a, h5py.File(tmp_path / "out" / "b.h5") as b:
        assert a["coords"].attrs["known"]
        assert a["coords"][()].tolist() == [[1, 1], [1, 1]]
        assert not b["coords"].attrs["known"]


def test_views_are_not_told_of_where_they_are_not(tmp_path: Path, caplog) -> None:
    made = make_set(["p1"])
    told = EmbeddingSet(made.X, made.rows, {"encoder": "e", "views": {"n": 2}})
    write_bags(told, tmp_path / "bags")
    assert read_bags(tmp_path / "bags").header == {"encoder": "e"}
    assert "bags hold no views" in caplog.text


def test_one_class_in_two_spellings_is_told(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("patient,label\np1,AML\n\np2,aml\n")
    with pytest.raises(InputError, match=r"l\.csv row 4: labels 'AML' and 'aml' differ"):
        read_bag_labels(tmp_path / "l.csv")


def test_labels_of_a_patient_without_a_cell_are_no_slip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign(tmp_path / "p1.h5", np.ones((2, 3), np.float32))
    foreign(tmp_path / "p2.h5", np.ones((0, 3), np.float32))
    made = read_bags(tmp_path, labels={"p1": "AML", "p2": "APL"})
    assert set(made.label) == {"AML"}
    assert "1 bag(s) hold no vector, the first 'p2'" in caplog.text


@pytest.mark.parametrize("other", ["p1", "P 1", "P1\u200b"])
def test_two_bags_whose_names_differ_in_spelling_alone_are_refused(
    tmp_path: Path, other: str
) -> None:
    first = "P  1" if " " in other else "P1"
    for name in (first, other, "p-1", "P11"):
        foreign(tmp_path / f"{name}.h5", np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=r"another patient than .*h5, by the spelling alone"):
        read_bags(tmp_path)
    (tmp_path / f"{other}.h5").unlink()
    assert len(set(read_bags(tmp_path).group)) == 3


def test_bags_written_here_of_groups_that_differ_in_capitals_come_back(tmp_path: Path) -> None:
    write_bags(make_set(["lab/F.png", "lab/f.png"]), tmp_path / "b")
    assert read_bags(tmp_path / "b").group.tolist() == ["lab/F.png", "lab/f.png"]


@pytest.mark.parametrize("told", ["{", "[1]", "3", 3, np.array([1, 2])])
def test_a_damaged_header_is_one_line(tmp_path: Path, told) -> None:
    foreign(tmp_path / "p1.h5", np.ones((2, 3), np.float32))
    with h5py.File(tmp_path / "p1.h5", "a") as bag:
        bag["features"].attrs["bloomdiff"] = told
    with pytest.raises(InputError, match=r"p1\.h5: its attribute 'bloomdiff' is no header"):
        read_bags(tmp_path)


def test_a_column_of_numbers_and_texts_is_one_group_each(tmp_path: Path) -> None:
    made = make_set([7, "7", 8, "7"])
    assert write_bags(made, tmp_path / "b") == 2
    assert as_mapping(read_bags(tmp_path / "b")).keys() == as_mapping(made).keys()
