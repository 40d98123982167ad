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
        write_bags(make_set(["ok", "../up"]), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_one_cell_twice_is_refused(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_bags(make_set([name]), tmp_path / name)
    with pytest.raises(InputError, match="holds the cell 'c0' twice"):
        read_bags(tmp_path)


def test_labels_by_patient(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("patient,label\np1,AML\n007,APL\n")
    assert read_bag_labels(tmp_path / "l.csv") == {"p1": "AML", "007": "APL"}
    (tmp_path / "l.csv").write_text("who,what\n")
    with pytest.raises(InputError, match="give it the columns patient, label"):
        read_bag_labels(tmp_path / "l.csv")
    with pytest.raises(InputError, match="no such file"):
        read_bag_labels(tmp_path / "none.csv")
