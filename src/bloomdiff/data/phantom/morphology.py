"""Draw one cell's morphology: its class's mean, the drift to a neighbour, the patient, the spread.

A class is where an expert would most often file such a cell, not a cluster: a cell's mean lies
part of the way towards a neighbouring class (band towards segmented, monocyte towards blast), and
beyond the middle it looks more like the neighbour, as cells do on which two experts differ.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from bloomdiff.data.phantom.cell_types import SHARES, SPREAD, TRAIT_NAMES, TYPES, Traits
from bloomdiff.data.phantom.fields import Array

# Half-normal scale and ceiling of the way towards the neighbour, at overlap = 1.
DRIFT, DRIFT_MAX = 0.13, 0.65
# What cells of one slide share, relative to the spread within a class.
PATIENT_SHARE = 0.35
FLOOR = 1e-3  # keeps the logarithm of an absent trait finite
_SHARE = np.array([name in SHARES for name in TRAIT_NAMES])
_SPREAD = np.array([SPREAD[name] for name in TRAIT_NAMES])


def stream(seed: int, *key: str | int) -> np.random.Generator:
    """Generator that depends on `seed` and `key` alone, on every machine."""
    words = [zlib.crc32(k.encode()) if isinstance(k, str) else k for k in key]
    return np.random.default_rng([seed, *words])


@dataclass(frozen=True)
class Cell:
    """A cell's true morphology.

    Attributes
    ----------
    traits
        Continuous traits, with `lobes`, `nucleoli` and `vacuoles` whole.
    neighbour
        Class that the cell drifts towards.
    drift
        How far it has gone, 0 (its own class's mean) to 1 (the neighbour's).
    """

    traits: Traits
    neighbour: str
    drift: float


def _to_latent(values: Array) -> Array:
    share = np.clip(values, FLOOR, 1 - FLOOR)
    return np.where(_SHARE, np.log(share / (1 - share)), np.log(np.maximum(values, FLOOR)))


def _from_latent(latent: Array) -> Array:
    return np.where(_SHARE, 1.0 / (1.0 + np.exp(-latent)), np.exp(np.where(_SHARE, 0.0, latent)))


def _means(label: str) -> Array:
    traits = TYPES[label].traits
    return np.array([getattr(traits, name) for name in TRAIT_NAMES])


def draw_cell(
    label: str, rng: np.random.Generator, *, overlap: float = 1.0, patient: Array | None = None
) -> Cell:
    """Draw a cell of class `label`.

    Parameters
    ----------
    label
        Class name, a key of `TYPES`.
    rng
        Source of randomness.
    overlap
        Scale of spread and drift.
    patient
        Shift of the traits that the slide's cells of this class share, `(n_traits,)`, in standard
        deviations of the spread within the class.
    """
    neighbours = TYPES[label].neighbours
    weights = np.array(list(neighbours.values()))
    turn = rng.random() * weights.sum()
    neighbour = list(neighbours)[int(np.searchsorted(np.cumsum(weights)[:-1], turn))]
    drift = min(abs(rng.standard_normal()) * DRIFT * overlap, DRIFT_MAX)
    mean = (1 - drift) * _means(label) + drift * _means(neighbour)
    deviate = np.clip(rng.standard_normal(len(TRAIT_NAMES)), -2.5, 2.5) * overlap
    if patient is not None:
        deviate = deviate + patient
    drawn = dict(
        zip(TRAIT_NAMES, _from_latent(_to_latent(mean) + _SPREAD * deviate).tolist(), strict=True)
    )
    drawn["nucleus_fraction"] = min(drawn["nucleus_fraction"], 0.9)
    # A tighter curl would close a band into a ball; lobes leave room between them.
    radius = 1.35 if drawn["lobe_pinch"] > 0.5 else 1.7
    tightest = max(2.6, drawn["nucleus_length"] / radius)
    drawn["nucleus_bend"] = min(drawn["nucleus_bend"], tightest)
    drawn["lobes"] = float(max(1, round(drawn["lobes"] + 0.35 * overlap * rng.standard_normal())))
    drawn["nucleoli"] = float(rng.poisson(drawn["nucleoli"]))
    drawn["vacuoles"] = float(rng.poisson(drawn["vacuoles"]))
    return Cell(Traits(**drawn), neighbour, float(drift))


def draw_patient(rng: np.random.Generator, patient_effect: float = 1.0) -> Array:
    """Shift that a slide's cells of one class share, `(n_traits,)`, in deviations."""
    return PATIENT_SHARE * patient_effect * rng.standard_normal(len(TRAIT_NAMES))
