"""What whitening by the cells' own views adds, method by method, from the scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augmenters_data import REGIMES, WITH_VIEWS
from augmenters_methods import METHODS, VIEW_ROWS
from bloomdiff.metrics.statistics import Difference, paired_difference

TEST_FRACTION = 1 / 3
REAL = "real only"
OURS = "diffusion classifier + pool"
SELF = "self-training + pool"
OURS_NAMED = (
    ("diffusion", False),
    ("diffusion classifier", False),
    ("diffusion + pool", True),
    (OURS, True),
)
FEW = ("1-shot", "2-shot", "5-shot")


def compare(wide: pd.DataFrame, method: str, other: str) -> Difference | None:
    """Difference of two columns over the seeds that both have; None below two seeds."""
    if method not in wide or other not in wide:
        return None
    both = wide[[method, other]].dropna()
    if len(both) < 2:
        return None
    return paired_difference(both[method].to_numpy(), both[other].to_numpy(), TEST_FRACTION)


def points(d: Difference) -> str:
    """A difference of shares in points, with its interval."""
    return f"{100 * d.mean:+.1f}, {100 * d.low:+.1f} to {100 * d.high:+.1f}"


def views_section(scores: pd.DataFrame, picture: Path, where: str = "") -> list[str]:
    """What the views add to each method, and the best methods with and without them.

    `where` ends the title.
    """
    seen = scores["data"].str.endswith(WITH_VIEWS)
    if not seen.any():
        return []
    base = scores["data"].str.removesuffix(WITH_VIEWS)
    scores = scores.assign(
        data=base, method=scores["method"].where(~seen, scores["method"] + WITH_VIEWS)
    )
    pairs = {
        (str(data), str(regime)): part.pivot(index="seed", columns="method", values="macro_f1")
        for (data, regime), part in scores.groupby(["data", "regime"], observed=True)
    }
    # The divisions that were scored with views, and the methods that have all of them: means of
    # other divisions are not to be set beside these.
    real = f"{REAL}{WITH_VIEWS}"
    pairs = {
        key: wide[wide[real].notna()].dropna(axis=1) for key, wide in pairs.items() if real in wide
    }
    told = sorted({len(wide) for wide in pairs.values()})
    lines = [
        "",
        f"## Whitened by views{where}",
        "",
        "Every row is a method in the units of the views of its own cells (labelled ones, with the"
        " pool its cells too) less the same method without; `views as rows`, the usual"
        " augmentation, less real only. Points, mean over pairs of data set and regime, of"
        f" {' or '.join(map(str, told))} divisions each; better and worse count the pairs whose"
        " 95 % interval leaves zero out.",
        "",
        "| method | pairs | mean | least | most | better | worse |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in METHODS:
        without = REAL if name == VIEW_ROWS else name
        found = [compare(wide, f"{name}{WITH_VIEWS}", without) for wide in pairs.values()]
        gains = [d for d in found if d is not None]
        if gains:
            means = [100 * d.mean for d in gains]
            lines.append(
                f"| {name} | {len(gains)} | {np.mean(means):+.1f} | {min(means):+.1f} |"
                f" {max(means):+.1f} | {sum(d.low > 0 for d in gains)} |"
                f" {sum(d.high < 0 for d in gains)} |"
            )
    lines += ["", *_by_set(pairs), "", *_duels(pairs)]
    columns = (REAL, f"{VIEW_ROWS}{WITH_VIEWS}", f"{REAL}{WITH_VIEWS}")
    pooled = (SELF, f"{SELF}{WITH_VIEWS}", OURS, f"{OURS}{WITH_VIEWS}")
    lines += [
        "",
        f"| data | regime | {' | '.join(map(_told, (*columns, *pooled)))} | last less first |",
        "|---" * (3 + len(columns) + len(pooled)) + "|",
    ]
    for (data, regime), wide in pairs.items():
        cells = [f"{100 * wide[c].mean():.1f}" if c in wide else "–" for c in (*columns, *pooled)]
        gain = compare(wide, pooled[-1], REAL)
        lines.append(
            f"| {data} | {regime} | {' | '.join(cells)} | {'–' if gain is None else points(gain)} |"
        )
    _draw(pairs, picture)
    return lines


def _told(column: str) -> str:
    """A column's name as readers see it."""
    name = column.removesuffix(WITH_VIEWS)
    return name if name in (column, VIEW_ROWS) else f"{name}, whitened"


