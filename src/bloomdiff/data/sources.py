"""Look a published data set up, and say where an encoder has seen its cells before."""

from __future__ import annotations

from collections.abc import Iterable

from bloomdiff.data.published import PUBLISHED, Source
from bloomdiff.errors import ParameterError
from bloomdiff.registry import nearest


def find_source(name: str) -> Source:
    """A published set by name; an unknown one is a `ParameterError` with the nearest."""
    try:
        return PUBLISHED[name]
    except KeyError:
        raise ParameterError(
            f"data set {name!r}", "unknown name", nearest(name, list(PUBLISHED))
        ) from None


def pretraining_warning(sources: Iterable[str], encoder_name: str) -> str | None:
    """What a report must say where the encoder was pre-trained on the cells under test.

    Parameters
    ----------
    sources
        Names in the manifest's `source` column; parts of a published set, such as
        ``raabin-testb``, count as the set. Names that are no published set's are passed over.
    encoder_name
        The encoder's name, such as ``dinobloom-s`` or ``dinov2-s``.

    Returns
    -------
    str or None
        One sentence; None for an encoder other than DinoBloom, and for cells it has not seen.
    """
    if "dinobloom" not in encoder_name.casefold():
        return None
    found = {
        known.name: known
        for name in sources
        for known in PUBLISHED.values()
        if name == known.name or name.startswith(f"{known.name}-")
    }
    told = []
    for verb, seen in (("was pre-trained on", "yes"), ("may have been pre-trained on", "unknown")):
        names = [
            f"{name} ({source.seen_note})" if source.seen_note else name
            for name, source in sorted(found.items())
            if source.seen == seen
        ]
        if names:
            told.append(f"{verb} {', '.join(names)}")
    if not told:
        return None
    return (
        f"{encoder_name} {' and '.join(told)}: the embeddings of these cells are not those of "
        "unseen cells, and scores on them are likely to be too high."
    )
