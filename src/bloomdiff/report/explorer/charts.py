"""Charts as plain Plotly figures (`data`, `layout`), for the page's script to draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.report.explorer.scene import full_name

# Paul Tol's "muted" scheme: told apart with any of the common colour deficiencies.
PALETTE = (
    *("#332288", "#cc6677", "#117733", "#aa4499", "#88ccee"),
    *("#999933", "#44aa99", "#882255", "#ddcc77"),
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_GREY = "#555555"
_BINS = 10

Chart = dict[str, Any]


def ratio_chart(table: pd.DataFrame, *, beforehand: str) -> Chart:
    """Mean and interval of macro-F1 against the ratio, one band a generator.

    Parameters
    ----------
    table
        Of `bloomdiff.experiments.summary.summarise`; its first row is real-only.
    beforehand
        The generator that was named beforehand: its line is the thickest.
    """
    ratios = sorted({float(ratio) for ratio in table["ratio"] if float(ratio) > 0})
    ticks = ["synthetic only" if math.isinf(ratio) else f"{ratio:g}" for ratio in ratios]
    place = dict(zip(ratios, range(len(ratios)), strict=True))
    real = table[table["generator"] == "none"].iloc[0]
    ends = pd.DataFrame([real, real]).assign(at=[-0.3, len(ratios) - 0.7])
    traces = _band(ends, "real cells only", _GREY, "dash", 2)
    traces[-1]["mode"] = "lines"
    names = [name for name in table["generator"].unique() if name != "none"]
    for number, name in enumerate(names):
        own = table[table["generator"] == name]
        own = own.assign(at=[place[float(ratio)] for ratio in own["ratio"]])
        colour, dash = PALETTE[number % len(PALETTE)], _DASHES[number % len(_DASHES)]
        traces += _band(own, str(name), colour, dash, 4 if name == beforehand else 2)
    return {
        "data": traces,
        "layout": {
            "xaxis": {
                "title": {"text": "synthetic cells per real training cell"},
                "tickvals": list(place.values()),
                "ticktext": ticks,
                "zeroline": False,
            },
            "yaxis": {"title": {"text": "macro-F1 on real test cells, points"}},
        },
    }


def _band(own: pd.DataFrame, name: str, colour: str, dash: str, width: int) -> list[Chart]:
    """A line with its interval; the band hides and shows with the line."""
    at = own["at"].tolist()
    mean, low, high = (_points(own[column]) for column in ("mean", "low", "high"))
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "x": at,
        "y": mean,
        "line": {"color": colour, "dash": dash, "width": width},
        "marker": {"size": 6},
        "customdata": [list(pair) for pair in zip(low, high, strict=True)],
        "hovertemplate": "%{y:.1f} [%{customdata[0]}, %{customdata[1]}]",
    }
    if any(value is None for value in (*low, *high)):
        return [line]
    band = {
        "type": "scatter",
        "mode": "lines",
        "legendgroup": name,
        "showlegend": False,
        "x": at + at[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": _faint(colour),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    return [band, line]


def _points(shares: pd.Series) -> list[float | None]:
    return [None if math.isnan(v) else round(100 * v, 1) for v in shares.astype(float)]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.10)"


def confusion_chart(counts: pd.DataFrame) -> Chart:
    """Confusion matrix as shares of the true class, the counts on hover.

    Parameters
    ----------
    counts
        Square, rows the true class, columns the predicted one.
    """
    totals = counts.sum(axis=1)
    shares = 100 * counts.div(totals.clip(lower=1), axis=0)
    names = [full_name(str(name)) for name in counts.columns]
    texts = [
        [
            f"{n} of {total} {_plain(true)}<br>called {_plain(called)}: {share:.0f} %"
            for called, n, share in zip(names, row, of_row, strict=True)
        ]
        for true, total, row, of_row in zip(
            names, totals, counts.to_numpy(), shares.to_numpy(), strict=True
        )
    ]
    steps = list(range(len(names)))
    ticks = {
        "tickvals": steps,
        "ticktext": [_plain(name) for name in names],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }
    return {
        "data": [
            {
                "type": "heatmap",
                "x": steps,
                "y": steps,
                "z": shares.round(1).to_numpy().tolist(),
                "text": counts.astype(str).where(counts > 0, "").to_numpy().tolist(),
                "texttemplate": "%{text}",
                "textfont": {"size": 9},
                "hovertext": texts,
                "hovertemplate": "%{hovertext}<extra></extra>",
                "colorscale": [[0, "#ffffff"], [1, "#332288"]],
                "zmin": 0,
                "zmax": 100,
                "xgap": 1,
                "ygap": 1,
                "showscale": False,
            }
        ],
        "layout": {
            "xaxis": {**ticks, "title": {"text": "called", "standoff": 10}, "tickangle": -60},
            "yaxis": {**ticks, "title": {"text": "true", "standoff": 10}, "autorange": "reversed"},
        },
    }


def reliability_chart(
    judged: dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]],
) -> Chart:
    """How often the classifier is right when it is so sure.

    Parameters
    ----------
    judged
        Method to whether each test cell was called rightly, and the confidence of the call; real
        cells only comes first, as in the ratios' chart, and the others have its colours.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks: reliability diagrams.
    """
    diagonal = {"color": _GREY, "dash": "dash", "width": 1}
    traces: list[Chart] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "as sure as right",
            "x": [0, 100],
            "y": [0, 100],
            "line": diagonal,
            "hoverinfo": "skip",
        }
    ]
    for number, (name, (correct, confidence)) in enumerate(judged.items()):
        bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
        counts = np.bincount(bins, minlength=_BINS)
        filled = np.flatnonzero(counts)
        right = np.bincount(bins, weights=correct, minlength=_BINS)[filled] / counts[filled]
        sure = np.bincount(bins, weights=confidence, minlength=_BINS)[filled] / counts[filled]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": np.round(100 * sure, 1).tolist(),
                "y": np.round(100 * right, 1).tolist(),
                "customdata": counts[filled].tolist(),
                "line": {
                    "color": PALETTE[(number - 1) % len(PALETTE)] if number else _GREY,
                    "dash": _DASHES[(number - 1) % len(_DASHES)] if number else "solid",
                },
                "hovertemplate": "%{x:.0f} % sure, %{y:.0f} % right (%{customdata} cells)",
            }
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": "how sure the classifier is, %"}, "range": [0, 101]},
            "yaxis": {"title": {"text": "how often it is right, %"}, "range": [0, 101]},
        },
    }


def _plain(text: str) -> str:
    """Without the signs that Plotly would read as mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
