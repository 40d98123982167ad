"""Can the metrics be fooled? Floor, controls and planted faults on a set of embeddings.

    python bench/controls.py EMBEDDINGS.parquet [EMBEDDINGS.parquet ...]

Takes the Parquet files that `bloomdiff embed` or the pipeline wrote. One fold in five is held out,
by group. Beside the controls of the metrics themselves, two planted generators are judged: a
memoriser (training rows with a little noise) and a liar (training rows with four labels in ten
shuffled). Writes bench/results/controls.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.files import atomic_file
from bloomdiff.metrics.controls import judge
from bloomdiff.metrics.reference import Reference

ROOT = Path(__file__).parents[1]
SEED = 0
NOISE = 0.1  # of the memoriser, in deviations of each column
Row = dict[str, Any]


def planted(reference: Reference) -> dict[str, tuple[Any, Any]]:
    """The memoriser's and the liar's rows, on the original scale, with their labels."""
    rng = np.random.default_rng(SEED)
    train, y, scale = reference.train, reference.y_train, reference.scale
    assert y is not None
    rows = rng.integers(len(train), size=2 * len(train))
    noisy = train[rows] + NOISE * rng.standard_normal((len(rows), train.shape[1]))
    wrong = rng.random(len(rows)) < 0.4
    lies = y[rows].copy()
    lies[wrong] = rng.permutation(lies[wrong])
    back = scale.deviation, scale.mean
    return {
        "memoriser": (noisy * back[0] + back[1], y[rows]),
        "liar": (train[rows] * back[0] + back[1], lies),
    }


def table(path: Path) -> str:
    cells = EmbeddingSet.load(path)
    cells = cells.take(cells.label != "")
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=SEED)
    train, test = next(splitter.split(cells.X, cells.label, cells.group))
    reference = Reference.of(
        cells.X[train],
        cells.X[test],
        y_train=cells.label[train],
        y_test=cells.label[test],
        test_groups=cells.group[test],
        seed=SEED,
    )
    found: dict[str, dict[str, Row]] = {}
    controls = None
    for name, (X, y) in planted(reference).items():
        records, controls = judge(reference, X, y, controls)
        found[name] = {r["metric"]: r for r in records if r["scope"] == "all"}
    assert controls is not None
    lines = [
        f"## {path.stem}: {len(train)} training and {len(test)} held-out cells, "
        f"{len(np.unique(cells.label))} classes, {cells.header.get('encoder')}",
        "",
        "| metric | floor (95 %) | copycat | class Gaussian | wrong labels | memoriser | liar "
        "| trustworthy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for metric, row in found["memoriser"].items():
        verdict = {True: "yes", False: f"no: {row['reason']}", None: row["reason"]}
        floor = f"{text(row['floor'])} ({text(row['floor_low'])} to {text(row['floor_high'])})"
        values = [text(row[name]) for name in ("copycat", "class_gaussian", "wrong_labels")]
        values += [judged(found[name][metric]) for name in found]
        lines.append(
            f"| {metric} | {floor} | {' | '.join(values)} | {verdict[row['trustworthy']]} |"
        )
    return "\n".join([*lines, ""])


def text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def judged(row: Row) -> str:
    """The value, bold where its interval lies apart from the floor's on the worse side."""
    if row["low"] is None or row["floor_low"] is None:
        return text(row["value"])
    higher = row["better"] == "higher"
    caught = row["high"] < row["floor_low"] if higher else row["low"] > row["floor_high"]
    return f"**{text(row['value'])}**" if caught else text(row["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("embeddings", type=Path, nargs="+")
    options = parser.parse_args()
    parts = [
        "# Can the metrics be fooled?",
        "",
        "`python bench/controls.py EMBEDDINGS.parquet ...`: one grouped fold in five held out.",
        "Bold: the planted generator scores worse than real cells, intervals apart.",
        "",
        *(table(path) for path in options.embeddings),
    ]
    with atomic_file(ROOT / "bench" / "results" / "controls.md") as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
