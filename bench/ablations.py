"""What each choice of the diffusion generator is worth, and how the rivals do, in one table.

Each repeat splits the cells anew by group: a third to test, the rest cut to a long tail whose order
of classes is drawn at random; what is cut away is the unlabelled pool of the variants that use it.
A variant is fitted on the training rows, its samples are added to them at each ratio, and a
class-balanced classifier is judged by macro-F1 on the real test cells; where the cells have views,
in the units of those that a variant may see. The table, beside the CSV, gives the differences to
real cells alone and to the default with a 95 % interval over the repeats (the corrected resampled
t-interval). Scores are appended to the CSV as they come: an interrupted run is taken up again.

    python bench/ablations.py EMBEDDINGS.parquet --repeats 5 --out bench/results/ablations.csv
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.experiments.ratios import Allocation, labels_wanted
from bloomdiff.files import atomic_file
from bloomdiff.generators import make_generator
from bloomdiff.metrics.classification import score_classification
from bloomdiff.metrics.statistics import paired_difference

TEST_FRACTION = 1 / 3
FIELDS = ["data", "top", "imbalance", "variant", "repeat", "ratio", "macro_f1", "seconds"]
Variant = tuple[str, dict[str, Any], bool]

RIVALS = (
    "oversample",
    "jitter",
    "smote",
    "borderline-smote",
    "adasyn",
    "kmeans-smote",
    "mixup",
    "kde",
    "gmm",
    "gaussian",
    "distribution-calibration",
)
DIFFUSION: dict[str, dict[str, Any]] = {
    "diffusion": {},
    "no network": {"n_steps": 0},
    "32 components": {"n_components": 32},
    "64 components": {"n_components": 64},
    "width 64": {"width": 64},
    "width 256": {"width": 256},
    "depth 1": {"depth": 1},
    "weight decay 0.3": {"weight_decay": 0.3},
    "weight decay 10": {"weight_decay": 10.0},
    "natural frequencies": {"balance": 1.0},
    "equal frequencies": {"balance": 0.0},
    "less noise": {"log_sigma_mean": -1.0},
    "more noise": {"log_sigma_mean": 1.0},
    "rectified flow": {"objective": "rectified-flow"},
    "rectified flow, data": {"objective": "rectified-flow", "prediction": "data"},
    "data prediction": {"prediction": "data"},
    "noise prediction": {"prediction": "noise"},
    "unconditional residual": {"guidance": 0.0},
    "guidance 1.5": {"guidance": 1.5},
    "guidance 2": {"guidance": 2.0},
    "guidance 3": {"guidance": 3.0},
    "guidance 2, interval": {"guidance": 2.0, "guidance_interval": (0.2, 2.0)},
    "autoguidance 1.5": {"guidance": 1.5, "guide": "early"},
    "autoguidance 2": {"guidance": 2.0, "guide": "early"},
    "heun, 8 steps": {"sampler": "heun", "sampling_steps": 8},
    "filter, logistic": {"filter": "logistic"},
    "filter, prior": {"filter": "prior"},
    "feedback 1": {"feedback": 1.0},
    "feedback 4": {"feedback": 4.0},
    "lineages": {"parents": "lineage"},
    "8 sampling steps": {"sampling_steps": 8},
    "50 sampling steps": {"sampling_steps": 50},
    "nuisance 1.25": {"nuisance_scale": 1.25},
    "nuisance 1.5": {"nuisance_scale": 1.5},
    "nuisance 2": {"nuisance_scale": 2.0},
}
ALLOCATIONS: dict[str, Allocation] = {
    "uniform allocation": "uniform",
    "proportional allocation": "proportional",
}
POOL: dict[str, dict[str, Any]] = {
    "diffusion with pool": {},
    "pool, trust 0.3": {"pool_trust": 0.3},
    "pool, trust 1": {"pool_trust": 1.0},
    "pool, one round": {"pool_rounds": 1},
    "pool, four rounds": {"pool_rounds": 4},
    "pool, own shares": {"pool_shares": 1.0},
    "pool, no network": {"n_steps": 0},
    "pool, lineages": {"parents": "lineage"},
}
VARIANTS: dict[str, Variant] = (
    {name: (name, {}, False) for name in RIVALS}
    | {"retrieval with pool": ("retrieval", {}, True)}
    | {name: ("diffusion", params, False) for name, params in DIFFUSION.items()}
    | {name: ("diffusion", {}, False) for name in ALLOCATIONS}
    | {name: ("diffusion", params, True) for name, params in POOL.items()}
)

BASES = dict.fromkeys([*DIFFUSION, *ALLOCATIONS], "diffusion") | dict.fromkeys(
    POOL, "diffusion with pool"
)
"""The variant that a choice is held against."""


def split(
    cells: EmbeddingSet, top: int, imbalance: float, seed: int
) -> tuple[EmbeddingSet, EmbeddingSet, EmbeddingSet]:
    """Training rows in a long tail, the pool that was cut away, and test rows."""
    rng = np.random.default_rng(seed)
    train, test = inner_folds(cells, 3, seed)[0]
    label = cells.label[train]
    classes = rng.permutation(np.unique(label))
    sizes = np.round(top * imbalance ** (-np.arange(len(classes)) / (len(classes) - 1)))
    kept: list[int] = []
    for name, size in zip(classes, sizes, strict=True):
        kept += rng.permutation(train[label == name])[: max(1, int(size))].tolist()
    groups = set(cells.group[kept].tolist())
    rest = [i for i in train if i not in set(kept) and cells.group[i] not in groups]
    return cells.take(np.sort(kept)), cells.take(np.asarray(rest, dtype=int)), cells.take(test)


def score(
    train: EmbeddingSet,
    test: EmbeddingSet,
    synthetic: Any,
    classifier: str,
    whitening: ViewWhitening | None,
) -> float:
    model = make_classifier(classifier, None, seed=0)
    classes = sorted(set(train.label.tolist()) | set(test.label.tolist()))
    model.fit(
        train.X,
        train.label,
        fingerprint=train.fingerprint,
        synthetic=synthetic,
        classes=classes,
        whitening=whitening,
    )
    return score_classification(test.label, model.predict_on(test), model.classes_)["macro_f1"]


def run_variant(
    name: str, parts: tuple[EmbeddingSet, ...], ratios: list[float], repeat: int, classifier: str
) -> Iterator[dict[str, float]]:
    train, pool, test = parts
    if name == "real only":
        f1 = score(train, test, None, classifier, ViewWhitening.of(train))
        yield {"ratio": 0.0, "macro_f1": f1, "seconds": 0.0}
        return
    kind, params, use_pool = VARIANTS[name]
    seen = pool if use_pool else pool.take([])
    start = time.perf_counter()
    generator = make_generator(kind, params, seed=repeat)
    generator.fit_cells(train, seen)
    seconds = time.perf_counter() - start
    whitening = ViewWhitening.of(train, seen)
    for ratio in ratios:
        wanted = labels_wanted(train.label, ratio, ALLOCATIONS.get(name, "balance"))
        synthetic = generator.synthesize(wanted, seed=repeat)
        f1 = score(train, test, synthetic, classifier, whitening)
        yield {"ratio": ratio, "macro_f1": f1, "seconds": seconds}


def table(scores: pd.DataFrame) -> str:
    """Gains over real cells alone and what each choice changes, with intervals over repeats."""
    lines = ["# What each choice is worth\n"]
    for (data, top, imbalance), part in scores.groupby(["data", "top", "imbalance"], sort=False):
        wide = part.pivot(index="repeat", columns=["variant", "ratio"], values="macro_f1").dropna()
        real, ratios = wide["real only", 0.0], sorted(set(part["ratio"]) - {0.0})
        lines += [f"## {data}: largest class {top}, imbalance {imbalance:g}, {len(wide)} repeats\n"]
        lines += [f"Real cells alone: macro-F1 {real.mean():.4f}. In points; 95 % interval.\n"]
        head = ["variant", *(f"gain at ratio {r:g}" for r in ratios)]
        head += [*(f"less the default's, ratio {r:g}" for r in ratios), "fit, s"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        seconds = part.groupby("variant")["seconds"].median()
        for variant in [v for v in dict.fromkeys(part["variant"]) if v != "real only"]:
            cells = [_points(wide[variant, r], real) for r in ratios]
            base = BASES.get(variant)
            known = base is not None and base != variant and base in wide
            cells += [_points(wide[variant, r], wide[base, r]) if known else "" for r in ratios]
            lines.append("| " + " | ".join([variant, *cells, f"{seconds[variant]:.1f}"]) + " |")
        lines.append("")
    return "\n".join(lines)


def _points(ours: pd.Series, theirs: pd.Series) -> str:
    d = paired_difference(ours.to_numpy(), theirs.to_numpy(), TEST_FRACTION)
    return f"{100 * d.mean:+.2f} ({100 * d.low:+.2f} to {100 * d.high:+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--name", help="of the cells, in the table; the file's unless given")
    parser.add_argument("--out", type=Path, default=Path("bench/results/ablations.csv"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--first-repeat", type=int, default=0)
    parser.add_argument("--top", type=int, default=90, help="rows of the largest class")
    parser.add_argument("--imbalance", type=float, default=30.0)
    parser.add_argument("--ratios", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()

    cells = EmbeddingSet.load(options.embeddings)
    data = f"{options.name or options.embeddings.stem}, {options.classifier}"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if not options.out.exists():
        options.out.write_text(",".join(FIELDS) + "\n")
    key = {"data": data, "top": options.top, "imbalance": options.imbalance}
    with options.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        for repeat in range(options.first_repeat, options.first_repeat + options.repeats):
            done = pd.read_csv(options.out).query(
                "data == @data and top == @options.top and imbalance == @options.imbalance"
                " and repeat == @repeat"
            )["variant"]
            parts = split(cells, options.top, options.imbalance, repeat)
            for name in ["real only", *options.variants]:
                if name in set(done):
                    continue
                rows = run_variant(name, parts, options.ratios, repeat, options.classifier)
                for row in list(rows):
                    writer.writerow(key | {"variant": name, "repeat": repeat} | row)
                stream.flush()
    text = table(pd.read_csv(options.out))
    with atomic_file(options.out.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
