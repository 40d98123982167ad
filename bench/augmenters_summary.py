"""Tables, goals and pictures of the augmenters' benchmark, from its scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from augmenters_data import ACROSS, CHOSEN_ON, REGIMES, WITH_VIEWS
from augmenters_methods import ALL_LABELS, METHODS
from augmenters_views import FEW, REAL, compare, points, shots_axis, views_section
from bloomdiff.metrics.ranking import mean_ranks
from bloomdiff.metrics.statistics import Difference
from bloomdiff.report.diagrams import critical_difference

# Named before anything was scored; the diffusion classifiers are reported beside them.
NAMED = {False: "diffusion", True: "diffusion + pool"}
OWN_BAYES = (("diffusion classifier", False), ("diffusion classifier + pool", True))
Wide = pd.DataFrame  # rows are seeds, columns methods


def summarise(folder: Path) -> str:
    """Write ``augmenters.md`` and the pictures beside ``scores.parquet``; return the text."""
    scores = pd.read_parquet(folder / "scores.parquet")
    if REAL not in set(scores["method"]):
        raise SystemExit(f"{folder / 'scores.parquet'}: no scores of `{REAL}` to compare with")
    scores["regime"] = pd.Categorical(scores["regime"], list(REGIMES), ordered=True)
    lines = ["# Ways to make up for few labelled cells", "", _preamble(scores)]
    primary = scores[scores["classifier"] == "logistic"]
    seen = primary["data"].str.removesuffix(WITH_VIEWS)
    claimed = primary[~seen.isin(CHOSEN_ON)]
    if len(claimed):
        with_views = claimed["data"].str.endswith(WITH_VIEWS)
        lines += ["", "## Goals", "", *_goals(claimed[~with_views])]
        for pool in (False, True):
            lines += ["", *_ranks(claimed[~with_views], pool, folder)]
        elsewhere = claimed["data"].str.removesuffix(WITH_VIEWS).isin(ACROSS)
        lines += views_section(claimed[~elsewhere], folder / "views.png")
        lines += views_section(
            claimed[elsewhere], folder / "views_across.png", ", across laboratories"
        )
    for classifier, part in scores.groupby("classifier", sort=False):
        for data, of_data in part.groupby("data", sort=False):
            base = str(data).removesuffix(WITH_VIEWS)
            chosen = ", on whose cells the model was chosen" if base in CHOSEN_ON else ""
            lines += ["", f"## {data}, {classifier}{chosen}", "", *_table(of_data)]
    draw_curves(primary[~primary["data"].str.endswith(WITH_VIEWS)], folder / "curves.png")
    text = "\n".join(lines) + "\n"
    (folder / "augmenters.md").write_text(text, encoding="utf-8")
    return text


def _preamble(scores: pd.DataFrame) -> str:
    by = ["data", "regime", "classifier"]
    seeds = scores.groupby(by, observed=True)["seed"].nunique()
    n = f"{seeds.min()} to {seeds.max()}" if seeds.min() < seeds.max() else f"{seeds.max()}"
    return (
        f"Macro-F1 on real test cells, in points, mean over {n} divisions"
        " of each set into labelled cells, unlabelled pool and test cells. In brackets"
        " the gain over real cells alone and its 95 % interval (corrected resampled t-interval"
        " over the divisions). Every method is tuned inside the labelled cells with the same"
        " number of configurations. Methods with `+ pool` also see the training cells whose labels"
        " are hidden; `all labels` is real only with those labels uncovered. A method that is a"
        " classifier by itself stands among those of the logistic regression."
        + _fewer_divisions(scores, by)
    )


def _fewer_divisions(scores: pd.DataFrame, by: list[str]) -> str:
    """Names the methods that a run has not scored on all divisions, if there are any."""
    found = scores.groupby([*by, "method"], observed=True)["seed"].nunique().reset_index()
    most = found.groupby(by, observed=True)["seed"].transform("max")
    fewer = found[found["seed"] < most].groupby("method")["seed"].agg(["min", "max"])
    told = [
        f"`{name}` on {low} to {high}" if low < high else f"`{name}` on {low}"
        for name, low, high in fewer.itertuples()
    ]
    if not told:
        return ""
    return f" Scored on fewer, so that only their gains can be compared: {', '.join(told)}."


def _wide(scores: pd.DataFrame) -> Wide:
    return scores.pivot(index="seed", columns="method", values="macro_f1")


def _table(scores: pd.DataFrame) -> list[str]:
    regimes = [r for r in REGIMES if r in set(scores["regime"])]
    methods = [m for m in (*METHODS, ALL_LABELS) if m in set(scores["method"])]
    wides = {regime: _wide(scores[scores["regime"] == regime]) for regime in regimes}
    lines = [f"| method | {' | '.join(regimes)} |", "|---" * (1 + len(regimes)) + "|"]
    for method in methods:
        cells = [_cell(wides[regime], method) for regime in regimes]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _cell(wide: Wide, method: str) -> str:
    if method not in wide or wide[method].isna().all():
        return "–"
    mean = f"{100 * wide[method].mean():.1f}"
    difference = None if method == REAL else compare(wide, method, REAL)
    if difference is None:
        return mean
    return f"{mean} ({points(difference)})"


# ---------------------------------------------------------------------------------------- goals
def _regimes(scores: pd.DataFrame) -> list[tuple[str, str, Wide]]:
    return [
        (str(data), str(regime), _wide(part))
        for (data, regime), part in scores.groupby(["data", "regime"], observed=True)
    ]


def _rivals(pool: bool, wide: Wide) -> list[str]:
    """Those without a pool, or those that may use the same pool, if scored on all divisions."""
    return [
        name
        for name, method in METHODS.items()
        if not method.ours and (pool or not method.pool) and name != REAL and name in wide
        # The mean over other divisions than ours is not to be compared.
        if wide[name].notna().all()
    ]


def _best_rival(wide: Wide, pool: bool) -> str | None:
    """The rival of the highest mean, chosen on the very scores: the odds are the rival's."""
    rivals = _rivals(pool, wide)
    return str(wide[rivals].mean().idxmax()) if rivals else None


