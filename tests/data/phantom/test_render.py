import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import laplace

from bloomdiff.data.phantom import PhantomParams
from bloomdiff.data.phantom.cell_types import TRAIT_NAMES, TYPES
from bloomdiff.data.phantom.render import Picture, render_cell
from bloomdiff.data.phantom.smear import draw_slide, is_leukaemic, slide_of_cells

PLAIN = PhantomParams(image_size=112, micrometres_per_pixel=0.22)


def draw(label: str, n: int, **knobs: float) -> list[Picture]:
    params = PLAIN.model_copy(update=knobs)
    return [render_cell(label, i, i, params, seed=0) for i in range(n)]


def glass(picture: Picture) -> np.ndarray:
    """Pixels of the brightest tenth: empty glass."""
    grey = picture.rgb.mean(axis=2)
    return picture.rgb[grey >= np.quantile(grey, 0.9)].astype(float)


def test_measured_areas_follow_the_parameters():
    truth = pd.DataFrame([p.truth for label in TYPES for p in draw(label, 4)])
    measured = truth.nucleus_area / truth.cell_area
    assert np.corrcoef(measured, truth.nucleus_fraction)[0, 1] > 0.98
    area = np.pi / 4 * truth.diameter**2
    assert np.corrcoef(truth.cell_area, area)[0, 1] > 0.95


def test_the_nucleus_is_where_the_picture_is_dark():
    # An independent measurement: Otsu-like split of the red channel, which chromatin absorbs.
    shown, true = [], []
    for label in ("lymphocyte", "neutrophil_segmented", "myeloblast", "erythroblast"):
        for picture in draw(label, 6, crowding=0.0, noise=0.0, illumination=0.0):
            red = picture.rgb[:, :, 0].astype(float) / glass(picture)[:, 0].mean()
            shown.append((red < 0.5).sum() * PLAIN.micrometres_per_pixel**2)
            true.append(picture.truth["nucleus_area"])
    assert np.corrcoef(shown, true)[0, 1] > 0.9


def test_the_nucleus_lies_in_the_cell():
    for label in TYPES:
        for picture in draw(label, 2):
            assert (picture.nucleus <= picture.cell + 1e-9).mean() > 0.999


def test_the_truth_has_every_trait():
    truth = draw("monocyte", 1)[0].truth
    assert set(TRAIT_NAMES) <= set(truth)
    assert truth["neighbour"] in TYPES["monocyte"].neighbours


def test_a_cell_depends_on_its_own_number_alone():
    alone = render_cell("basophil", 7, 3, PLAIN, seed=5)
    again = render_cell("basophil", 7, 3, PLAIN.model_copy(update={"n_cells": 9999}), seed=5)
    other = render_cell("basophil", 8, 3, PLAIN, seed=5)
    assert np.array_equal(alone.rgb, again.rgb)
    assert not np.array_equal(alone.rgb, other.rgb)


DIGEST = """
import hashlib
import numpy as np
from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.params import PhantomParams
from bloomdiff.data.phantom.render import render_cell
params = PhantomParams(image_size=112, micrometres_per_pixel=0.22)
pictures = [render_cell(label, i, i, params, seed=0) for label in TYPES for i in range(2)]
digest = hashlib.sha256(b"".join(p.rgb.tobytes() for p in pictures))
digest.update(repr([p.truth for p in pictures]).encode())
print(hashlib.sha256(np.exp(np.linspace(-5, 5, 10_001)).tobytes()).hexdigest())
print(digest.hexdigest())
"""


def test_pictures_do_not_depend_on_the_processors_vector_units():
    def run(disabled: str) -> list[str]:
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
        command = [sys.executable, "-W", "ignore", "-c", DIGEST]
        output = subprocess.run(command, env=environment, capture_output=True, check=True)
        return output.stdout.decode().split()

    usual, plain = run(""), run("X86_V3 X86_V4 AVX512_ICL AVX512_SPR")
    if usual[0] == plain[0]:
        pytest.skip("NumPy's exponential has one implementation on this machine")
    assert usual[1] == plain[1]


