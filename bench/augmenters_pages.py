"""The tables of few labels in README and in docs/few-labels.md, from their scores alone.

Bold: ahead beyond the noise, by the corrected resampled t-interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from augmenters_data import CHOSEN_ON, REGIMES, WITH_VIEWS
from augmenters_goals import NAMED, Pair, Wide, best_rival, pairs_of, rivals_of, summed
from augmenters_methods import SCATTERED, SCATTERED_POOL, VIEW_ROWS
from augmenters_views import OURS, REAL, SELF, compare
from bloomdiff.metrics.statistics import Difference
from pages import Table, Tables, markdown

PAGES = ("README.md", "docs/few-labels.md", "docs/views.md")
PICTURES = {"curves.png": "docs/img/few_labels.png", "views.png": "docs/img/views.png"}
VIEWED = (
    ("blood-13", "5-shot"),
    ("blood-13", "long tail 100"),
    ("marrow-6", "5-shot"),
    ("marrow-6", "long tail 100"),
    ("fields-4", "5-shot"),
    ("phantom", "5-shot"),
)
VIEWED_METHODS = {
    REAL: REAL,
    "smote": "SMOTE",
    "gaussian": "gaussian",
    "diffusion": "diffusion",
    "diffusion classifier": "classifier `diffusion`",
    SELF: "self-training on the pool",
    NAMED[True]: "diffusion with the pool",
    OURS: "classifier `diffusion` with the pool",
}
WITHIN = ("blood-13", "fields-4", "marrow-6", "phantom")
SETS = {"blood-13": "blood", "marrow-6": "bone marrow", "fields-4": "fields of view"}


def _regimes(scores: pd.DataFrame) -> Table:
    """Both methods that the goals name, less real cells alone and less the best rival."""
    sets = _by_regime(scores, "logistic")
    heads = ["labelled cells"]
    for pool in (True, False):
        which = "that may use the pool" if pool else "without a pool"
        heads += [f"`{NAMED[pool]}` less {REAL}", f"less the best rival {which}"]
    rows = []
    for regime, scored in sets.items():
        row = [_labels(regime)]
        for pool in (True, False):
            alone = _over_sets(scored, [NAMED[pool], REAL])
            row += [_gain(compare(alone, NAMED[pool], REAL)), _beside_the_best(scored, pool)[0]]
        rows.append(row)
    return markdown(heads, rows)


def _scattered(pool: bool) -> Callable[[pd.DataFrame], Table]:
    ours = (NAMED[pool], SCATTERED_POOL if pool else SCATTERED)
    kinds = {"logistic": "logistic regression", "knn": "k-NN"}

    def table(scores: pd.DataFrame) -> Table:
        sets = {kind: _by_regime(scores, kind) for kind in kinds}
        heads = [f"{name}: {how}" for name in kinds.values() for how in ("as it is", "scattered")]
        rows = [
            [_labels(r), *(c for k in kinds for c in _beside_the_best(sets[k][r], pool, ours))]
            for r in REGIMES
        ]
        return markdown(["labelled cells", *heads], rows)

    return table


def _each_rival(scores: pd.DataFrame) -> Table:
    """Each rival that was scored on all pairs, the closest to the first of ours on top."""
    pairs = [wide for *_, wide in _pairs(scores, "logistic")]
    ours = ((NAMED[True], True), (SCATTERED_POOL, True), (NAMED[False], False), (SCATTERED, False))
    heads = ["less"]
    for name, _ in ours:
        heads += [f"`{name}`", "ahead, behind"]
    everywhere = set.intersection(*(set(rivals_of(wide, True)) for wide in pairs))
    rows = []
    for rival in (REAL, *everywhere):
        row, order = [_said(rival)], 0.0
        for name, pool in ours:
            if not pool and rival.endswith("+ pool"):
                row += ["", ""]
                continue
            found = [compare(wide, name, rival) for wide in pairs]
            each = [d for d in found if d is not None]
            together = compare(_over_sets(pairs, [name, rival]), name, rival)
            order = order or (together.mean if together else 0.0)
            row += [_gain(together), f"{sum(d.low > 0 for d in each)}, "]
            row[-1] += f"{sum(d.high < 0 for d in each)}"
        rows.append((rival != REAL, order, row))
    return markdown(heads, [row for *_, row in sorted(rows)])


def _views(scores: pd.DataFrame) -> Table:
    """What views bring, and the pool on top of them."""
    heads = ["cells (macro-F1)", REAL, "the views as more rows", f"{REAL}, whitened"]
    heads += ["`diffusion` classifier with the pool, whitened", "last less first"]
    rows = []
    for data, regime in VIEWED:
        wide = _with_and_without(scores[scores["regime"] == regime], data)
        columns = (REAL, VIEW_ROWS + WITH_VIEWS, REAL + WITH_VIEWS, OURS + WITH_VIEWS)
        means = [f"{100 * wide[column].mean():.1f}" for column in columns]
        last = _gain(compare(wide, columns[-1], columns[0]))
        rows.append([f"{SETS.get(data, data)}, {_labels(regime)}", *means, last])
    return markdown(heads, rows)


def _views_by_set(scores: pd.DataFrame) -> Table:
    """With views less without, mean of the regimes, laboratory by laboratory."""
    pairs = {data: _with_and_without(scores, data) for data in WITHIN}
    rows = []
    for method, said in VIEWED_METHODS.items():
        gains = [compare(both, method + WITH_VIEWS, method) for both in pairs.values()]
        rows.append([said, *map(_gain, gains)])
    more = [compare(both, VIEW_ROWS + WITH_VIEWS, REAL) for both in pairs.values()]
    rows.append(["the same views as so many more training rows, less real only", *map(_gain, more)])
    return markdown(["method", *(SETS.get(data, data) for data in WITHIN)], rows)


def _views_across(scores: pd.DataFrame) -> Table:
    """Without and with views, and the second less the first, across laboratories."""
    pairs = [_with_and_without(scores, data) for data in ("blood to marrow", "blood to fields")]
    rows = []
    for method in (REAL, "diffusion", SELF, NAMED[True], OURS):
        row = [VIEWED_METHODS[method]]
        for both in pairs:
            means = [f"{100 * both[m].mean():.1f}" for m in (method, method + WITH_VIEWS)]
            gain = _gain(compare(both, method + WITH_VIEWS, method))
            row.append(f"{', '.join(means)}: {gain}")
        rows.append(row)
    return markdown(["method", "to bone marrow", "to the fields"], rows)


TABLES: Tables = {
    "regimes": _regimes,
    "scattered": _scattered(False),
    "scattered-pool": _scattered(True),
    "each-rival": _each_rival,
    "views": _views,
    "views-by-set": _views_by_set,
    "views-across": _views_across,
}


# ------------------------------------------------------------------------------------------ parts
def _pairs(scores: pd.DataFrame, classifier: str) -> list[Pair]:
    """Sets and regimes of a classifier, without views and without cells of the choice."""
    plain = ~scores["data"].str.endswith(WITH_VIEWS) & ~scores["data"].isin(CHOSEN_ON)
    return pairs_of(scores[plain & (scores["classifier"] == classifier)])


def _with_and_without(scores: pd.DataFrame, data: str) -> Wide:
    """Means of the regimes, division by division, a column for each method without and with."""
    here = scores[scores["classifier"] == "logistic"]
    plain, seen = (
        here[here["data"] == name].pivot_table(
            index="seed", columns="method", values="macro_f1", aggfunc="mean"
        )
        for name in (data, data + WITH_VIEWS)
    )
    return plain.join(seen.add_suffix(WITH_VIEWS))


def _by_regime(scores: pd.DataFrame, classifier: str) -> dict[str, list[Wide]]:
    pairs = _pairs(scores, classifier)
    return {regime: [wide for _, of, wide in pairs if of == regime] for regime in REGIMES}


def _over_sets(sets: Sequence[Wide], methods: Sequence[str]) -> Wide:
    """Mean over the sets, division by division."""
    return summed([wide[list(methods)] for wide in sets])


def _beside_the_best(
    sets: Sequence[Wide], pool: bool, ours: Sequence[str] | None = None
) -> list[str]:
    """Each of ours less the one rival that is best over all sets, picked afterwards."""
    ours = ours or [NAMED[pool]]
    everywhere = set.intersection(*(set(rivals_of(wide, pool)) for wide in sets))
    over_sets = _over_sets(sets, [*sorted(everywhere), *ours])
    rival = best_rival(over_sets, pool)
    if rival is None:
        return ["–"] * len(ours)
    named = f", {_said(rival)}" if len(ours) == 1 else ""
    return [f"{_gain(compare(over_sets, name, rival))}{named}" for name in ours]


def _gain(difference: Difference | None) -> str:
    if difference is None:
        return "–"
    mean = f"{100 * difference.mean:+.1f}"
    mean = f"**{mean}**" if difference.low > 0 else mean
    return f"{mean} ({100 * difference.low:.1f} to {100 * difference.high:.1f})"


def _said(method: str) -> str:
    return method.removesuffix(" + pool")


def _labels(regime: str) -> str:
    kind = REGIMES[regime]
    if kind.imbalance is None:
        return f"{kind.shots} a class"
    return f"long tail of {kind.imbalance:g} to 1"
