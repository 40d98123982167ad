"""The surroundings of a nucleated cell: red cells with central pallor, and platelets."""

from __future__ import annotations

import numpy as np

from bloomdiff.data.phantom.fields import Array, coverage, grid, smooth_noise, window
from bloomdiff.data.phantom.smear import BLUE, EOSIN, PURPLE, Slide

PLATELETS = 0.9  # per 1,000 µm²: about one to ten red cells in a picture's thin part
PLATELET_DIAMETER = 2.4  # µm; textbook range 2 to 4


def _place(
    n: int, half: float, keep_out: float, spacing: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Up to `n` points in the square of half side `half`, apart from the centre and each other."""
    placed: list[tuple[float, float]] = []
    for _ in range(6 * n):
        if len(placed) == n:
            break
        cy, cx = ((2 * rng.random(2) - 1) * half).tolist()
        near = [(cy - py) ** 2 + (cx - px) ** 2 < spacing**2 for py, px in placed]
        if cy * cy + cx * cx > keep_out**2 and not any(near):
            placed.append((cy, cx))
    return placed


def _red_cell(
    y: Array, x: Array, radius: float, slide: Slide, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Amount of haemoglobin and share covered, for a red cell about the origin of `y`, `x`."""
    tilt, stretch = np.pi * rng.random(), 1.0 + 0.06 * abs(rng.standard_normal())
    along = (np.cos(tilt) * x + np.sin(tilt) * y) / stretch
    across = (np.cos(tilt) * y - np.sin(tilt) * x) * stretch
    angle = np.arctan2(across, along)
    bump = sum(
        0.022 * rng.standard_normal() * np.cos(k * angle + 2 * np.pi * rng.random())
        for k in (2, 3, 4)
    )
    r = np.hypot(along, across) / (radius * (1.0 + bump))
    inside = coverage(radius * (1.0 - r), 2.0)
    pallor = float(np.clip(slide.pallor + 0.12 * rng.standard_normal(), 0.0, 0.9))
    width = 0.42 + 0.05 * rng.standard_normal()
    # The biconcave disc is thickest on a ring at about seven tenths of the radius.
    ring = 0.86 + 0.14 * np.exp(-(((r - 0.72) / 0.2) ** 2))
    disc = (1.0 - pallor * np.exp(-((r / width) ** 2))) * ring
    return inside * disc, inside


def paint_surroundings(
    slide: Slide, size: int, pixels_per_um: float, free_radius: float, rng: np.random.Generator
) -> Array:
    """Dyes of the red cells, platelets and plasma around a cell, `(3, size, size)`.

    Parameters
    ----------
    slide
        Stain and the patient's red cells.
    size
        Side of the image, pixels.
    pixels_per_um
        Sampling.
    free_radius
        Radius of the nucleated cell in the middle, µm; red cells keep beside it.
    rng
        Source of randomness.
    """
    scale = pixels_per_um
    y, x = grid(size)
    dyes = np.zeros((3, size, size))
    field = size / scale
    reach = field / 2 + 0.4 * slide.red_diameter
    density = slide.red_cells * np.exp(0.25 * rng.standard_normal())
    n = int(rng.poisson(density * (2 * reach) ** 2 / 1000))
    radius_um = slide.red_diameter / 2
    spots = _place(n, reach, free_radius + 0.85 * radius_um, 1.5 * radius_um, rng)
    amount = np.zeros((size, size))
    for cy, cx in spots:
        radius = radius_um * scale * float(np.exp(0.05 * rng.standard_normal()))
        box = window(size, (cy * scale, cx * scale), 1.3 * radius)
        if box is None:
            continue
        disc, inside = _red_cell(y[box] - cy * scale, x[box] - cx * scale, radius, slide, rng)
        stain = float(np.exp(0.08 * rng.standard_normal()))
        # Where two cells overlap, the light crosses both, but they flatten.
        amount[box] = amount[box] * (1.0 - 0.35 * inside) + stain * disc
    dyes[EOSIN] += slide.red_stain * amount
    dyes[PURPLE] += 0.18 * slide.red_stain * amount
    dyes[BLUE] += 0.28 * slide.red_stain * amount

    n = int(rng.poisson(PLATELETS * slide.red_cells / 9.0 * field**2 / 1000))
    for cy, cx in _place(n, field / 2, free_radius + 1.5, 2.0, rng):
        radius = PLATELET_DIAMETER / 2 * scale * float(np.exp(0.2 * rng.standard_normal()))
        box = window(size, (cy * scale, cx * scale), 2.0 * radius)
        if box is None:
            continue
        yy, xx = y[box] - cy * scale, x[box] - cx * scale
        grain = smooth_noise(yy.shape, 0.25 * scale, rng)
        ragged = radius * (1.0 + 0.15 * smooth_noise(yy.shape, 0.7 * scale, rng))
        inside = coverage(ragged - np.hypot(yy, xx), 3.0)
        dyes[PURPLE][box] += inside * 0.4 * np.clip(0.6 + 0.6 * grain, 0.0, None)
        dyes[BLUE][box] += inside * 0.15

    plasma = 1.0 + 0.2 * smooth_noise((size, size), 3.0 * scale, rng)
    dyes[EOSIN] += slide.haze * plasma
    dyes[BLUE] += 0.5 * slide.haze * plasma
    return dyes
