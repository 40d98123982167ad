"""Why a cell was chosen, in words that the expert understands."""

from __future__ import annotations

import numpy as np

from bloomdiff.selection.base import Ranking, Situation
from bloomdiff.selection.geometry import nearest, unit

CODES = {
    "random": "drawn with equal chance",
    "disputed": "the classes that it may belong to are close",
    "typical": "many cells of the pool are like it",
    "distant": "it is far from all labelled and chosen cells",
    "rare": "it may belong to a class with few labelled cells",
    "new": "no labelled class explains it",
}


def explain(situation: Situation, ranking: Ranking) -> list[str]:
    """One line for each row of a ranking."""
    rows = unit(situation.X[ranking.index])
    _, at = nearest(rows, unit(situation.X_labelled))
    lines = []
    for i, code in enumerate(ranking.code):
        near = situation.y[at[i]] if len(situation.y) else None
        lines.append(f"{code}: {_detail(situation, ranking, i, str(code), near)}")
    return lines


def _detail(situation: Situation, ranking: Ranking, i: int, code: str, near: int | None) -> str:
    part = {name: values[i] for name, values in ranking.parts.items()}
    if code == "disputed":
        proba = situation.proba[ranking.index[i]]
        top = np.argsort(-proba, kind="stable")[:2]
        return ", ".join(f"{situation.classes[c]} {proba[c]:.2f}" for c in top)
    if code == "typical":
        alike = part.get("stands_for", part.get("cluster_size"))
        return CODES[code] if alike is None else f"stands for about {round(alike)} cells"
    if near is not None and code in ("rare", "new", "distant"):
        name, count = situation.classes[near], int(situation.counts[near])
        cells = "1 cell" if count == 1 else f"{count} cells"
        if code == "rare":
            return f"nearest labelled class ({name}) has {cells}"
        if "strangeness" in part:
            share = min(100 * np.sqrt(part["strangeness"]), 99)
            return f"less likely than {share:.0f} % of the pool under every labelled class"
        return f"far from the labelled cells; the nearest is a {name}"
    return CODES[code]
