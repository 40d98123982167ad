"""Tables of what `generators.py` measured, and the plot of how costs grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_rel

Result = dict[str, Any]


def report(records: list[Result], out: Path) -> str:
    """Write the tables beside `out` as Markdown and the plot as PNG; give the tables."""
    blocks = []
    for setting in dict.fromkeys(_setting(r) for r in records if r["part"] != "scaling"):
        mine = [r for r in records if _setting(r) == setting]
        rows, dim, classes, threads, device = setting
        head = f"{rows:,} x {dim} rows of {classes} classes, threads: {threads}, {device}"
        blocks += [f"## {head}", *_generators(mine), *_training(mine), *_sampling(mine)]
    blocks += _scaling([r for r in records if r["part"] == "scaling"], out.with_suffix(".png"))
    text = "\n\n".join(block for block in blocks if block)
    out.with_suffix(".md").write_text(text + "\n")
    return text


def _setting(record: Result) -> tuple[Any, ...]:
    return tuple(record[k] for k in ("rows", "dim", "classes", "threads", "device"))


def _part(records: list[Result], part: str) -> list[Result]:
    return [r for r in records if r["part"] == part and "unavailable" not in r]


def _generators(records: list[Result]) -> list[str]:
    lines = [
        "| generator | fit, s | sampled rows/s | fit and sample, s | Fréchet distance"
        " | within the frequent classes |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for r in (r for r in records if r["part"] == "generators"):
        name = r["generator"]
        if r["params"]:
            name += f" ({', '.join(f'{key} {value}' for key, value in r['params'].items())})"
        if "unavailable" in r:
            lines += [f"| {name} | {r['unavailable']} | | | | |"]
            continue
        near = f"{r['frechet'][0]:.2f} | {_mean(r['frechet_class'])}"
        if name == "fresh rows":
            lines += [f"| fresh rows (the floor) | | | | {near} |"]
        else:
            total = r["fit_s"] + r["sample_s"]
            lines += [f"| {name} | {r['fit_s']:.1f} | {r['rows_per_s']:,} | {total:.1f} | {near} |"]
    return ["\n".join(lines)] if len(lines) > 2 else []


def _mean(values: list[float | None]) -> str:
    """Over the draws; no class is frequent in any of them or in all."""
    return "–" if None in values else f"{np.mean(np.array(values, dtype=float)):.1f}"


def _training(records: list[Result]) -> list[str]:
    runs = _part(records, "training")
    if not runs:
        return []
    lines = ["| training steps | fit, s | Fréchet distance | within the frequent classes |"]
    lines += ["|---|---|---|---|"]
    for r in runs:
        lines += [
            f"| {r['params']['n_steps']} | {r['fit_s']:.1f} | {r['frechet'][0]:.3f}"
            f" | {_mean(r['frechet_class'])} |"
        ]
    final = runs[-1]["frechet"][0]
    # From here on: a distance may be small by chance, or before the network has learnt anything.
    beyond = [i for i, r in enumerate(runs) if r["frechet"][0] > 1.05 * final]
    near = runs[beyond[-1] + 1] if beyond else runs[0]
    told = (
        f"Within 5 % of the final distance ({final:.2f}), and staying there, after"
        f" {near['params']['n_steps']} steps: {near['fit_s']:.1f} s. Each count of steps is"
        " a training of its own, with its own decay of the learning rate."
    )
    return ["\n".join(lines), told]


def _sampling(records: list[Result]) -> list[str]:
    runs = sorted(_part(records, "sampling"), key=lambda r: r["params"]["sampling_steps"])
    if not runs:
        return []
    most = np.asarray(runs[-1]["frechet"])
    lines = [
        "| sampling steps | rows/s | Fréchet distance | beyond that of the last row, p"
        " | within the frequent classes |"
    ]
    lines += ["|---|---|---|---|---|"]
    # From the most steps down to the first that are worse: fewer may seem enough by chance.
    enough, worse = runs[-1], False
    for r in reversed(runs):
        distance = np.asarray(r["frechet"])
        p = 1.0 if r is runs[-1] else float(ttest_rel(distance, most, alternative="greater").pvalue)
        # Draws of one seed share their noise, so that even a tiny difference is seen as one.
        worse = worse or (p < 0.05 and distance.mean() > 1.01 * most.mean())
        enough = r if not worse else enough
        lines.insert(
            2,
            f"| {r['params']['sampling_steps']} | {r['rows_per_s']:,} | {distance.mean():.3f}"
            f" | {distance.mean() - most.mean():+.3f}, p = {p:.2g}"
            f" | {_mean(r['frechet_class'])} |",
        )
    told = (
        f"Not measurably worse (1 %, one-sided paired t-test at 5 %) from"
        f" {enough['params']['sampling_steps']} steps on: {enough['rows_per_s']:,} rows/s."
    )
    return ["\n".join(lines), told]


def _scaling(records: list[Result], png: Path) -> list[str]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    runs = _part(records, "scaling")
    panels = {
        "rows": [(r["rows"], r) for r in runs if not r["params"]],
        "steps of the sampler": [
            (r["params"]["sampling_steps"], r) for r in runs if "sampling_steps" in r["params"]
        ],
        "steps of the training": [
            (r["params"]["n_steps"], r) for r in runs if list(r["params"]) == ["n_steps"]
        ],
    }
    curves = {"rows": ("fit_s", "sample_s"), "steps of the sampler": ("sample_s",)}
    names = {"fit_s": "fit", "sample_s": "sample as many rows"}
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    lines = ["| cost | by | seconds | growth: exponent over the last two |", "|---|---|---|---|"]
    for ax, (by, some) in zip(axes, panels.items(), strict=True):
        for kind in curves.get(by, ("fit_s",)):
            points = sorted((size, r[kind]) for size, r in some)
            if len(points) < 2:
                continue
            x, s = np.asarray(points).T
            slope = np.log(s[-1] / s[-2]) / np.log(x[-1] / x[-2])
            ax.plot(x, s, "o-", label=names[kind] if by == "rows" else None)
            ax.plot(x, s[-1] * x / x[-1], ":", color="grey", lw=1)
            told = ", ".join(f"{int(a):,}: {b:.2f}" for a, b in points)
            lines += [f"| {names[kind].split()[0]} | {by} | {told} | {slope:.2f} |"]
        scale = "log" if by == "rows" else "linear"
        ax.set(xlabel=by, ylabel="seconds", xscale=scale, yscale=scale)
        if by != "rows":
            ax.set(xlim=(0, None), ylim=(0, None))
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(frameon=False)
    figure.suptitle("Diffusion: cost by rows and steps; dotted: proportional")
    figure.savefig(png, dpi=150)
    plt.close(figure)
    return ["## How costs grow", "\n".join(lines)] if len(lines) > 2 else []
