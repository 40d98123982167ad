import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from bloomdiff.errors import InputError
from bloomdiff.report.explorer import build_scene
from bloomdiff.report.explorer import scene as module
from bloomdiff.report.explorer.scene import full_name
from bloomdiff.report.explorer.shown import shown
from bloomdiff.report.explorer.thumbnails import LIMIT, SIDE, thumbnail, thumbnails


def test_neighbours_in_the_page_are_neighbours_in_the_embedding(scene, cells):
    real = {
        str(n): x
        for own in (cells["train"], cells["test"])
        for n, x in zip(own.cell_id, own.X, strict=True)
    }
    own = scene["generators"]["diffusion"]
    for row in (0, 50, 119):
        point = cells["synthetic"]["diffusion"].X[row]
        for side in ("train", "test"):
            ids = [scene["cells"]["id"][cell] for cell in own["near"][side][row]]
            told = own["distance"][side][row]
            found = [float(np.linalg.norm(real[name] - point)) for name in ids]
            np.testing.assert_allclose(found, told, atol=2e-3)
            wanted = np.sort(np.linalg.norm(cells[side].X - point, axis=1))[: len(told)]
            np.testing.assert_allclose(told, wanted, atol=2e-3)


def test_a_copycat_is_told(scene):
    copies, ours = scene["generators"]["copycat"], scene["generators"]["diffusion"]
    assert copies["too_near"] == 1.0
    assert max(copies["distance"]["train"])[0] == 0
    assert ours["too_near"] < copies["too_near"]


def test_belief_is_that_in_the_own_label(scene, cells):
    proba, label = cells["proba"]["diffusion"], cells["synthetic"]["diffusion"].label
    own = scene["generators"]["diffusion"]
    column = cells["classes"].index(label[5])
    assert own["believed"][5] == pytest.approx(proba[5, column], abs=1e-3)
    assert own["top"][5] == proba[5].argmax()


def test_beyond_the_limits_a_part_is_drawn_but_neighbours_are_searched_among_all(
    cells, monkeypatch
):
    monkeypatch.setattr(module, "MOST_TRAIN", 40)
    monkeypatch.setattr(module, "MOST_TEST", 20)
    monkeypatch.setattr(module, "MOST_SYNTHETIC", 60)
    scene = build_scene(**cells)
    assert scene["drawn"] == {"train": [40, 150], "test": [20, 60]}
    assert len(scene["cells"]["at"]["PCA"][0]) == 60 < len(scene["cells"]["id"])
    copies = scene["generators"]["copycat"]
    assert (len(copies["label"]), copies["of"]) == (30, 90)
    assert max(copies["distance"]["train"])[0] == 0  # also where the copied cell is not drawn


def test_equal_input_gives_an_equal_scene(scene, cells):
    assert json.dumps(build_scene(**cells)) == json.dumps(scene)


def test_without_generators_real_cells_are_shown(cells):
    scene = build_scene(**{**cells, "synthetic": {}, "proba": {}})
    assert scene["generators"] == {}
    assert len(scene["cells"]["id"]) == 210


def test_thumbnails_are_small_pictures_of_the_cells(cells):
    path = next(iter(cells["images"].values()))
    head, data = thumbnail(path).split(",")
    assert head == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert max(image.size) == SIDE
    truth = Image.open(path).getpixel((5, 5))
    np.testing.assert_allclose(image.convert("RGB").getpixel((5, 5)), truth, atol=12)


def test_who_is_wanted_most_has_a_picture(cells):
    path = next(iter(cells["images"].values()))
    wanted = [0] * (LIMIT + 2)
    wanted[-1] = 3
    made = thumbnails([path] * (LIMIT + 2), wanted)
    has_picture = [bool(uri) for uri in made]
    assert has_picture == [True] * (LIMIT - 1) + [False, False, True]


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png"):
        thumbnail(tmp_path / "gone.png")


def test_classes_are_named_in_full():
    assert full_name("my_own_class") == "my own class"
    assert full_name("neutrophil_band") != "neutrophil_band"


def test_what_is_rendered_of_many_is_on_the_map():
    for few in (1, 100, 1000):
        rendered = shown(3000, few, "smote", 0)
        assert len(rendered) == few
        assert np.isin(rendered, shown(3000, 1000, "smote", 0)).all()
    assert (np.diff(shown(3000, 1000, "smote", 0)) > 0).all()
    assert (shown(3000, 1000, "smote", 0) != shown(3000, 1000, "mixup", 0)).any()
    assert shown(7, 1000, "smote", 0).tolist() == list(range(7))
