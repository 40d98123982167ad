from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.duplicates import DuplicateParams, find_duplicates, group_duplicates
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import InputError, ProblemsError
from bloomdiff.files import read_json

from .conftest import COPIES, draw_field, table

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
NEAR = DuplicateParams(near=True)


def test_by_default_only_equal_pixels_are_joined(drawn):
    cells = group_duplicates(table(drawn, {}), drawn, DuplicateParams(), jobs=1)
    group = cells.set_index("cell_id")["group"]
    assert group["same"] == group["field0"] == "field0"
    assert cells["group"].nunique() == len(cells) - 1


def test_equal_pixels_in_another_format_are_joined(tmp_path):
    draw_field(1).save(tmp_path / "a.png")
    draw_field(1).save(tmp_path / "b.bmp")
    (tmp_path / "b.bmp").rename(tmp_path / "b.png")
    assert len(find_duplicates(table(tmp_path, {}), tmp_path, DuplicateParams())) == 1


def test_changed_copies_join_their_original_and_nothing_else_does(drawn):
    given = table(drawn, {})
    cells = group_duplicates(given, drawn, NEAR, jobs=1)
    group = cells.set_index("cell_id")["group"]
    assert {name: group[name] for name in COPIES} == dict.fromkeys(COPIES, group["field0"])
    assert cells["group"].nunique() == 8
    pd.testing.assert_frame_equal(cells.drop(columns="group"), given.drop(columns="group"))


def test_the_search_does_not_depend_on_the_order_of_rows_or_on_the_jobs(drawn):
    cells = table(drawn, {})
    pairs = find_duplicates(cells, drawn, NEAR, jobs=1)
    again = find_duplicates(cells.sample(frac=1, random_state=0), drawn, NEAR, jobs=2)
    pd.testing.assert_frame_equal(pairs, again)


def test_thresholds_are_obeyed(drawn):
    pairs = find_duplicates(table(drawn, {}), drawn, NEAR, jobs=1)
    near = pairs[pairs["kind"] == "near"]
    cut = float(near["correlation"].median())
    fewer = find_duplicates(
        table(drawn, {}), drawn, DuplicateParams(near=True, min_correlation=cut), jobs=1
    )
    assert fewer["correlation"].min() >= cut > near["correlation"].min()


def test_a_duplicate_with_two_labels_is_refused_with_both(drawn):
    cells = table(drawn, {"field0": "monocyte", "same": "lymphocyte", "flipped": "basophil"})
    with pytest.raises(InputError) as exact:
        group_duplicates(cells, drawn, DuplicateParams())
    assert str(exact.value) == (
        "manifest cells 'field0' and 'same': show the same cell but are labelled 'monocyte' and "
        "'lymphocyte'; correct a label or drop one of the rows"
    )
    with pytest.raises(ProblemsError) as near:
        group_duplicates(cells, drawn, NEAR, jobs=1)
    assert "'field0' and 'same'" in str(near.value)
    assert "'field0' and 'flipped'" in str(near.value)


def test_one_label_and_none_are_no_contradiction(drawn):
    cells = table(drawn, {"field0": "monocyte", "same": ""})
    assert len(group_duplicates(cells, drawn, DuplicateParams())) == len(cells)


def two_crops(root: Path) -> None:
    """Crops around two neighbouring cells of one smear: each shows more than half of the other."""
    wide = draw_field(3, size=300)
    wide.crop((20, 20, 200, 200)).save(root / "left.png")
    wide.crop((90, 20, 270, 200)).save(root / "right.png")


def test_overlapping_crops_share_a_group_but_not_a_label(tmp_path):
    two_crops(tmp_path)
    cells = table(tmp_path, {"left": "monocyte", "right": "basophil"})
    pairs = find_duplicates(cells, tmp_path, NEAR, jobs=1)
    assert pairs["same_cell"].tolist() == [False]
    assert pairs["overlap"].iloc[0] == pytest.approx(110 / 180, abs=0.05)
    assert group_duplicates(cells, tmp_path, NEAR, jobs=1)["group"].nunique() == 1


def test_boxes_of_one_field_are_not_compared(tmp_path):
    two_crops(tmp_path)
    cells = table(tmp_path, {}).assign(field="f1", source="lab")
    assert find_duplicates(cells, tmp_path, NEAR, jobs=1).empty
    assert len(find_duplicates(cells.assign(field=["f1", "f2"]), tmp_path, NEAR, jobs=1)) == 1
    # Another source's field of that name is another photograph.
    assert len(find_duplicates(cells.assign(source=["a", "b"]), tmp_path, NEAR, jobs=1)) == 1
    assert len(find_duplicates(cells.assign(field=""), tmp_path, NEAR, jobs=1)) == 1