def test_overlap_spreads_a_class():
    def spread(overlap: float) -> float:
        return pd.DataFrame(
            [p.truth for p in draw("monocyte", 12, overlap=overlap, patient_effect=0.0)]
        )["diameter"].std()

    assert spread(0.0) < 1e-9 < spread(0.5) < spread(2.0)


def test_patient_effect_is_shared_by_a_slides_cells():
    params = PLAIN.model_copy(update={"overlap": 0.0})
    one = [render_cell("monocyte", i, 0, params, seed=0).truth["diameter"] for i in range(2)]
    other = render_cell("monocyte", 2, 1, params, seed=0).truth["diameter"]
    assert one[0] == one[1] != other


def test_stain_variation_moves_the_colours_between_slides():
    def spread(vary: float) -> float:
        params = PLAIN.model_copy(update={"stain_variation": vary})
        return float(np.std([draw_slide(0, i, params).dyes for i in range(20)], axis=0).mean())

    assert spread(0.0) < 1e-12 < spread(1.0) < spread(2.0)


def test_illumination_tilts_the_background():
    def slope(amount: float) -> float:
        knobs = {"crowding": 0.0, "noise": 0.0, "illumination": amount, "stain_variation": 0.0}
        corners = [
            picture.rgb[::111, ::111].astype(float).mean(axis=2)
            for picture in draw("lymphocyte", 6, **knobs)
        ]
        return float(np.mean([c.max() / c.min() - 1 for c in corners]))

    assert slope(0.0) < 0.02 < slope(0.1) < slope(0.3)


def test_focus_blur_takes_detail_away():
    def detail(blur: float) -> float:
        pictures = draw("eosinophil", 4, focus_blur=blur, noise=0.0)
        return float(
            np.mean([np.abs(laplace(p.rgb[:, :, 1].astype(float))).mean() for p in pictures])
        )

    assert detail(0.0) > detail(0.3) > detail(1.0)


def test_noise_has_the_amount_asked_for():
    knobs = {"crowding": 0.0, "focus_blur": 0.0}
    for sigma in (2.0, 6.0):
        clean = draw("lymphocyte", 6, noise=0.0, **knobs)
        noisy = draw("lymphocyte", 6, noise=sigma, **knobs)
        deviations = []
        for a, b in zip(clean, noisy, strict=True):
            empty = (a.cell == 0) & (b.rgb.max(axis=2) < 250)
            deviations.append((b.rgb.astype(float) - a.rgb)[empty].std())
        assert np.median(deviations) == pytest.approx(sigma, rel=0.35)


def test_crowding_brings_red_cells():
    def dark(crowding: float) -> float:
        pictures = draw("lymphocyte", 6, crowding=crowding, stain_variation=0.0)
        return float(np.mean([(p.rgb[:, :, 1][p.cell == 0] < 180).mean() for p in pictures]))

    assert dark(0.0) < dark(0.5) < dark(1.5)


def test_immature_cells_lie_mostly_on_leukaemic_slides():
    params = PhantomParams()
    slides = slide_of_cells("myeloblast", 400, params, seed=0)
    assert np.mean([is_leukaemic(0, i) for i in slides]) > 0.7
    even = params.model_copy(update={"patient_effect": 0.0})
    slides = slide_of_cells("myeloblast", 400, even, seed=0)
    assert np.bincount(slides, minlength=40).max() <= 400 / 40 + 3


def test_first_cells_keep_their_slides_when_more_follow():
    params = PhantomParams()
    assert (
        slide_of_cells("basophil", 5, params, seed=0)
        == slide_of_cells("basophil", 50, params, seed=0)[:5]
    )
    assert len(set(slide_of_cells("lymphocyte_atypical", 12, params, seed=0))) >= 8
