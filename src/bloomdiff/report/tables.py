"""Tables of the report: as aligned text for a terminal, as Markdown for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd


def ratio_grid(table: pd.DataFrame, confidence: float) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of generators against ratios: mean and interval, in points.

    Parameters
    ----------
    table
        Of `bloomdiff.experiments.summary.summarise`.
    confidence
        Coverage of its intervals; one less it is the error rate behind the marks.
    """
    ratios = sorted({str(r) for r in table["ratio"] if float(r) > 0}, key=float)
    names = [f"ratio {r}" if r != "inf" else "synthetic only" for r in ratios]
    real = table[table["generator"] == "none"].iloc[0]
    rows = [["real cells only", interval(real), *[""] * len(ratios)]]
    for name in [n for n in table["generator"].unique() if n != "none"]:
        part = table[table["generator"] == name].set_index("ratio")
        cells = [
            interval(part.loc[r]) + mark(part.loc[r], confidence) if r in part.index else ""
            for r in ratios
        ]
        rows.append([str(name), "", *cells])
    return ["generator", "ratio 0", *names], rows


def interval(row: pd.Series, name: str = "") -> str:
    """`71.2 [68.0, 74.4]`: mean and interval in points; of `name`, `<name>_low`, `<name>_high`."""
    mean, low, high = (name, f"{name}_low", f"{name}_high") if name else ("mean", "low", "high")
    if pd.isna(row[low]):
        return f"{points(row[mean])} [no interval]"
    return f"{points(row[mean])} [{points(row[low])}, {points(row[high])}]"


def mark(row: pd.Series, confidence: float) -> str:
    """`+` or `-` where the paired difference to real-only holds after Holm's correction."""
    if not row["p_holm"] < 1 - confidence:
        return ""
    return " +" if row["gain"] > 0 else " -"


def at_ratio(table: pd.DataFrame, ratio: str) -> pd.DataFrame:
    """Real-only, and every generator at one ratio."""
    return table[(table["generator"] == "none") | (table["ratio"] == ratio)]


def method_name(generator: str, ratio: str) -> str:
    """`real cells only`, `smote, ratio 2`, or `smote alone` for synthetic rows only."""
    if generator == "none":
        return "real cells only"
    return f"{generator} alone" if ratio == "inf" else f"{generator}, ratio {ratio}"


def points(value: float) -> str:
    """A share in points, `71.2`."""
    return f"{100 * value:.1f}"


def spelled(
    row: pd.Series, *, scale: float = 1.0, low: float = -math.inf, top: float = math.inf
) -> str:
    """`0.71 [0.68, 0.74]`: mean and interval, cut to where the quantity can lie."""
    digits = 1 if scale >= 100 else 3
    mean = f"{scale * row['mean']:.{digits}f}"
    if pd.isna(row["low"]):
        return f"{mean} [no interval]"
    bounds = max(scale * row["low"], low), min(scale * row["high"], top)
    return f"{mean} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def change(row: pd.Series, name: str, *, scale: float = 1.0) -> str:
    """`+2.1 [0.8, 3.3]`: a difference and its interval, `<name>_low` and `<name>_high`."""
    value = row.get(name, row.get(f"{name}_gain"))
    if value is None or pd.isna(value):
        return ""
    digits = 1 if scale >= 100 else 3
    # Adding zero turns a rounded "-0.0" into "+0.0".
    mean = f"{round(scale * value, digits) + 0.0:+.{digits}f}"
    if pd.isna(row[f"{name}_low"]):
        return f"{mean} [no interval]"
    low, high = (round(scale * row[f"{name}_{end}"], digits) + 0.0 for end in ("low", "high"))
    return f"{mean} [{low:.{digits}f}, {high:.{digits}f}]"


def number(value: float, form: str = ".3f") -> str:
    """A number in this format; nothing where there is none."""
    return "" if pd.isna(value) else format(value, form)


def legend(confidence: float) -> str:
    """What the marks of `ratio_grid` mean."""
    return (
        "+ / -: the paired difference to real cells only is not zero "
        f"(Holm-adjusted p < {1 - confidence:.3g})"
    )


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns with spaces; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        first = row[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Spell a table in Markdown; a class name that looks like HTML stays a name."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")
