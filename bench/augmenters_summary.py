"""Tables, goals and pictures of the augmenters' benchmark, from its scores alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from augmenters_data import ACROSS, CHOSEN_ON, REGIMES, WITH_VIEWS
from augmenters_goals import Wide, goals_section, pairs_of, wide
from augmenters_methods import ALL_LABELS, METHODS
from augmenters_regimes import regimes_section
from augmenters_views import REAL, compare, points, shots_axis, views_section
from bloomdiff.metrics.ranking import mean_ranks
from bloomdiff.report.diagrams import critical_difference


def summarise(folder: Path) -> str:
    """Write ``augmenters.md`` and the pictures beside ``scores.parquet``; return the text."""
    scores = pd.read_parquet(folder / "scores.parquet")
    if REAL not in set(scores["method"]):
        raise SystemExit(f"{folder / 'scores.parquet'}: no scores of `{REAL}` to compare with")
    scores["regime"] = pd.Categorical(scores["regime"], list(REGIMES), ordered=True)
    lines = ["# Ways to make up for few labelled cells", "", _preamble(scores)]
    primary = scores[scores["classifier"] == "logistic"]
    unseen = scores[~scores["data"].str.removesuffix(WITH_VIEWS).isin(CHOSEN_ON)]
    claimed = unseen[unseen["classifier"] == "logistic"]
    if len(claimed):
        without_views = unseen[~unseen["data"].str.endswith(WITH_VIEWS)]
        logistic, knn = (
            without_views[without_views["classifier"] == name] for name in ("logistic", "knn")
        )
        lines += ["", *goals_section(logistic)]
        lines += ["", *regimes_section(pairs_of(logistic))]
        lines += ["", *regimes_section(pairs_of(knn), ", behind k-NN")]
        for pool in (False, True):
            lines += ["", *_ranks(logistic, pool, folder)]
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


def _table(scores: pd.DataFrame) -> list[str]:
    regimes = [r for r in REGIMES if r in set(scores["regime"])]
    methods = [m for m in (*METHODS, ALL_LABELS) if m in set(scores["method"])]
    wides = {regime: wide(scores[scores["regime"] == regime]) for regime in regimes}
    lines = [f"| method | {' | '.join(regimes)} |", "|---" * (1 + len(regimes)) + "|"]
    for method in methods:
        cells = [_cell(wides[regime], method) for regime in regimes]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _cell(scored: Wide, method: str) -> str:
    if method not in scored or scored[method].isna().all():
        return "–"
    mean = f"{100 * scored[method].mean():.1f}"
    difference = None if method == REAL else compare(scored, method, REAL)
    if difference is None:
        return mean
    return f"{mean} ({points(difference)})"


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
    across = min(3, len(names))
    high = -(-len(names) // across)
    figure = Figure(figsize=(4.2 * across, 3.8 * high + 0.8), layout="constrained")
    grid = figure.subplots(high, across, squeeze=False)
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
