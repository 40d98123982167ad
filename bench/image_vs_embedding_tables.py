"""The table of images against embeddings, from its scores alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from augmenters_views import compare

REAL = "real cells only"
NO_WEIGHTS = (
    "`stable-diffusion-lora` has no figure: Stable Diffusion's weights could not be had where this"
    " ran. Its training and sampling were tested on a tiny pipeline of random weights alone"
    " (`tests/generators/test_image_space_stable_diffusion.py`); with weights, `--weights FOLDER`"
    " adds its row."
)
HEAD = (
    "| method | rows a class | macro-F1 | gain, 95 % interval | training, processor s"
    " | rows a processor second | peak memory, GiB | training energy, kJ |"
)


def summarise(folder: Path) -> str:
    """Write ``image_vs_embedding.md`` beside ``scores.parquet``; return the text."""
    scores = pd.read_parquet(folder / "scores.parquet")
    lines = ["# Images against embeddings, at equal real cells", "", *_preamble(scores)]
    for (data, regime), part in scores.groupby(["data", "regime"], sort=False):
        seeds = part["seed"].nunique()
        lines += ["", f"## {data}, {regime}", ""]
        lines += [
            f"{part['n_labelled'].mean():.0f} labelled and {part['n_test'].mean():.0f} test cells,"
            f" {seeds} division{'s' if seeds > 1 else ''}.",
            "",
            HEAD,
            "|---" * HEAD.count(" |") + "|",
            *_rows(part),
        ]
    text = "\n".join(lines) + "\n"
    (folder / "image_vs_embedding.md").write_text(text, encoding="utf-8")
    return text


def _preamble(scores: pd.DataFrame) -> list[str]:
    through = scores.get("cosine_through_pixels", pd.Series(dtype=float)).dropna()
    lines = [
        "Macro-F1 on real test cells, in points, of a class-weighted logistic regression that was"
        " tuned on the labelled cells alone; the gain over real cells only is paired over the"
        " divisions (corrected resampled t-interval). Every generator saw the labelled cells alone,"
        " at its default hyper-parameters; those of the image diffusion are in"
        " `bench/image_vs_embedding.py`. Processor seconds (of all threads), memory and energy are"
        " of a process of its own, one after the other, medians over the divisions. Rows a"
        " processor second: from the class's name to an embedding, which for images includes the"
        " encoder. The number of rows is fixed and not tuned: rows that harm are not"
        " left out."
    ]
    if len(through):
        lines += [
            "",
            "What the image diffusion's few pixels cost by themselves: a real cell's embedding and"
            " that of the same cell shrunk to its image size have a cosine of"
            f" {through.mean():.3f} on average.",
        ]
    if "stable-diffusion-lora" not in set(scores["method"]):
        lines += ["", NO_WEIGHTS]
    return lines


def _rows(part: pd.DataFrame) -> list[str]:
    named = part.assign(name=part["method"] + " " + part["rows"].astype(str))
    wide = named.pivot(index="seed", columns="name", values="macro_f1")
    baseline = f"{REAL} 0"
    lines = []
    first = part.sort_values("method", key=lambda names: names != REAL, kind="stable")
    for (method, rows), own in first.groupby(["method", "rows"], sort=False):
        name = f"{method} {rows}"
        gain = None if name == baseline else compare(wide, name, baseline)
        told = "–"
        if gain is not None:
            told = f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        cells = [str(method), str(rows), f"{100 * own['macro_f1'].mean():.1f}", told]
        cells += [
            _median(own, "fit_processor_seconds", "{:.1f}"),
            _median(own, "rows_per_processor_second", "{:,.1f}"),
            _median(own, "peak_gib", "{:.1f}"),
            _energy(own),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _median(own: pd.DataFrame, column: str, form: str) -> str:
    values = own.get(column, pd.Series(dtype=float)).dropna()
    return form.format(values.median()) if len(values) else "–"


def _energy(own: pd.DataFrame) -> str:
    if _median(own, "fit_processor_seconds", "{}") == "–":
        return "–"
    joules = own["fit_joules"].dropna()
    return f"{joules.median() / 1000:.2f}" if len(joules) else "cannot be read"
