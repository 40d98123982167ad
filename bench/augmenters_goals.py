"""What became of the benchmark's goals, from its scores alone.

The comparisons were named before anything was scored: `diffusion` where there is no pool and
`diffusion + pool` where there is one. Reported beside them are the diffusion classifiers, and the
diffusion whose rows scatter more or less than cells do, devised when all else had been scored.

Two intervals stand side by side. The corrected resampled t-interval knows that divisions of one set
share cells; the paired bootstrap takes them for independent, and is about a third as wide. A method
that is called no worse by wide intervals alone would show here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from augmenters_data import REGIMES
from augmenters_methods import ALL_LABELS, METHODS, SCATTERED, SCATTERED_POOL
from augmenters_views import FEW, REAL, compare, points
from bloomdiff.metrics.statistics import Difference

NAMED = {False: "diffusion", True: "diffusion + pool"}
BESIDE = (
    (SCATTERED, False),
    (SCATTERED_POOL, True),
    ("diffusion classifier", False),
    ("diffusion classifier + pool", True),
)
INTERVALS = (
    "Ahead and behind are by the corrected resampled t-interval, which knows that the divisions of"
    " a set share cells; in brackets by the paired bootstrap over divisions (95 %, percentiles),"
    " which takes them for independent and is about a third as wide."
)
RESAMPLES = 4000
Interval = tuple[float, float]
Wide = pd.DataFrame  # rows are seeds, columns methods
Pair = tuple[str, str, Wide]  # data and regime
Duels = dict[tuple[str, str], tuple[str, Difference]]  # by data and regime: the rival and the gain


def bootstrap(scored: Wide, method: str, other: str) -> Interval:
    """Paired bootstrap interval of the mean difference, divisions resampled."""
    both = scored[[method, other]].dropna()
    away = (both[method] - both[other]).to_numpy()
    rows = np.random.default_rng(0).integers(0, len(away), (RESAMPLES, len(away)))
    low, high = np.quantile(away[rows].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def goals_section(scores: pd.DataFrame) -> list[str]:
    """A line for each goal, and a table for each comparison with the best rivals."""
    regimes = pairs_of(scores)
    present = set(scores["method"])
    found = [method for method in (*NAMED.values(), SCATTERED, SCATTERED_POOL) if method in present]
    lines = [_never_worse(method, regimes) for method in found]
    tables: list[str] = []
    for name, pool in (*((n, p) for p, n in NAMED.items()), *BESIDE):
        line, duels = _against_the_best(name, pool, regimes)
        if duels:
            lines.append(line)
            tables += ["", *_duels_table(name, pool, duels)]
            tables += ["", *_each_rival(name, pool, regimes)]
    return ["## Goals", "", INTERVALS, "", *lines, *_gap(regimes), *tables]


def wide(scores: pd.DataFrame) -> Wide:
    """Macro-F1 of one data set, regime and classifier."""
    return scores.pivot(index="seed", columns="method", values="macro_f1")


def rivals_of(scored: Wide, pool: bool) -> list[str]:
    """Those without a pool, or those that may use the same pool, if scored on all divisions."""
    return [
        name
        for name, method in METHODS.items()
        if not method.ours and (pool or not method.pool) and name != REAL and name in scored
        # The mean over other divisions than ours is not to be compared.
        if scored[name].notna().all()
    ]


def best_rival(scored: Wide, pool: bool) -> str | None:
    """The rival of the highest mean, chosen on the very scores: the odds are the rival's."""
    rivals = rivals_of(scored, pool)
    return str(scored[rivals].mean().idxmax()) if rivals else None


def tally(gains: Iterable[tuple[Difference, Interval]]) -> tuple[str, str]:
    """How often ahead and how often behind beyond the noise; in brackets by the bootstrap."""
    found = list(gains)
    ahead, above = sum(d.low > 0 for d, _ in found), sum(i[0] > 0 for _, i in found)
    behind, below = sum(d.high < 0 for d, _ in found), sum(i[1] < 0 for _, i in found)
    return f"{ahead} [{above}]", f"{behind} [{below}]"


def pairs_of(scores: pd.DataFrame) -> list[Pair]:
    """Every data set and regime, with their scores by seed and method."""
    return [
        (str(data), str(regime), wide(part))
        for (data, regime), part in scores.groupby(["data", "regime"], observed=True)
    ]


def _never_worse(method: str, regimes: Sequence[Pair]) -> str:
    found = [(d, r, x, c) for d, r, x in regimes if (c := compare(x, method, REAL)) is not None]
    worse = [f"{d} {r} ({points(c)})" for d, r, _, c in found if c.high < 0]
    better = sum(c.low > 0 for *_, c in found)
    resampled = [(d, r, bootstrap(x, method, REAL)) for d, r, x, _ in found]
    below = [f"{d} {r} ({span(i)})" for d, r, i in resampled if i[1] < 0]
    return (
        f"1. `{method}` against real only, {len(found)} regimes: significantly better in"
        f" {better} [{sum(i[0] > 0 for *_, i in resampled)}], significantly worse in"
        f" {_listed(worse)} [{_listed(below)}]."
    )


