"""In which space embeddings lie: the encoder, its weights and how they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bloomdiff.errors import InputError

# Where the encoder runs changes a vector's last bits, not the space that it lies in.
WHERE = ("batch_size", "dtype", "runtime")
Header = Mapping[str, Any]


def space_of(header: Header) -> dict[str, Any]:
    """What the header of an embedding set says of it: `encoder`, `digest` and `preprocessing`."""
    used = header.get("preprocessing") or {}
    kept = {key: value for key, value in used.items() if key not in WHERE}
    return {**{key: header.get(key) for key in ("encoder", "digest")}, "preprocessing": kept}


def check_joinable(headers: Sequence[Header], n_views: Sequence[int]) -> None:
    """Raise an `InputError` where sets of these headers and numbers of views cannot be joined.

    What a set that was made by hand does not say is no difference, nor are missing views (0).
    """
    spaces = [space_of(header) for header in headers]
    for key in ("encoder", "digest", "preprocessing"):
        found = [space[key] for space in spaces if space[key]]
        told = [repr(v) if isinstance(v, str) else json.dumps(v, sort_keys=True) for v in found]
        names = list(dict.fromkeys(told))
        if len(names) > 1:
            raise InputError(
                f"embeddings of the {key} {names[1]}",
                f"cannot be joined with those of {names[0]}",
                "embed all cells with one encoder",
            )
    counts = sorted({n for n in n_views if n})
    if len(counts) > 1:
        raise InputError(
            f"embeddings with {counts[1]} views of each cell",
            f"cannot be joined with those with {counts[0]}",
            "embed all cells with as many",
        )