def _goals(scores: pd.DataFrame) -> list[str]:
    regimes = _regimes(scores)
    lines = []
    for method in NAMED.values():
        found = [(d, r, compare(w, method, REAL)) for d, r, w in regimes]
        told = [(d, r, c) for d, r, c in found if c is not None]
        worse = [f"{d} {r} ({points(c)})" for d, r, c in told if c.high < 0]
        better = sum(c.low > 0 for _, _, c in told)
        lines.append(
            f"1. `{method}` against real only, {len(told)} regimes: significantly better in"
            f" {better}, significantly worse in {len(worse)}{': ' if worse else ''}"
            f"{'; '.join(worse)}."
        )
    for name, pool in (*((n, p) for p, n in NAMED.items()), *OWN_BAYES):
        number, wanted = (3, FEW) if pool else (2, tuple(REGIMES))
        duels: list[tuple[str, Difference]] = []
        sides: list[Wide] = []
        for data, regime, wide in regimes:
            rival = _best_rival(wide, pool) if regime in wanted else None
            difference = None if rival is None else compare(wide, name, rival)
            if difference is not None:
                duels.append((f"{data} {regime} against {rival}", difference))
                sides.append(wide[[name, rival]].set_axis(["ours", "rivals"], axis=1))
        means = [d.mean for _, d in duels]
        ahead = sum(d.low > 0 for _, d in duels)
        if not means:
            continue
        # Division by division: regimes of one set share its cells, and those of a seed their split.
        together = compare(sum(sides[1:], sides[0]) / len(sides), "ours", "rivals")
        average = f"{100 * np.mean(means):+.1f}" if together is None else points(together)
        lines.append(
            f"{number}. `{name}` against the best rival of each regime"
            f"{' that may use the pool, 1 to 5 shots' if pool else ', none with a pool'}:"
            f" {average} points on average, interval above zero in {ahead}"
            f" of {len(means)}, from {100 * min(means):+.1f} to {100 * max(means):+.1f}. "
            + "; ".join(f"{what} {points(d)}" for what, d in duels)
            + "."
        )
    lines += _gap(regimes)
    return lines


