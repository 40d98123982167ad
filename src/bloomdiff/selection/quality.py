"""Crops that are out of focus, or too bright or too dark to be a stained cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bloomdiff.data.images import Pixels, read_rgb
from bloomdiff.parallel import map_chunks

OUTLIER = 3.5  # robust z-score, after Iglewicz and Hoaglin 1993
SIDE = 96  # pixels: sharpness depends on the scale, so that all crops are brought to one


def look(rgb: Pixels) -> tuple[float, float]:
    """Sharpness and brightness of a crop.

    Sharpness is the logarithm of the Laplacian's variance (Pech-Pacheco et al. 2000,
    doi:10.1109/ICPR.2000.903548) at `SIDE` pixels; brightness the mean grey level, 0 to 255.
    """
    import cv2

    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    spread = float(cv2.Laplacian(small, cv2.CV_64F).var())
    return float(np.log(spread + 1)), float(grey.mean())


def judge(paths: Sequence[Path], *, jobs: int = 1) -> list[str]:
    """Why each crop is unfit for labelling; '' where it is fit.

    A crop is out of focus if its sharpness lies `OUTLIER` robust deviations below the median, and
    an artefact if its brightness lies as far on either side.

    Raises
    ------
    InputError
        An image is missing or damaged.
    """
    measured: list[tuple[float, float]] = []
    for part in map_chunks(_look_at, list(paths), jobs=jobs, describe="looking at crops"):
        measured += part
    values = np.asarray(measured, dtype=np.float64).reshape(-1, 2)
    sharp, bright = robust_z(values[:, 0]), robust_z(values[:, 1])
    reasons = [""] * len(values)
    for i in range(len(values)):
        if abs(bright[i]) > OUTLIER:
            kind = "bright" if bright[i] > 0 else "dark"
            usual = np.median(values[:, 1])
            reasons[i] = (
                f"artefact: too {kind}, grey level {values[i, 1]:.0f}, the median is {usual:.0f}"
            )
        elif sharp[i] < -OUTLIER:
            level, usual = np.exp(values[i, 0]) - 1, np.exp(np.median(values[:, 0])) - 1
            reasons[i] = f"out of focus: sharpness {level:.0f}, the median is {usual:.0f}"
    return reasons


def robust_z(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Deviation from the median in units of 1.4826 times the median absolute one, `(n,)`."""
    if not len(values):
        return values
    off = values - np.median(values)
    scale = 1.4826 * np.median(np.abs(off))
    return off / scale if scale > 0 else np.zeros_like(values)


def _look_at(paths: list[Path]) -> list[tuple[float, float]]:
    return [look(read_rgb(path)) for path in paths]
