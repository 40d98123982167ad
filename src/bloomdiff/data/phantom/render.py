"""One cell's picture: dyes on glass, light through them, lens, sensor, bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bloomdiff.data.phantom.fields import Array, grid
from bloomdiff.data.phantom.leukocyte import paint_leukocyte
from bloomdiff.data.phantom.morphology import draw_cell, stream
from bloomdiff.data.phantom.params import PhantomParams
from bloomdiff.data.phantom.red_cells import paint_surroundings
from bloomdiff.data.phantom.smear import Slide, draw_slide, patient_shift

OFF_CENTRE = 0.5  # µm; standard deviation of a detector's error in cutting the cell out


@dataclass(frozen=True)
class Picture:
    """A drawn cell.

    Attributes
    ----------
    rgb
        uint8 `(size, size, 3)`.
    truth
        True morphology and optics, one value a column of the morphology table.
    cell, nucleus
        Share of each pixel inside the cell and its nucleus, `(size, size)`.
    """

    rgb: NDArray[np.uint8]
    truth: dict[str, str | float]
    cell: Array
    nucleus: Array


def _paste(part: Array, size: int, offset: NDArray[np.intp]) -> Array:
    """`part` `(..., a, a)` centred on a square of side `size`, shifted by `offset`."""
    whole = np.zeros((*part.shape[:-2], size, size))
    begin = (size - part.shape[-1]) // 2 + offset
    low = np.maximum(begin, 0)
    high = np.minimum(begin + part.shape[-1], size)
    target = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    origin = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, begin, strict=True))
    whole[..., target[0], target[1]] = part[..., origin[0], origin[1]]
    return whole


def _expose(dyes: Array, slide: Slide, blur: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light through the dyes, the lens and the sensor: uint8 `(size, size, 3)`."""
    size = dyes.shape[-1]
    light = np.empty_like(dyes)
    for channel, (a, b, c) in enumerate(slide.dyes.T.tolist()):
        passed = np.exp(-(a * dyes[0] + b * dyes[1] + c * dyes[2]))
        gaussian_filter(passed, blur, truncate=3.0, output=light[channel])
    y, x = grid(size)
    ramp = (np.cos(slide.angle) * x + np.sin(slide.angle) * y) / size
    light *= slide.glass[:, None, None] * (1.0 - slide.slope * (ramp + 0.5))
    # Photon noise grows with the root of the light; interpolating the colour mosaic smears it.
    grain = gaussian_filter(rng.standard_normal(light.shape), (0.0, 0.5, 0.5), truncate=3.0)
    grey = 255.0 * light + 1.6 * slide.noise * np.sqrt(np.clip(light, 0.02, None)) * grain
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def render_cell(
    label: str, number: int, slide_index: int, params: PhantomParams, *, seed: int
) -> Picture:
    """Draw cell `number` of class `label`; it depends on these, the slide and the seed alone.

    Parameters
    ----------
    label
        Class name.
    number
        Ordinal within the class.
    slide_index
        Slide that the cell lies on.
    params
        Knobs.
    seed
        Seed of the whole phantom.
    """
    slide = draw_slide(seed, slide_index, params)
    shift = patient_shift(seed, slide_index, label, params.patient_effect)
    drawn = draw_cell(
        label, stream(seed, "traits", label, number), overlap=params.overlap, patient=shift
    )
    scale = 1.0 / params.micrometres_per_pixel
    size = params.image_size
    rng = stream(seed, "paint", label, number)
    offset = np.rint(np.clip(rng.standard_normal(2), -2, 2) * OFF_CENTRE * scale).astype(np.intp)
    part = paint_leukocyte(drawn.traits, scale, rng)
    cell, nucleus = (_paste(mask, size, offset) for mask in (part.cell, part.nucleus))
    around = paint_surroundings(
        slide, size, scale, drawn.traits.diameter / 2, stream(seed, "around", label, number)
    )
    dyes = around * (1.0 - cell) + _paste(part.dyes, size, offset)
    light = stream(seed, "light", label, number)
    defocus = slide.blur * float(np.exp(0.35 * light.standard_normal()))
    rgb = _expose(dyes, slide, defocus * scale, light)
    pixel_area = params.micrometres_per_pixel**2
    measured = {
        **asdict(drawn.traits),
        "cell_area": float(part.cell.sum()) * pixel_area,
        "nucleus_area": float(part.nucleus.sum()) * pixel_area,
        "drift": drawn.drift,
        "defocus": defocus,
    }
    # Rounded, since the last places of exponentials differ between processors.
    truth: dict[str, str | float] = {name: round(value, 6) for name, value in measured.items()}
    truth["neighbour"] = drawn.neighbour
    return Picture(rgb, truth, cell, nucleus)