def _by_set(pairs: dict[tuple[str, str], pd.DataFrame]) -> list[str]:
    """Gain of every method on every set, a division's mean over all regimes being one value."""
    sets = list(dict.fromkeys(data for data, _ in pairs))
    lines = [
        f"| mean of all regimes | {' | '.join(sets)} |",
        "|---" * (1 + len(sets)) + "|",
    ]
    for name in METHODS:
        cells = []
        for data in sets:
            both = [f"{name}{WITH_VIEWS}", REAL if name == VIEW_ROWS else name]
            wides = [wide for (d, _), wide in pairs.items() if d == data]
            if not all(set(both) <= set(wide) for wide in wides):
                cells.append("–")
                continue
            # A division that a regime lacks becomes NaN in the sum, and is left out.
            total = sum((wide[both] for wide in wides[1:]), start=wides[0][both])
            found = compare(total / len(wides), *both)
            cells.append("–" if found is None else points(found))
        if set(cells) != {"–"}:
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _duels(pairs: dict[tuple[str, str], pd.DataFrame]) -> list[str]:
    """Ours with the views against the best rival, once without them and once whitened alike."""
    lines = []
    for name, pool in OURS_NAMED:
        for alike in (False, True):
            duels = []
            for (_, regime), wide in pairs.items():
                if pool and regime not in FEW:
                    continue
                ours = f"{name}{WITH_VIEWS}"
                rivals = [
                    f"{rival}{WITH_VIEWS}" if alike else rival
                    for rival, method in METHODS.items()
                    if not method.ours and (pool or not method.pool) and not method.view_rows
                ]
                rivals = [r for r in (*rivals, f"{VIEW_ROWS}{WITH_VIEWS}") if r in wide]
                if ours not in wide or not rivals:
                    continue
                found = compare(wide, ours, str(wide[rivals].mean().idxmax()))
                duels += [] if found is None else [found]
            if duels:
                means = [100 * d.mean for d in duels]
                lines.append(
                    f"- `{name}` with views against the best rival"
                    f"{' that may use the pool, 1 to 5 shots' if pool else ', none with a pool'},"
                    f" {'whitened alike' if alike else 'without the whitening'} (or `{VIEW_ROWS}`):"
                    f" {np.mean(means):+.1f} on average, interval above zero in"
                    f" {sum(d.low > 0 for d in duels)} of {len(duels)}, below in"
                    f" {sum(d.high < 0 for d in duels)}."
                )
    return lines


LINES = {
    REAL: ("#555555", "o", "--"),
    f"{REAL}{WITH_VIEWS}": ("#555555", "o", "-"),
    f"{VIEW_ROWS}{WITH_VIEWS}": ("#E69F00", "s", ":"),
    SELF: ("#D55E00", "D", "--"),
    f"{SELF}{WITH_VIEWS}": ("#D55E00", "D", "-"),
    OURS: ("#009E73", "*", "--"),
    f"{OURS}{WITH_VIEWS}": ("#009E73", "*", "-"),
}


def shots_axis(axis: Any, title: str, shots: Sequence[int | None]) -> None:
    """Labelled cells a class along a logarithmic axis."""
    axis.set(xscale="log", title=title, xlabel="labelled cells a class")
    axis.set_xticks(shots, [str(k) for k in shots])
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def _draw(pairs: dict[tuple[str, str], pd.DataFrame], path: Path) -> None:
    """Macro-F1 against shots, a panel for each data set; full lines have the views."""
    from matplotlib.figure import Figure

    shots = {name: r.shots for name, r in REGIMES.items() if r.imbalance is None}
    names = list(dict.fromkeys(data for data, _ in pairs))
    high = -(-len(names) // 2)
    figure = Figure(figsize=(9, 3.8 * high + 0.8), layout="constrained")
    grid = figure.subplots(high, 2, squeeze=False)
    for axis in grid.flat[len(names) :]:
        axis.set_axis_off()
    for axis, data in zip(grid.flat, names, strict=False):
        means = pd.DataFrame(
            {shots[r]: wide.mean() for (d, r), wide in pairs.items() if d == data and r in shots}
        ).T.mul(100)
        for method, (colour, marker, style) in LINES.items():
            if method in means:
                axis.plot(means[method], style, color=colour, marker=marker, label=_told(method))
        shots_axis(axis, data, list(shots.values()))
    for axis in grid[:, 0]:
        axis.set_ylabel("macro-F1 on real test cells, points")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=130)
