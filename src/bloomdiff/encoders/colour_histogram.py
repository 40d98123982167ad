"""Colour alone: the control that every learned encoder must beat.

A blood cell's type is half told by its stain: the joint histogram of red, green and blue knows
nothing of shape, and still sorts many cells. The idea is M. J. Swain and D. H. Ballard's,
"Color indexing", International Journal of Computer Vision 7, 1991.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloomdiff.encoders.base import Encoder, EncoderCard, Floats, register_encoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.transform import Pixels, Transform
from bloomdiff.errors import ParameterError

LEVELS = 8  # of each channel: 8 x 8 x 8 = 512 bins


class ColourHistogram(Encoder):
    """Share of the pixels in each of 8 x 8 x 8 equal boxes of the RGB cube, `(512,)`, sum 1."""

    name = "colour-histogram"
    learned = False

    def __init__(self, params: EncoderParams) -> None:
        self.params = params
        self.batch_size = params.batch_size or 64
        self.dim = LEVELS**3
        self.digest = hashlib.sha256(f"colour-histogram {LEVELS}".encode()).hexdigest()
        self.transform = Transform(params.image_size)
        self.preprocessing = {"transform": self.transform.to_dict()}

    def _forward(self, images: Sequence[Pixels]) -> Floats:
        out = np.empty((len(images), self.dim), np.float32)
        for row, image in enumerate(images):
            level = (image.reshape(-1, 3) // (256 // LEVELS)).astype(np.intp)
            code = (level[:, 0] * LEVELS + level[:, 1]) * LEVELS + level[:, 2]
            out[row] = np.bincount(code, minlength=self.dim) / len(code)
        return out


@register_encoder(
    "colour-histogram",
    EncoderCard(
        dim=LEVELS**3,
        image_size=None,
        licence="none needed",
        source="computed",
        trained_on="nothing: the control",
    ),
)
def load(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
    """Return the histogram; parameters of networks are refused rather than ignored."""
    plain = {"precision": ("auto", "float32")}  # what its counts are in anyway
    defaults = EncoderParams()
    for knob in ("checkpoint", "pooling", "layers", "tta", "precision"):
        if getattr(params, knob) not in plain.get(knob, (getattr(defaults, knob),)):
            raise ParameterError(
                f"encoder 'colour-histogram' {knob}",
                f"means nothing here, however: {getattr(params, knob)!r}",
                "remove it",
            )
    return ColourHistogram(params)
