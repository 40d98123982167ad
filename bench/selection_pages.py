"""The tables of replayed annotation in docs/selection.md, from the replays alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from augmenters_data import WITH_VIEWS
from bloomdiff.selection.curves import interval
from pages import Table, Tables, markdown
from selection_data import PARTS
from selection_goals import BASELINE, OURS, labels_to

PAGES = ("docs/selection.md",)
SETS = {
    "blood-13": "PBC's 13 types",
    "blood-13 tail": "their tail",
    "marrow-6": "bone marrow",
    "marrow-6 tail": "its tail",
    "fields-4": "BCCD's four",
    "phantom": "phantom",
}
PROBE, POOL = "logistic", "diffusion"


def _judged(*, views: bool) -> Callable[[pd.DataFrame], Table]:
    """The classifier that learns from the pool, in the probe's place, on like queues."""

    def table(replays: pd.DataFrame) -> Table:
        of = _by(replays)
        heads = ["set", f"area, expected gain and `{POOL}` less random and probe"]
        heads += ["labels to 95 % of the probe's full score", f"random cells with `{POOL}`"]
        rows = []
        for name, said in SETS.items():
            name = _viewed(name) if views else name
            plain, ours, drawn = (
                of.get((name, *which))
                for which in ((PROBE, BASELINE), (POOL, OURS), (POOL, BASELINE))
            )
            if plain is None or ours is None or drawn is None:
                continue
            needed = plain["labels_95%"].median()
            row = [said, _gain(ours["area"] - plain["area"])]
            row.append(_share(ours["labels_95%"].median(), needed))
            row.append(_share(drawn["labels_95%"].median(), needed, bare=True))
            rows.append(row)
        return markdown(heads, rows)

    return table


def _views(replays: pd.DataFrame) -> Table:
    """The probe and the queue in the units of the views."""
    of = _by(replays)
    heads = ["set", "area, expected gain: with views less without"]
    heads += ["expected gain less random, both with views"]
    heads += ["labels to 95 % of the full score without views, against random cells without views"]
    heads += ["random cells with views"]
    rows = []
    for name, said in SETS.items():
        plain, without, random, ours = (
            of.get((which, PROBE, who))
            for which in (name, _viewed(name))
            for who in (BASELINE, OURS)
        )
        if plain is None or without is None or random is None or ours is None:
            continue
        row = [said, _gain(ours["area"] - without["area"])]
        row.append(_gain(ours["area"] - random["area"]))
        for found, bare in ((ours, False), (random, True)):
            needed = [labels_to(found.loc[s], plain.loc[s]) for s in found.index]
            row.append(_share(float(np.median(needed)), plain["labels_95%"].median(), bare=bare))
        rows.append(row)
    return markdown(heads, rows)


TABLES: Tables = {
    "judged": _judged(views=False),
    "in-views": _views,
    "judged-views": _judged(views=True),
}


# ------------------------------------------------------------------------------------------ parts
def _by(replays: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """Replays of a set, judge and strategy, by seed."""
    parts = replays.groupby(["set", "judge", "strategy"])
    return {tuple(map(str, key)): part.set_index("seed") for key, part in parts}


def _viewed(name: str) -> str:
    base = name.removesuffix(" tail")
    return name.replace(base, base + WITH_VIEWS)


def _gain(values: pd.Series) -> str:
    mean, low, high = interval(values.dropna().to_numpy(), 0.95, 1 / PARTS)
    return f"{mean:+.3f} ({low:.3f} to {high:.3f})"


def _share(labels: float, of: float, *, bare: bool = False) -> str:
    """Labels needed and those that random cells need, or the share alone."""
    if np.isinf(labels):
        return "never"
    return f"{labels / of:.2f}" if bare else f"{labels:.0f} of {of:.0f}: {labels / of:.2f}"