def _listed(named: Sequence[str]) -> str:
    return f"{len(named)}{': ' if named else ''}{'; '.join(named)}"


def span(interval: Interval) -> str:
    """An interval of shares in points."""
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def _against_the_best(name: str, pool: bool, regimes: Sequence[Pair]) -> tuple[str, Duels]:
    number, wanted = (3, FEW) if pool else (2, tuple(REGIMES))
    duels: Duels = {}
    sides: list[Wide] = []
    for data, regime, scored in regimes:
        rival = best_rival(scored, pool) if regime in wanted else None
        difference = None if rival is None else compare(scored, name, rival)
        if rival is not None and difference is not None:
            duels[data, regime] = rival, difference
            sides.append(scored[[name, rival]].set_axis(["ours", "rivals"], axis=1))
    if not duels:
        return "", duels
    means = [difference.mean for _, difference in duels.values()]
    resampled = [bootstrap(side, "ours", "rivals") for side in sides]
    ahead, behind = tally(zip((d for _, d in duels.values()), resampled, strict=True))
    average = f"{100 * np.mean(means):+.1f}"
    if (together := _together(sides)) is not None:
        average = f"{points(together)} [{span(bootstrap(summed(sides), 'ours', 'rivals'))}]"
    line = (
        f"{number}. `{name}` against the best rival of each regime"
        f"{' that may use the pool, 1 to 5 shots' if pool else ', none with a pool'}:"
        f" {average} points on average, ahead in {ahead} and behind in {behind}"
        f" of {len(means)}, from {100 * min(means):+.1f} to {100 * max(means):+.1f}."
    )
    return line, duels


def _together(sides: Sequence[Wide]) -> Difference | None:
    """Mean over regimes, division by division: those of one seed share their split."""
    return compare(summed(sides), "ours", "rivals")


def summed(sides: Sequence[Wide]) -> Wide:
    """Mean of scores over pairs, division by division."""
    return sum(sides[1:], sides[0]) / len(sides)


def _each_rival(name: str, pool: bool, regimes: Sequence[Pair]) -> list[str]:
    """Against one rival in all regimes, as a user would choose one, instead of each one's best."""
    sides: dict[str, list[Wide]] = {}
    for _, _, scored in regimes:
        for rival in (REAL, *rivals_of(scored, pool)) if name in scored else ():
            pair = scored[[name, rival]].set_axis(["ours", "rivals"], axis=1)
            sides.setdefault(rival, []).append(pair)
    told = []
    for rival, pairs in sides.items():
        together = _together(pairs)
        if together is None:
            continue
        ahead, behind = tally(
            (d, bootstrap(pair, "ours", "rivals"))
            for pair in pairs
            if (d := compare(pair, "ours", "rivals")) is not None
        )
        mean = f"{points(together)} [{span(bootstrap(summed(pairs), 'ours', 'rivals'))}]"
        line = f"| {rival} | {len(pairs)} | {mean} | {ahead} | {behind} |"
        told.append((together.mean, line))
    if not told:
        return []
    return [
        f"### `{name}` less each rival{' that may use the pool' if pool else ''}, all regimes",
        "",
        "| rival | regimes | mean | ahead | behind |",
        "|---|---|---|---|---|",
        *(line for _, line in sorted(told)),
    ]


def _duels_table(name: str, pool: bool, duels: Duels) -> list[str]:
    regimes = [r for r in REGIMES if any(r == regime for _, regime in duels)]
    lines = [
        f"### `{name}` less the best rival{' that may use the pool' if pool else ''}",
        "",
        f"| data | {' | '.join(regimes)} |",
        "|---" * (1 + len(regimes)) + "|",
    ]
    for data in dict.fromkeys(data for data, _ in duels):
        found = [duels.get((data, regime)) for regime in regimes]
        cells = ["–" if duel is None else f"{points(duel[1])}, {duel[0]}" for duel in found]
        lines.append(f"| {data} | {' | '.join(cells)} |")
    return lines


def _gap(regimes: Sequence[Pair]) -> list[str]:
    """How much of the way from few labels to all of them each of ours goes at five shots."""
    lines = []
    for data, regime, scored in regimes:
        if regime != "5-shot" or ALL_LABELS not in scored:
            continue
        mean = scored.mean()
        gap = mean[ALL_LABELS] - mean[REAL]
        if gap <= 0:
            continue
        closed = {
            name: (mean[name] - mean[REAL]) / gap
            for name in ("self-training + pool", "diffusion + pool", "diffusion classifier + pool")
            if name in mean
        }
        told = ", ".join(f"{name} {100 * part:.0f} %" for name, part in closed.items())
        lines.append(f"4. {data}, 5 shots, gap of {100 * gap:.1f} points to all labels: {told}.")
    return lines
