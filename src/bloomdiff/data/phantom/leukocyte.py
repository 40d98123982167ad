"""Paint one nucleated cell: outline, nucleus, chromatin, cytoplasm, granules, vacuoles.

Every nucleus is the union of discs along a curved spine: a short spine gives a round nucleus, a
longer bent one a bean, then a band, and pinches along it give lobes held by threads, so that
the maturation of a granulocyte is one continuous path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from bloomdiff.data.phantom.cell_types import Traits
from bloomdiff.data.phantom.fields import Array, coverage, grid, smooth_noise
from bloomdiff.data.phantom.smear import BLUE, EOSIN, PURPLE

SPINE_STEP = 0.18  # spacing of the discs along the spine, in half-widths
MARGIN = 0.35  # µm of cytoplasm that always remains around the nucleus
NUCLEOLUS_DIAMETER = 1.9  # µm; nucleoli of blasts measure 1 to 3


@dataclass(frozen=True)
class Leukocyte:
    """A painted cell, centred in its own square.

    Attributes
    ----------
    dyes
        Amount of each dye, `(3, size, size)`.
    cell, nucleus
        Share of each pixel inside the cell and inside the nucleus, `(size, size)`.
    """

    dyes: Array
    cell: Array
    nucleus: Array


def _outline(traits: Traits, scale: float, y: Array, x: Array, rng: np.random.Generator) -> Array:
    """Signed distance to the cell's edge, pixels, positive inside."""
    radius = traits.diameter / 2 * scale
    tilt = np.pi * rng.random()
    stretch = np.sqrt(1.0 + traits.elongation)
    along = (np.cos(tilt) * x + np.sin(tilt) * y) / stretch
    across = (np.cos(tilt) * y - np.sin(tilt) * x) * stretch
    distance = np.sqrt(along * along + across * across)
    turn = (along + 1j * across) / np.maximum(distance, 1e-9)  # exp(i angle)
    power = turn
    wave = np.zeros_like(x)
    for k in range(2, 8):
        power = power * turn
        a, b = 1.4 * rng.standard_normal(2) / k  # 1.4: root mean square over k = 2 to 7 is 1
        wave += a * power.real + b * power.imag
    fine = 0.2 * smooth_noise(y.shape, 0.6 * scale, rng)
    return radius - distance + traits.outline_roughness * scale * (wave + fine)


