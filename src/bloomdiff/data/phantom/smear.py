"""What the cells of one slide share: stain, lamp, focus, the patient's red cells and differential.

Colour follows Beer and Lambert: each dye absorbs red, green and blue in fixed proportions, and
light falls off exponentially with its amount. A Romanowsky stain is three dyes to the eye: the
purple complex of azure B and eosin on chromatin and azurophilic granules, azure B's blue on
ribosomes, and eosin's orange-pink on haemoglobin and eosinophilic granules (Horobin, *How
Romanowsky stains work and why they remain valuable*, Biotech. Histochem. 86, 36, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.fields import Array
from bloomdiff.data.phantom.morphology import draw_patient, stream
from bloomdiff.data.phantom.params import PhantomParams

PURPLE, BLUE, EOSIN = 0, 1, 2
# Optical density of one unit of a dye in red, green and blue; set by eye against published smears.
DYES = np.array([[0.68, 1.0, 0.38], [1.0, 0.92, 0.33], [0.28, 0.86, 0.88]])
# Lamp and camera: the mean colour of empty glass, as transmission.
GLASS = np.array([0.965, 0.915, 0.86])
LEUKAEMIC_SHARE = 0.5  # Matek 2019: 100 patients with acute myeloid leukaemia, 100 without
# Odds of an immature cell on a leukaemic slide against another, at patient_effect = 1.
IMMATURE_ODDS = 8.0


@dataclass(frozen=True)
class Slide:
    """One slide's optics and its patient's red cells.

    Attributes
    ----------
    name
        Group name.
    dyes
        Optical density of one unit of each dye, `(3 dyes, 3 channels)`.
    glass
        Transmission of the empty slide, `(3,)`.
    haze
        Amount of eosin and blue left in the plasma.
    slope, angle
        Relative fall of the illumination across the image, and its direction in radians.
    blur
        Median defocus of the slide's images, µm.
    noise
        Sensor noise at full intensity, grey levels.
    red_cells
        Red cells per 1,000 µm².
    red_diameter
        Their mean diameter, µm.
    red_stain
        Amount of eosin in them.
    pallor
        Depth of their central pallor, 0 to 1.
    leukaemic
        Whether the patient has leukaemia.
    """

    name: str
    dyes: Array
    glass: Array
    haze: float
    slope: float
    angle: float
    blur: float
    noise: float
    red_cells: float
    red_diameter: float
    red_stain: float
    pallor: float
    leukaemic: bool


def slide_name(index: int) -> str:
    """Group name of slide `index`."""
    return f"slide-{index:03d}"


def draw_slide(seed: int, index: int, params: PhantomParams) -> Slide:
    """Slide `index`; depends on the seed, the index and the optical knobs only."""
    rng = stream(seed, "slide", index)
    vary = params.stain_variation
    strength = np.exp(0.11 * vary * rng.standard_normal(3))
    hue = np.exp(0.07 * vary * rng.standard_normal((3, 3)))
    warmth, lightness = rng.standard_normal(2) * vary
    glass = GLASS * np.array([1 + 0.012 * warmth, 1.0, 1 - 0.05 * warmth]) * (1 + 0.02 * lightness)
    return Slide(
        name=slide_name(index),
        dyes=DYES * hue * strength[:, None],
        glass=np.minimum(glass, 0.985),
        haze=0.02 * float(np.exp(0.6 * vary * rng.standard_normal())),
        slope=params.illumination * 2 * float(rng.random()),
        angle=2 * np.pi * float(rng.random()),
        blur=params.focus_blur * float(np.exp(0.35 * rng.standard_normal())),
        noise=params.noise * float(np.exp(0.25 * rng.standard_normal())),
        red_cells=9.0 * params.crowding * float(np.exp(0.4 * rng.standard_normal())),
        red_diameter=7.4 * float(np.exp(0.05 * rng.standard_normal())),
        red_stain=0.34 * float(np.exp(0.15 * vary * rng.standard_normal())),
        pallor=float(np.clip(0.55 + 0.18 * rng.standard_normal(), 0.05, 0.85)),
        leukaemic=is_leukaemic(seed, index),
    )


def is_leukaemic(seed: int, index: int) -> bool:
    """Whether slide `index` comes from a patient with leukaemia."""
    return bool(stream(seed, "patient", index).random() < LEUKAEMIC_SHARE)


def patient_shift(seed: int, index: int, label: str, patient_effect: float) -> Array:
    """Traits that cells of class `label` share on slide `index`, in deviations."""
    return draw_patient(stream(seed, "patient", index, label), patient_effect)


def slide_of_cells(label: str, n: int, params: PhantomParams, *, seed: int) -> list[int]:
    """Slide index of each of a class's first `n` cells.

    Cells follow a golden-ratio sequence over the slides' cumulated shares of the class, so that
    even a class of a dozen cells lies on nearly as many slides, and the first cells' slides do not
    depend on how many follow.
    """
    lean = 1.0 if TYPES[label].immature else -0.3
    tilt = lean * np.log(IMMATURE_ODDS) / 2 * params.patient_effect
    shares = np.array(
        [
            np.exp(
                (tilt if is_leukaemic(seed, i) else -tilt)
                + 0.4 * params.patient_effect * stream(seed, "count", i, label).standard_normal()
            )
            for i in range(params.n_slides)
        ]
    )
    edges = np.cumsum(shares)[:-1] / shares.sum()
    start = stream(seed, "count", label).random()
    turns = (start + np.arange(n) * (np.sqrt(5.0) - 1) / 2) % 1.0
    return [int(i) for i in np.searchsorted(edges, turns, side="right")]
