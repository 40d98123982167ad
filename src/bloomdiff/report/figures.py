"""Figures of the report, drawn without a display."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.files import atomic_file


def ratio_curves(table: pd.DataFrame, path: str | Path, *, score: str, title: str) -> None:
    """Draw mean and interval of a score against the ratio, one line a generator.

    Parameters
    ----------
    table
        Of `bloomdiff.experiments.summary.summarise`; its first row is real-only.
    path
        PNG to write.
    score, title
        Name of the score on the vertical axis, and the figure's title.
    """
    from matplotlib.figure import Figure

    ratios = sorted({float(ratio) for ratio in table["ratio"]})
    place = {ratio: position for position, ratio in enumerate(ratios)}
    names = ["synthetic\nonly" if math.isinf(ratio) else f"{ratio:g}" for ratio in ratios]
    figure = Figure(figsize=(8, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    real = table[table["generator"] == "none"].iloc[0]
    axes.axhspan(real["low"], real["high"], color="0.9", zorder=0)
    axes.axhline(real["mean"], color="0.35", linestyle="--", label="real cells only", zorder=1)
    rivals = [name for name in table["generator"].unique() if name != "none"]
    for shift, name in enumerate(rivals):
        part = table[table["generator"] == name]
        # A small shift keeps the intervals of different generators apart.
        x = [place[float(r)] + 0.07 * (shift - (len(rivals) - 1) / 2) for r in part["ratio"]]
        spread = [part["mean"] - part["low"], part["high"] - part["mean"]]
        axes.errorbar(x, part["mean"], yerr=spread, marker="o", ms=4, capsize=2, label=name)
    axes.set_xticks(range(len(ratios)), names)
    axes.set_xlabel("synthetic rows per real training cell")
    axes.set_ylabel(f"{score} on real test cells")
    figure.suptitle(title)
    axes.legend(frameon=False, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_file(path) as temporary:
        # Without the software's name and version, equal figures give equal bytes.
        figure.savefig(temporary, metadata={"Software": None})


def confusion_figure(counts: pd.DataFrame, path: str | Path, *, title: str) -> None:
    """Draw a confusion matrix as shares of the true class.

    Parameters
    ----------
    counts
        Square, rows the true class, columns the predicted one.
    path
        PNG to write.
    title
        The figure's title.
    """
    from matplotlib.figure import Figure

    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    size = 2.2 + 0.42 * len(counts)
    figure = Figure(figsize=(size + 1.2, size), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares.to_numpy(), cmap="Purples", vmin=0, vmax=1)
    # A name with two dollar signs is no formula.
    axes.set_xticks(range(len(counts)), list(counts.columns), rotation=90, parse_math=False)
    axes.set_yticks(range(len(counts)), list(counts.index), parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    for (row, column), share in np.ndenumerate(shares.to_numpy(dtype=float)):
        if share > 0:
            color = "w" if share > 0.5 else "k"
            text = str(counts.iat[row, column])
            axes.text(column, row, text, ha="center", va="center", color=color, size=7)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    with atomic_file(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