def _spine(traits: Traits, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points `(n, 2)` along the nucleus's axis and its half-widths `(n,)`, in half-widths."""
    lobes = int(traits.lobes)
    # The trait tells the length of a nucleus of three lobes; each lobe more adds its own.
    length = traits.nucleus_length * (1.0 + 0.3 * traits.lobe_pinch * (lobes - 3))
    t = np.linspace(0.0, 1.0, int(np.clip(length / SPINE_STEP, 6, 48)))
    wobble = np.zeros_like(t)
    for k in (1, 2, 3):
        wobble += 0.3 / k * rng.standard_normal() * np.sin(np.pi * k * t + np.pi * rng.random())
    turn = 2 * np.pi * rng.random()
    heading = turn + traits.nucleus_bend * (t - 0.5) + wobble * min(1.0, length / 4.0)
    steps = length / len(t) * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    points = np.cumsum(steps, axis=0)
    lobe = np.minimum((t * lobes).astype(int), lobes - 1)
    inside = 2.0 * (t * lobes - lobe) - 1.0  # -1 .. 1 along each lobe
    # Where the spine ends, the discs themselves round the lobe off.
    ends = ((lobe == 0) & (inside < 0)) | ((lobe == lobes - 1) & (inside > 0))
    gap = np.where(ends, 0.0, np.clip((np.abs(inside) - 0.2) / 0.4, 0.0, 1.0))
    size = 1.0 + 0.2 * traits.lobe_pinch * np.clip(rng.standard_normal(lobes), -2, 2)
    widths = size[lobe] * (1.0 - traits.lobe_pinch * gap)
    return points - points.mean(axis=0), np.maximum(widths, 0.13)


def _distance(points: Array, widths: Array, y: Array, x: Array) -> Array:
    """Signed distance to the union of discs, positive inside, `(h, w)`."""
    best = np.full(y.shape, -np.inf)
    for (py, px), width in zip(points.tolist(), widths.tolist(), strict=True):
        np.maximum(best, width - np.sqrt((y - py) ** 2 + (x - px) ** 2), out=best)
    return best


def _nucleus(
    traits: Traits, scale: float, cell: Array, y: Array, x: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Signed distance to the nucleus's edge (pixels) and its local half-width (pixels)."""
    points, widths = _spine(traits, rng)
    direction = 2 * np.pi * rng.random()
    rough = traits.nucleus_roughness * scale * smooth_noise(y.shape, 1.1 * scale, rng)
    target = traits.nucleus_fraction * np.count_nonzero(cell > 0)
    room = np.minimum(cell - MARGIN * scale, 0.9 * cell)
    radius = traits.diameter / 2 * scale
    # Area grows with the square of the size until the cell's edge clips it; three corrections land
    # within a few per cent of the target. A coarse grid serves for measuring.
    coarse = (slice(None, None, 3), slice(None, None, 3))
    size = float(np.sqrt(target / (np.pi + 2 * traits.nucleus_length)))
    for _ in range(4):
        reach = (float(np.hypot(points[:, 0], points[:, 1]).max()) + 1.0) * size
        play = max(0.0, radius - MARGIN * scale - reach)
        shift = traits.eccentricity * play
        centre = shift * np.array([np.sin(direction), np.cos(direction)])
        placed = points * size + centre
        sketch = _distance(placed, widths * size, y[coarse], x[coarse]) + rough[coarse]
        area = 9 * int(np.count_nonzero(np.minimum(sketch, room[coarse]) > 0))
        size *= float(np.sqrt(np.clip(target / max(area, 1), 0.6, 1.6)))
    placed = points * size + centre
    distance = _distance(placed, widths * size, y, x) + rough
    return np.minimum(distance, room), np.full_like(distance, size)


def _granules(count: int, diameter: float, where: Array, rng: np.random.Generator) -> Array:
    """Amount left by `count` soft spheres of `diameter` pixels, placed with density `where`."""
    cumulated = np.cumsum(where.ravel())
    if count == 0 or cumulated[-1] <= 0:
        return np.zeros_like(where)
    index = np.searchsorted(cumulated, rng.random(count) * cumulated[-1], side="right")
    index = np.minimum(index, where.size - 1)
    cy = index // where.shape[1] + rng.random(count) - 0.5
    cx = index % where.shape[1] + rng.random(count) - 0.5
    radii = diameter / 2 * np.exp(0.22 * rng.standard_normal(count))
    strength = np.exp(0.25 * rng.standard_normal(count))
    reach = int(np.ceil(radii.max() + 1))
    offsets = np.arange(-reach, reach + 1)
    iy = np.rint(cy).astype(int)[:, None, None] + offsets[None, :, None]
    ix = np.rint(cx).astype(int)[:, None, None] + offsets[None, None, :]
    distance = np.hypot(iy - cy[:, None, None], ix - cx[:, None, None])
    # A sphere's projection is thickest in the middle; the rim spreads over one pixel.
    stamp = strength[:, None, None] * np.clip(radii[:, None, None] + 0.5 - distance, 0.0, 1.0)
    inside = (iy >= 0) & (iy < where.shape[0]) & (ix >= 0) & (ix < where.shape[1])
    flat = np.broadcast_to(iy * where.shape[1] + ix, stamp.shape)[inside]
    layer = np.zeros(where.size)
    np.add.at(layer, flat, stamp[inside])
    return layer.reshape(where.shape)


def _chromatin(
    traits: Traits, scale: float, distance: Array, half_width: Array, rng: np.random.Generator
) -> Array:
    """Amount of purple in the nucleus before the edge is cut, `(h, w)`."""
    grain = max(traits.chromatin_grain * scale, 0.6)
    noise = smooth_noise(distance.shape, grain, rng)
    veins = smooth_noise(distance.shape, 2.2 * grain, rng)
    # Clumps: the texture saturates at both ends; ridges of a second field make strands.
    texture = np.tanh(1.4 * noise) + 0.6 * (0.7 - np.abs(veins))
    dome = np.clip(distance / half_width, 0.0, 1.0)
    rim = np.exp(-((distance / (0.35 * scale)) ** 2))
    return (
        traits.chromatin_density
        * (0.84 + 0.16 * np.sqrt(dome) + 0.10 * rim)
        * (1.0 + traits.chromatin_contrast * texture)
    )


def _nucleoli(traits: Traits, scale: float, distance: Array, y: Array, x: Array,
              rng: np.random.Generator) -> Array:  # fmt: skip
    """Share of each pixel that lies in a nucleolus, `(h, w)`."""
    share = np.zeros_like(distance)
    deep = np.clip(distance - 0.5 * scale, 0.0, None)
    for _ in range(int(traits.nucleoli)):
        cumulated = np.cumsum(deep.ravel())
        if cumulated[-1] <= 0:
            break
        index = int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))
        cy, cx = y.flat[index], x.flat[index]
        radius = NUCLEOLUS_DIAMETER / 2 * scale * np.exp(0.25 * rng.standard_normal())
        gap = np.hypot(y - cy, x - cx)
        share = np.maximum(share, coverage(radius - gap, 0.45 * scale))
    return share


