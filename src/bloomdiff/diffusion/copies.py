"""Rows that are copies of one another: no part that is held out may hold one of a row in use."""

from __future__ import annotations

import hashlib

import numpy as np

from bloomdiff.diffusion.whitening import Floats, Index


def first_alike(X: Floats) -> Index:
    """Of each row the position of the first that is the same, `(n,)`."""
    first: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in X)
    return np.array(
        [first.setdefault(digest, i) for i, digest in enumerate(digests)], dtype=np.intp
    )
