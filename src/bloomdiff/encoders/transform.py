"""From a decoded image to the encoder's square of pixels; runs in the decoding workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Transform:
    """Resize uint8 `(h, w, 3)` to `(size, size, 3)`; None leaves every image at its own size.

    Attributes
    ----------
    size
        Side in pixels.
    mode
        ``squash`` resizes both sides, so that no part of a cell is cut off; ``crop`` resizes the
        shorter side to ``size / crop_fraction`` and cuts the centre, as most ImageNet models do.
    interpolation
        Pillow's filter, antialiased.
    crop_fraction
        Share of the resized shorter side that the centre crop keeps.
    """

    size: int | None
    mode: Literal["squash", "crop"] = "squash"
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest"] = "bicubic"
    crop_fraction: float = 1.0

    def __call__(self, rgb: Pixels) -> Pixels:
        """Transform one image."""
        if self.size is None:
            return rgb
        height, width = rgb.shape[:2]
        if self.mode == "squash":
            return self._resize(rgb, self.size, self.size)
        shorter = int(self.size / self.crop_fraction)
        # Truncated and rounded as torchvision does it, whose pipeline these models were made with.
        new_height = max(self.size, int(shorter * max(1.0, height / width)))
        new_width = max(self.size, int(shorter * max(1.0, width / height)))
        rgb = self._resize(rgb, new_height, new_width)
        top, left = round((new_height - self.size) / 2), round((new_width - self.size) / 2)
        return np.ascontiguousarray(rgb[top : top + self.size, left : left + self.size])

    def _resize(self, rgb: Pixels, height: int, width: int) -> Pixels:
        if rgb.shape[:2] == (height, width):
            return rgb
        from PIL import Image

        method = Image.Resampling[self.interpolation.upper()]
        return np.asarray(Image.fromarray(rgb).resize((width, height), method))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the embedding's header and the cache key."""
        return asdict(self)