def _gap(regimes: Sequence[tuple[str, str, Wide]]) -> list[str]:
    """How much of the way from few labels to all of them each of ours goes at five shots."""
    lines = []
    for data, regime, wide in regimes:
        if regime != "5-shot" or ALL_LABELS not in wide:
            continue
        mean = wide.mean()
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


def _ranks(scores: pd.DataFrame, pool: bool, folder: Path) -> list[str]:
    """Mean ranks over data sets and regimes, of the methods that have all divisions of each."""
    by = scores.pivot_table(
        index=["data", "regime"],
        columns="method",
        values="macro_f1",
        aggfunc=["mean", "count"],
        observed=True,
    )
    means, divisions = by["mean"], by["count"]
    named = [m for m in METHODS if m in means and (pool or not METHODS[m].pool)]
    means = means[[m for m in named if (divisions[m] == divisions[REAL]).all()]]
    if min(means.shape) < 2:
        return []
    found = mean_ranks(means.to_numpy(), list(means.columns))
    title = "with the pool" if pool else "without the pool"
    picture = f"ranks_{'pool' if pool else 'no_pool'}.png"
    table = pd.DataFrame(
        {"generator": list(found["ranks"]), "mean_rank": list(found["ranks"].values())}
    ).assign(critical_difference=found["critical_difference"])
    table["bars"] = [
        [k for k, group in enumerate(found["groups"]) if name in group]
        for name in table["generator"]
    ]
    critical_difference(table, folder / picture)
    lines = [
        f"## Mean ranks {title}",
        "",
        f"{len(means)} pairs of data set and regime, Friedman p = {found['friedman_p']:.2g},"
        f" critical difference {found['critical_difference']:.2f}.",
        "",
        f"![critical differences {title}]({picture})",
        "",
    ]
    return lines + [f"- {name}: {rank:.2f}" for name, rank in found["ranks"].items()]


# -------------------------------------------------------------------------------------- picture
LINES = {
    REAL: ("#555555", "o", "-"),
    "smote": ("#E69F00", "s", "--"),
    "diffusion": ("#56B4E9", "^", "-"),
    "label spreading + pool": ("#CC79A7", "v", "--"),
    "self-training + pool": ("#D55E00", "D", "--"),
    "diffusion + pool": ("#0072B2", "o", "-"),
    "diffusion classifier + pool": ("#009E73", "*", "-"),
    ALL_LABELS: ("#000000", "", ":"),
}


def draw_curves(scores: pd.DataFrame, path: Path) -> None:
    """Macro-F1 against shots, a panel for each data set."""
    from matplotlib.figure import Figure

    shots = {name: r.shots for name, r in REGIMES.items() if r.imbalance is None}
    scores = scores[scores["regime"].isin(list(shots))]
    names = list(dict.fromkeys(scores["data"]))
    if not names:
        return
    wide = min(3, len(names))
    high = -(-len(names) // wide)
    figure = Figure(figsize=(4.2 * wide, 3.8 * high + 0.8), layout="constrained")
    grid = figure.subplots(high, wide, squeeze=False)
    for axis in grid.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(grid.flat, names, strict=False):
        part = scores[scores["data"] == name]
        means = part.pivot_table(
            index="regime", columns="method", values="macro_f1", observed=True
        ).mul(100)
        for method, (colour, marker, style) in LINES.items():
            if method in means:
                x = [shots[str(r)] for r in means.index]
                axis.plot(x, means[method], style, color=colour, marker=marker, label=method)
        shots_axis(axis, name, list(shots.values()))
    for axis in grid[:, 0]:
        axis.set_ylabel("macro-F1 on real test cells, points")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=130)
