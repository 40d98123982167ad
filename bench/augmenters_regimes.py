"""The goals regime by regime: one rival for all sets of cells, and the mean over the sets.

The duels of `augmenters_goals` set each pair of set and regime beside the rival that did best on
that very pair. A user settles on one method before the labels are there; so here a regime's rival
is the same on every set, the one with the highest mean over them, still picked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from augmenters_data import REGIMES
from augmenters_goals import (
    BESIDE,
    NAMED,
    Interval,
    Pair,
    Wide,
    best_rival,
    bootstrap,
    rivals_of,
    span,
    summed,
    tally,
)
from augmenters_views import FEW, REAL, compare, points
from bloomdiff.metrics.statistics import Difference

OURS = {pool: [NAMED[pool], *(name for name, p in BESIDE if p == pool)] for pool in NAMED}
ABOUT = (
    "Mean over the sets of a regime, division by division. The rival is one method for all sets,"
    " the one with the highest mean over them, picked afterwards in its favour. Intervals as above."
)


@dataclass(frozen=True)
class Gain:
    """One of ours less another method, over all sets of a regime.

    Attributes
    ----------
    other
        The other method.
    difference
        Mean and corrected interval.
    resampled
        Interval of the paired bootstrap over divisions.
    """

    other: str
    difference: Difference
    resampled: Interval

    @classmethod
    def of(cls, over_sets: Wide, name: str, other: str) -> Gain | None:
        """None where they do not share two divisions."""
        difference = compare(over_sets, name, other)
        if difference is None:
            return None
        return cls(other, difference, bootstrap(over_sets, name, other))

    def __str__(self) -> str:
        return f"{points(self.difference)} [{span(self.resampled)}]"


def regimes_section(pairs: Sequence[Pair], title: str = "") -> list[str]:
    """A line for each of ours, and a table without and one with the pool; none for one set."""
    sets = {r: [scored for _, of, scored in pairs if of == r] for r in REGIMES}
    sets = {regime: scored for regime, scored in sets.items() if len(scored) > 1}
    lines: list[str] = []
    tables: list[str] = []
    for pool, ours in OURS.items():
        heads = ["regime", "sets"]
        rows = {regime: [regime, str(len(scored))] for regime, scored in sets.items()}
        for name in ours:
            duels = {regime: _duel(scored, name, pool) for regime, scored in sets.items()}
            fought = {regime: duel for regime, duel in duels.items() if duel is not None}
            if not fought:
                continue
            lines.append(_counted(name, pool, {r: rival for r, (_, rival) in fought.items()}))
            heads += [f"`{name}` less {REAL}", "less the best rival"]
            for regime, duel in duels.items():
                real, rival = duel or (None, None)
                rows[regime] += [f"{real or '–'}", f"{rival}, {rival.other}" if rival else "–"]
        if len(heads) > 2:
            tables += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
            tables += [f"| {' | '.join(cells)} |" for cells in rows.values()]
    return [f"## Regime by regime{title}", "", ABOUT, "", *lines, *tables] if lines else []


def _duel(sets: Sequence[Wide], name: str, pool: bool) -> tuple[Gain | None, Gain] | None:
    """Ours less real cells alone, and less the best rival of those scored on every set."""
    if any(name not in scored or REAL not in scored for scored in sets):
        return None
    everywhere = set.intersection(*(set(rivals_of(scored, pool)) for scored in sets))
    over_sets = summed([scored[[*sorted(everywhere), name, REAL]] for scored in sets])
    rival = best_rival(over_sets, pool)
    gain = None if rival is None else Gain.of(over_sets, name, rival)
    return None if gain is None else (Gain.of(over_sets, name, REAL), gain)


def _counted(name: str, pool: bool, gains: Mapping[str, Gain]) -> str:
    few = [gain for regime, gain in gains.items() if not pool or regime in FEW]
    ahead, behind = tally((gain.difference, gain.resampled) for gain in few)
    means = [f"{100 * mean:+.1f}" for mean in sorted(gain.difference.mean for gain in few)]
    which = " that may use the pool, 1 to 5 shots" if pool else ", none with a pool"
    reached = f", from {means[0]} to {means[-1]} points" if means else ""
    return (
        f"{3 if pool else 2}. `{name}` against the best rival of each regime{which}:"
        f" ahead in {ahead} and behind in {behind} of {len(few)}{reached}."
    )
