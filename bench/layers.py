"""Does a linear probe on several layers know cells better than one on the last layer?

    python bench/layers.py FOLDER [--per-class 15] [--encoder dinov2-s] [--layers 8 9 10 11]

FOLDER holds one folder of images a class. Each image is embedded once; the probe (logistic
regression, its penalty tuned on inner folds of the training part) then sees the last layer, or the
last ones side by side. Writes bench/results/layers.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.images import is_image, pixel_digest, read_rgb
from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder
from bloomdiff.files import atomic_file
from bloomdiff.metrics.classification import score_classification
from bloomdiff.metrics.statistics import corrected_interval, paired_difference

ROOT = Path(__file__).resolve().parents[1]
FOLDS, REPEATS = 5, 1
PENALTIES = (1.0, 10.0, 100.0)
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.str_]


def manifest(folder: Path, per_class: int) -> pd.DataFrame:
    """Evenly spaced images of each class; equal pixels once."""
    rows = []
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(path for path in kind.rglob("*") if is_image(path))
        chosen = [files[i] for i in np.linspace(0, len(files) - 1, per_class).astype(int)]
        rows += [(str(path.relative_to(folder)), kind.name, path) for path in chosen]
    cells = pd.DataFrame(rows, columns=["path", "label", "file"])
    cells["blake3"] = [pixel_digest(read_rgb(path)) for path in cells.pop("file")]
    cells = cells.drop_duplicates("blake3", ignore_index=True)
    cells["cell_id"] = cells["group"] = cells["path"]
    return cells.assign(split="", source="")


def macro_f1(X: Floats, y: Labels, fit: Any, judge: Any, C: float) -> float:
    model = make_classifier("logistic", {"C": C}, seed=0)
    names = np.unique(y).tolist()
    nobody = Fingerprint.of([f"row {i}" for i in fit])
    model.fit(X[fit], y[fit], fingerprint=nobody, classes=names)
    return score_classification(y[judge], model.predict_proba(X[judge]), names)["macro_f1"]


def probe(X: Floats, y: Labels) -> npt.NDArray[np.float64]:
    """Macro-F1 of each outer fold, the penalty chosen on inner folds."""
    scores = []
    for repeat in range(REPEATS):
        outer = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
        for train, test in outer.split(X, y):
            inner = list(StratifiedKFold(3, shuffle=True, random_state=0).split(train, y[train]))
            means = [
                np.mean([macro_f1(X, y, train[a], train[b], C) for a, b in inner])
                for C in PENALTIES
            ]
            scores.append(macro_f1(X, y, train, test, PENALTIES[int(np.argmax(means))]))
    return np.array(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=15)
    parser.add_argument("--encoder", default="dinov2-s")
    parser.add_argument("--layers", type=int, nargs="+", default=[8, 9, 10, 11])
    options = parser.parse_args()
    cells = manifest(options.folder, options.per_class)
    params = EncoderParams(name=options.encoder, layers=options.layers, pooling="cls")
    encoder = load_encoder(params, cache_dir=ROOT / ".bloomdiff" / "encoders")
    cache = ROOT / ".bloomdiff" / "embeddings"
    embedded = embed_cells(cells, options.folder, encoder, cache_dir=cache, jobs=1)
    y, width = embedded.label, embedded.dim // len(options.layers)
    last = probe(embedded.X[:, -width:], y)
    lines = [
        "# A linear probe on several layers",
        "",
        f"`python bench/layers.py {options.folder.name}`: {len(y)} images of {len(np.unique(y))} "
        f"classes from {options.folder.name}, {options.encoder}, class tokens. Macro-F1 in points, "
        f"{FOLDS}-fold × {REPEATS}, penalty tuned on inner folds, corrected 95 % intervals.",
        "",
        "| layers | dimension | macro-F1 | gain over the last |",
        "|---|---|---|---|",
    ]
    for n in sorted({1, 2, len(options.layers)}):
        scores = last if n == 1 else probe(embedded.X[:, -n * width :], y)
        one = corrected_interval(scores, 1 / FOLDS)
        gain = paired_difference(scores, last, 1 / FOLDS)
        change = f"{100 * gain.mean:+.1f} ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
        lines.append(
            f"| {options.layers[-n:]} | {n * width} | {100 * one.mean:.1f} "
            f"({100 * one.low:.1f} to {100 * one.high:.1f}) | {change if n > 1 else ''} |"
        )
    text = "\n".join([*lines, ""])
    with atomic_file(ROOT / "bench" / "results" / "layers.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