def test_boxes_of_one_field_share_a_group_though_they_are_not_compared(tmp_path):
    two_crops(tmp_path)
    cells = table(tmp_path, {"left": "monocyte", "right": "basophil"})
    boxed = cells.assign(field="f1", source="lab")
    for params in (DuplicateParams(), NEAR):
        joined = group_duplicates(boxed, tmp_path, params, jobs=1)
        assert joined["group"].tolist() == ["left", "left"]


def test_a_second_photograph_is_found_behind_many_copies(tmp_path):
    # Each of two photographs has more turned copies than candidates are looked at.
    wide = draw_field(5, size=220)
    for name, corner in (("a", 10), ("b", 40)):
        photograph = wide.crop((corner, 20, corner + 180, 200))
        for k in range(4):
            photograph.rotate(2 * k, Image.Resampling.BICUBIC).save(tmp_path / f"{name}{k}.png")
    few = DuplicateParams(near=True, n_candidates=2)
    cells = group_duplicates(table(tmp_path, {}), tmp_path, few, jobs=1)
    assert cells["group"].nunique() == 1


def test_embeddings_propose_pairs_that_pixels_settle(drawn):
    cells = table(drawn, {})
    everything_alike = np.ones((len(cells), 3), dtype=np.float32)
    embeddings = EmbeddingSet(everything_alike, cells[["cell_id", "label", "group"]])
    found = group_duplicates(cells, drawn, NEAR, jobs=1, embeddings=embeddings)
    assert found["group"].nunique() == 8


def test_images_without_features_are_joined_with_nothing(tmp_path):
    for k in range(3):
        Image.new("RGB", (64, 48), (200 + k, 200, 200)).save(tmp_path / f"plain{k}.png")
    cells = table(tmp_path, {})
    assert find_duplicates(cells, tmp_path, NEAR, jobs=1).empty
    one = find_duplicates(cells.iloc[:1], tmp_path, NEAR, jobs=1)
    assert one.empty
    assert group_duplicates(cells, tmp_path, NEAR, jobs=1)["group"].tolist() == [*cells["cell_id"]]


def test_pixels_without_a_digest_are_refused(drawn):
    with pytest.raises(InputError, match="'all': has no blake3; validate"):
        find_duplicates(table(drawn, {}).assign(blake3=""), drawn, NEAR)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real cells in ../shared/data")
def test_cells_in_two_folders_of_the_acevedo_set_are_joined(tmp_path):
    names = {p.stem for p in SHARED.glob("pbc-five/*/*.jpg")}
    twice = [p for p in sorted(SHARED.glob("pbc-thirteen/*/*.jpg")) if p.stem in names][:12]
    others = sorted(SHARED.glob("pbc-thirteen/MY/*.jpg"))[:20]
    for path in [*twice, *others]:
        (tmp_path / f"thirteen-{path.name}").symlink_to(path)
    for path in twice:
        large = next(SHARED.glob(f"pbc-five/*/{path.name}"))
        (tmp_path / f"five-{path.name}").symlink_to(large)
    cells = group_duplicates(table(tmp_path, {}), tmp_path, NEAR, jobs=1)
    group = cells.set_index("cell_id")["group"]
    for path in twice:
        assert group[f"thirteen-{path.stem}"] == group[f"five-{path.stem}"]
    assert group.nunique() == len(twice) + len(others)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real cells in ../shared/data")
def test_augmented_copies_land_in_the_group_of_their_original(tmp_path):
    truth = read_json(ROOT / "bench" / "results" / "duplicates_truth.json")
    copies = [(c, o) for c, o in truth["original"].items() if o is not None][::20]
    for path in {*(c for c, _ in copies), *(o for _, o in copies)}:
        (tmp_path / path.replace("/", "-").replace(".jpeg", ".jpg")).symlink_to(SHARED / path)
    cells = group_duplicates(table(tmp_path, {}), tmp_path, NEAR, jobs=1)
    group = cells.set_index("cell_id")["group"]
    names = {path: Path(path.replace("/", "-")).stem for pair in copies for path in pair}
    home = [group[names[copy]] == group[names[original]] for copy, original in copies]
    assert np.mean(home) > 0.95
    scenes = {names[original]: truth["scene"][original] for _, original in copies}
    joined = pd.Series(scenes).groupby(group[[*scenes]]).nunique()
    assert (joined == 1).all()
