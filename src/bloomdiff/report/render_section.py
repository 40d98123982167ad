"""The section on images drawn from embeddings: what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bloomdiff.metrics.rendering import MEASURES
from bloomdiff.report.page import Section
from bloomdiff.report.tables import spelled

_NAMES = {
    "held_out_shrunk": "real held-out cells, shrunk (the floor)",
    "training_shrunk": "real training cells, shrunk",
    "held_out_nearest": "real held-out cells, each shown by its nearest training cell",
    "held_out_rendered": "real held-out cells, rendered of their embeddings",
}
_HEADS = {
    "cosine": "cosine",
    "control": "cosine, other cell of the class",
    "class_agreement": "class agreement, %",
    "frechet": "Fréchet distance",
}


def render_section(report: Mapping[str, Any], confidence: float) -> Section | None:
    """The scores as a table; None where nothing was rendered.

    Parameters
    ----------
    report
        Content of `render.json`.
    confidence
        Coverage of the intervals.
    """
    if not report["enabled"]:
        return None
    scores = {(row["cells"], row["measure"]): row for row in report["scores"]}
    cells = list(dict.fromkeys(row["cells"] for row in report["scores"]))
    lead = (
        f"Rendered, not photographed: a decoder, fitted on the training cells of fold "
        f"{report['fold']}, draws images of {report['image_size']} pixels from embeddings, and the "
        "encoder embeds each image again. "
        + "; ".join(f"**{_HEADS[name]}**: {told}" for name, told in MEASURES.items())
        + f". {100 * confidence:g} % intervals. No other figure of this report rests on the images."
    )
    rows = [
        [
            _NAMES.get(name, f"synthetic cells of {name}, rendered"),
            *(_spelled(scores.get((name, measure)), measure) for measure in _HEADS),
        ]
        for name in cells
    ]
    return Section("Rendered cells", lead, ["cells", *_HEADS.values()], rows)


def _spelled(row: Mapping[str, Any] | None, measure: str) -> str:
    if row is None or row["value"] is None:
        return ""
    series = pd.Series({"mean": row["value"], "low": row["low"], "high": row["high"]})
    return spelled(series, scale=100 if measure == "class_agreement" else 1)
