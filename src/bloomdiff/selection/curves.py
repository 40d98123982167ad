"""What replays say: area under the curve, labels needed, when each class was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.metrics.statistics import corrected_interval
from bloomdiff.selection.geometry import Index
from bloomdiff.selection.simulation import Replay

Doubles = npt.NDArray[np.float64]
SHARES = (0.9, 0.95)
FOUND = (1, 5)


def area(budget: Doubles, score: Doubles) -> float:
    """Mean height of a curve between its first and last budget, by the trapezoidal rule."""
    if len(budget) == 1:
        return float(score[0])
    return float(np.trapezoid(score, budget) / (budget[-1] - budget[0]))


def labels_needed(budget: Doubles, score: Doubles, goal: float) -> float:
    """Budget at which a curve first reaches `goal`, between steps by a line; infinite if never."""
    at = np.flatnonzero(score >= goal)
    if not len(at):
        return float("inf")
    i = int(at[0])
    if i == 0:
        return float(budget[0])
    share = (goal - score[i - 1]) / (score[i] - score[i - 1])
    return float(budget[i - 1] + share * (budget[i] - budget[i - 1]))


def found_at(pool: EmbeddingSet, order: Index) -> dict[tuple[str, int], float]:
    """Labels asked for until the first and the fifth cell of each class, by class and number.

    Infinite where the order ends before; left out where the pool has fewer such cells.
    """
    truth = pool.label
    found: dict[tuple[str, int], float] = {}
    for name in np.unique(truth):
        at = np.flatnonzero(truth[order] == name)
        for k in FOUND:
            if (truth == name).sum() >= k:
                found[str(name), k] = float(at[k - 1] + 1) if len(at) >= k else float("inf")
    return found


def curve_table(played: Replay) -> pd.DataFrame:
    """One row a step: `budget, fields`, and each score."""
    rows = [{"budget": s.budget, "fields": s.fields, **s.scores} for s in played.steps]
    return pd.DataFrame(rows)


def outcome(pool: EmbeddingSet, played: Replay, full: float, score: str) -> dict[str, float]:
    """The figures of one replay.

    Parameters
    ----------
    pool, played
        The pool and its replay.
    full
        The score with every label of the pool.
    score
        Name of the score.
    """
    curve = curve_table(played)
    budget = curve["budget"].to_numpy(dtype=np.float64)
    height = curve[score].to_numpy(dtype=np.float64)
    figures = {"area": area(budget, height), "final": float(height[-1]), "full": full}
    for share in SHARES:
        figures[f"labels_{share:.0%}"] = labels_needed(budget, height, share * full)
    times = found_at(pool, played.order)
    for k in FOUND:
        figures[f"all_found_{k}"] = max((v for (_, n), v in times.items() if n == k), default=0.0)
    if np.isfinite(curve["fields"]).all():
        figures["fields"] = float(curve["fields"].iloc[-1])
    return figures


def interval(
    values: Sequence[float] | Doubles, confidence: float, test_fraction: float
) -> tuple[float, float, float]:
    """Mean and corrected resampled t-interval over seeds; the bounds are NaN with one seed.

    Each seed draws its test cells from the same set, so that seeds are not independent; Student's
    interval would be 2.4 times too narrow for ten seeds that test on a third each.

    Parameters
    ----------
    values
        One for each seed.
    confidence
        Coverage.
    test_fraction
        Share of the cells that a seed tests on.
    """
    found = corrected_interval(np.asarray(values), test_fraction, confidence=confidence)
    return found.mean, found.low, found.high


def summarise(
    outcomes: pd.DataFrame, *, confidence: float, test_fraction: float, baseline: str = "random"
) -> pd.DataFrame:
    """One row a strategy, the largest area first.

    Parameters
    ----------
    outcomes
        `strategy, seed` and the figures of `outcome`; every strategy has the same seeds.
    confidence, test_fraction
        Of the intervals, see `interval`.
    baseline
        The strategy that the others are compared with, seed by seed.

    Returns
    -------
    DataFrame
        Area with its interval; its gain over the baseline with its interval; medians of labels
        needed and of the budgets until every class was found: these may be infinite, so that a
        mean would say nothing.
    """
    rows = []
    by = outcomes.set_index(["strategy", "seed"]).sort_index()
    base = by.loc[baseline, "area"]
    medians = [c for c in outcomes.columns if c.startswith(("labels_", "all_found_", "fields"))]
    for name in sorted(set(outcomes["strategy"])):
        part = by.loc[name]
        mean, low, high = interval(part["area"].to_numpy(), confidence, test_fraction)
        over = (part["area"] - base).to_numpy()
        gain, gain_low, gain_high = interval(over, confidence, test_fraction)
        rows.append(
            {
                "strategy": name,
                "seeds": len(part),
                "area": mean,
                "area_low": low,
                "area_high": high,
                "gain": gain,
                "gain_low": gain_low,
                "gain_high": gain_high,
                "final": float(part["final"].mean()),
                "full": float(part["full"].mean()),
                **{name: float(part[name].median()) for name in medians},
            }
        )
    return pd.DataFrame(rows).sort_values("area", ascending=False, ignore_index=True)


def to_markdown(summary: pd.DataFrame, *, score: str, confidence: float) -> str:
    """The summary as a table, with what its columns mean."""
    heads = {
        "labels_90%": "labels to 90 %",
        "labels_95%": "labels to 95 %",
        "all_found_1": "first of every class",
        "all_found_5": "fifth of every class",
        "fields": "fields opened",
    }
    shown = {name: head for name, head in heads.items() if name in summary}
    names = ["strategy", "area", "gain over random", *shown.values()]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in summary.to_dict(orient="records"):
        cells = [
            str(row["strategy"]),
            f"{row['area']:.3f} {_spelled(row['area_low'], row['area_high'], '.3f')}",
            f"{row['gain']:+.3f} {_spelled(row['gain_low'], row['gain_high'], '+.3f')}",
            *("never" if np.isinf(row[name]) else f"{row[name]:.0f}" for name in shown),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    many = "seed" if summary["seeds"].min() == 1 else "seeds"
    seeds, full = int(summary["seeds"].min()), summary["full"].mean()
    lines += [
        "",
        f"Area under the curve of {score} over the budget: mean of {seeds} {many}, "
        f"{confidence:.0%} interval (corrected resampled t); gains are paired by seed. Labels to a "
        f"share of the score with all labels ({full:.3f}) and until every class was found: "
        "medians.",
    ]
    return "\n".join(lines) + "\n"


def _spelled(low: float, high: float, form: str) -> str:
    return "[no interval]" if np.isnan(low) else f"({low:{form}} to {high:{form}})"
