"""Which cells are on the map, where there are more than can be drawn."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import numpy.typing as npt


def shown(n: int, most: int, name: str, seed: int) -> npt.NDArray[np.intp]:
    """At most so many of the `n` synthetic cells of generator `name`, ascending.

    Those of a smaller number are among those of a larger one: what is rendered is on the map.
    """
    return some(n, most, np.random.default_rng([seed, crc32(name.encode())]))


def some(n: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """All rows, or `most` of them at random, ascending."""
    return np.arange(n) if n <= most else np.sort(rng.permutation(n)[:most])
