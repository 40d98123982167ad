"""Diffusion of small images that a vector conditions: an embedding, or a class.

Needs the extra ``image-space``; torch and diffusers are imported when a model is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bloomdiff.imaging.config import ImageDiffusionConfig

if TYPE_CHECKING:
    from bloomdiff.imaging.model import ImageDiffusion

__all__ = ["ImageDiffusion", "ImageDiffusionConfig"]


def __getattr__(name: str) -> Any:
    if name == "ImageDiffusion":
        from bloomdiff.imaging.model import ImageDiffusion

        return ImageDiffusion
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