def paint_leukocyte(traits: Traits, pixels_per_um: float, rng: np.random.Generator) -> Leukocyte:
    """Paint a cell with these traits, in a square somewhat larger than the cell.

    Parameters
    ----------
    traits
        Morphology.
    pixels_per_um
        Sampling.
    rng
        Source of randomness.
    """
    scale = pixels_per_um
    size = int(
        np.ceil(
            traits.diameter * scale * (1.2 + 0.5 * traits.elongation)
            + 6 * traits.outline_roughness * scale
        )
    )
    y, x = grid(size)
    edge = _outline(traits, scale, y, x, rng)
    distance, half_width = _nucleus(traits, scale, edge, y, x, rng)
    cell = coverage(edge, 1.5)
    nucleus = coverage(distance, 1.5)
    cytoplasm = cell * (1.0 - nucleus)

    purple = _chromatin(traits, scale, distance, half_width, rng)
    nucleolus = _nucleoli(traits, scale, distance, y, x, rng)
    chromatin = nucleus * purple * (1.0 - 0.42 * nucleolus)

    mottle = 1.0 + 0.10 * smooth_noise(y.shape, 0.3 * scale, rng)
    mottle += 0.14 * smooth_noise(y.shape, 1.4 * scale, rng)
    skirt = np.exp(-np.clip(edge, 0.0, None) / (1.1 * scale))
    near = np.exp(-((np.clip(-distance, 0.0, None) / (1.3 * scale)) ** 2))
    # The Golgi zone lies on one side of the nucleus, where there is most cytoplasm.
    side = np.clip(gaussian_filter(cytoplasm, 1.2 * scale) * 1.6, 0.0, 1.0)
    pale = np.clip(1.0 - traits.halo * near * side, 0.0, 1.0)
    thickness = np.sqrt(np.clip(edge / (0.25 * traits.diameter * scale), 0.0, 1.0)) * 0.3 + 0.7
    blue = traits.basophilia * (1.0 + traits.edge_basophilia * skirt) * thickness * pale * mottle
    pink = traits.acidophilia * thickness * mottle
    membrane = 0.05 * np.exp(-((edge / (0.18 * scale)) ** 2))

    area = np.pi / 4 * traits.diameter**2
    where = cell * (1.0 - (1.0 - traits.granules_over_nucleus) * nucleus) * np.clip(pale, 0.3, 1)
    covered = float(where.sum()) / max(float(cell.sum()), 1.0)
    count = int(rng.poisson(traits.granules * area * covered))
    granules = _granules(count, traits.granule_diameter * scale, where, rng)
    granules = np.minimum(granules, 2.0)

    holes = np.zeros_like(cell)
    if traits.vacuoles > 0:
        holes = _granules(
            int(traits.vacuoles), traits.vacuole_diameter * scale, cell * (1 - 0.8 * nucleus), rng
        )
        holes = np.clip(gaussian_filter(holes, 0.7), 0.0, 1.0)

    dyes = np.zeros((3, size, size))
    dyes[PURPLE] = chromatin + cell * granules * traits.granule_purple
    dyes[BLUE] = cytoplasm * np.clip(blue, 0.0, None) + 0.12 * nucleus + 0.3 * nucleus * nucleolus
    dyes[BLUE] += membrane * traits.basophilia * cell
    dyes[EOSIN] = cytoplasm * np.clip(pink, 0.0, None) + cell * granules * traits.granule_eosin
    dyes *= 1.0 - 0.9 * holes
    return Leukocyte(dyes, cell, nucleus)
