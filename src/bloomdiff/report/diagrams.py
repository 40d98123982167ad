"""Further figures of the report: deferral, gains by shots, critical difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.files import atomic_file
from bloomdiff.report.tables import method_name

_TICKS = [m * 10**power for power in range(6) for m in (1, 2, 5)]


def _save(figure: Any, path: str | Path) -> None:
    with atomic_file(path) as temporary:
        # Without the software's name and version, equal figures give equal bytes.
        figure.savefig(temporary, metadata={"Software": None})


def reject_curves(table: pd.DataFrame, path: str | Path) -> None:
    """Draw accuracy against coverage, one line a method; the band is real-only's interval.

    Parameters
    ----------
    table
        `generator, ratio, coverage, mean, low, high`, one ratio a generator.
    path
        PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    for (generator, ratio), part in table.groupby(["generator", "ratio"], sort=False):
        own = part.sort_values("coverage")
        style: dict[str, Any] = {"marker": "o", "ms": 4}
        if generator == "none":
            style |= {"color": "0.35", "linestyle": "--"}
            axes.fill_between(
                100 * own["coverage"],
                100 * own["low"].clip(0, 1),
                100 * own["high"].clip(0, 1),
                color="0.9",
            )
        label = method_name(str(generator), str(ratio))
        axes.plot(100 * own["coverage"], 100 * own["mean"], label=label, **style)
    axes.invert_xaxis()
    axes.set_xlabel("cells that the classifier keeps, %")
    axes.set_ylabel("accuracy of the cells kept, %")
    axes.set_title("Deferring the least confident cells")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def shot_figure(table: pd.DataFrame, path: str | Path) -> None:
    """Draw each class's gain in F1 against its real training cells.

    Parameters
    ----------
    table
        `class, shots, generator, gain, gain_low, gain_high`, one ratio a generator.
    path
        PNG to write.
    """
    from matplotlib.figure import Figure

    names = [name for name in table["generator"].unique() if name != "none"]
    figure = Figure(figsize=(3.1 * max(len(names), 1), 3.6), dpi=130, layout="constrained")
    grid = figure.subplots(1, max(len(names), 1), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, names, strict=False):
        own = table[table["generator"] == name].dropna(subset=["gain"])
        spread = [own["gain"] - own["gain_low"], own["gain_high"] - own["gain"]]
        axes.axhline(0, color="0.35", linestyle="--", lw=1)
        axes.errorbar(
            own["shots"], 100 * own["gain"], yerr=100 * np.array(spread), fmt="o", ms=4, lw=1
        )
        # Intervals of rare classes reach beyond what a gain in F1 can be.
        axes.set_ylim(-60, 60)
        low, high = own["shots"].min() / 1.3, own["shots"].max() * 1.3
        if low > 0:
            axes.set_xscale("log")
        else:  # a class without a training cell
            axes.set_xscale("symlog", linthresh=1)
            low, high = -0.3, max(high, 1.3)
        axes.set_xlim(low, high)
        ticks = [t for t in (0, *_TICKS) if low <= t <= high]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.set_xticks([], minor=True)
        axes.set_title(name)
        axes.set_xlabel("real training cells")
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel("gain in F1, points")
    _save(figure, path)


def critical_difference(table: pd.DataFrame, path: str | Path) -> None:
    """Draw mean ranks on a line; bars join methods that cannot be told apart.

    Parameters
    ----------
    table
        `generator, mean_rank, critical_difference, bars`, best first.
    path
        PNG to write.

    References
    ----------
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
    """
    from matplotlib.figure import Figure

    ranks = table["mean_rank"].to_numpy(dtype=float)
    names = ["real cells only" if n == "none" else str(n) for n in table["generator"]]
    critical = float(table["critical_difference"].iloc[0])
    spans = table.explode("bars").dropna(subset=["bars"]).groupby("bars")["mean_rank"]
    bars = list(zip(spans.min(), spans.max(), strict=True))
    n = len(ranks)
    half = (n + 1) // 2
    figure = Figure(figsize=(7, 1.9 + 0.24 * (half + len(bars))), dpi=130, layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0.6, n + 0.4)
    bottom = -0.7 * (len(bars) + half) - 0.6
    axes.set_ylim(bottom, 2.2)
    axes.hlines(0, 1, n, color="k", lw=1)
    every = 1 + n // 20  # numbers of two digits touch each other on a long scale
    for tick in range(1, n + 1):
        axes.vlines(tick, 0, 0.25, color="k", lw=1)
        if (tick - 1) % every == 0:
            axes.text(tick, 0.35, str(tick), ha="center", va="bottom", fontsize=8)
    shown = min(critical, n - 1)
    axes.hlines(1.5, 1, 1 + shown, color="k", lw=2)
    beyond = "" if critical <= n - 1 else ", wider than the scale"
    axes.text(1, 1.65, f"critical difference {critical:.2f}{beyond}", fontsize=8, va="bottom")
    for level, (first, last) in enumerate(bars):
        y = -0.5 - 0.5 * level
        axes.hlines(y, first - 0.04, last + 0.04, color="0.3", lw=4)
    for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = place < half
        level = place if left else n - 1 - place
        y = -0.6 - 0.5 * len(bars) - 0.7 * level
        edge = 0.95 if left else n + 0.05
        axes.plot([rank, rank, edge], [0, y, y], color="0.5", lw=0.8)
        side = "right" if left else "left"
        text = f"{name} ({rank:.2f})"
        axes.text(edge, y, f" {text} ", ha=side, va="center", fontsize=8, clip_on=False)
    axes.set_xlim(0.95 - 0.35 * n, n + 0.05 + 0.35 * n)
    axes.axis("off")
    _save(figure, path)
