"""What the choices of the diffusion model do to its samples, its likelihood and its classifier.

    python bench/diffusion_choices.py EMBEDDINGS.parquet samples      # one row a variant
    python bench/diffusion_choices.py EMBEDDINGS.parquet classifiers  # prior, flow, denoising
    python bench/diffusion_choices.py EMBEDDINGS.parquet lineages     # k shots with and without

A third of the groups is held out. `samples` tells, for the variants of `ablations.py` (or those
given by --variants), the held-out denoising loss, the Fréchet distance between samples and held-out
rows in the leading principal components and in all dimensions, and the log-likelihood of held-out
rows in their class. The other two tell macro-F1, log loss and the error of the class centres.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import f1_score, log_loss

from ablations import DIFFUSION, split
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.vocabulary import lineage
from bloomdiff.diffusion.centres import parent_indices
from bloomdiff.diffusion.estimator import EmbeddingDiffusion
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.generators.diffusion import DiffusionGenerator, DiffusionParams
from bloomdiff.metrics.frechet import frechet_distance
from generators import Floats

COMPONENTS = 48
SHOTS = (1, 2, 5, 10)


def halves(cells: EmbeddingSet, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Two thirds of the cells to train, a third to test."""
    train, test = inner_folds(cells, 3, seed)[0]
    return cells.take(train), cells.take(test)


def samples(cells: EmbeddingSet, seed: int, variants: list[str]) -> None:
    """Print one row of a table for each variant."""
    train, test = halves(cells, seed)
    mean = train.X.mean(axis=0)
    axes = np.linalg.svd(train.X - mean, full_matrices=False)[2][:COMPONENTS].T

    def distances(rows: Floats) -> str:
        leading = frechet_distance((rows - mean) @ axes, (test.X - mean) @ axes)
        return f"{leading:.2f} | {frechet_distance(rows, test.X):.1f}"

    print(f"| variant | loss, of the Gaussian's | Fréchet, {COMPONENTS} | all | nats a row |")
    print("|---|---|---|---|---|")
    print(f"| training rows | | {distances(train.X)} | |", flush=True)
    for name in variants:
        generator = DiffusionGenerator(DiffusionParams(**DIFFUSION[name]), seed=seed)
        generator.fit(train.X, train.label, fingerprint=train.fingerprint)
        model, nats = generator._diffusion, np.empty(len(test))
        for i, label in enumerate(generator.classes_):
            own = test.label == label
            nats[own] = model.log_likelihood(test.X[own], i, divergence="hutchinson")
        first, last = model.losses
        told = distances(generator.sample(test.label, seed=seed))
        print(f"| {name} | {last / first:.4f} | {told} | {nats.mean():.2f} |", flush=True)


def classifiers(cells: EmbeddingSet, seed: int) -> None:
    """Print macro-F1 and log loss of each classifier, with all rows and in a long tail."""
    tail, _, tail_test = split(cells, 90, 30.0, seed)
    for name, train, test in (("all", *halves(cells, seed)), ("long tail", tail, tail_test)):
        model = EmbeddingDiffusion(random_state=seed).fit(train.X, train.label)
        for kind in ("prior", "flow", "denoising"):
            scores = model.model_.class_scores(test.X, kind)
            f1 = f1_score(test.label, model.classes_[scores.argmax(axis=1)], average="macro")
            plain, tempered = (
                log_loss(test.label, softmax(scores / t, axis=1), labels=model.classes_)
                for t in (1.0, model.temperature_)
            )
            print(
                f"| {name}, {len(train)} rows | {kind} | {f1:.4f} | {plain:.2f} | {tempered:.2f}"
                f" (T = {model.temperature_:.1f}) |",
                flush=True,
            )


def lineages(cells: EmbeddingSet, seeds: int) -> None:
    """Print what the vocabulary's lineages do to k-shot class centres and to Bayes' rule."""
    classes, y = np.unique(cells.label, return_inverse=True)
    named = {name: lineage(name) for name in classes.tolist()}
    parents = parent_indices(classes.tolist(), {k: v for k, v in named.items() if v != "none"})
    centres = np.stack([cells.X[y == c].mean(axis=0) for c in range(len(classes))])
    zero = np.zeros((1, cells.X.shape[1]), dtype=np.float32)
    for shots in SHOTS:
        found = []
        for seed in range(seeds):
            train, test = inner_folds(cells, 3, seed)[0]
            rng = np.random.default_rng(seed)
            kept = np.concatenate(
                [rng.permutation(train[y[train] == c])[:shots] for c in range(len(classes))]
            )
            for given in (None, parents):
                prior = ClassPrior.fit(cells.X[kept], y[kept], parents=given)
                told = prior.scores(cells.X[test]).argmax(axis=1)
                placed = np.concatenate([prior.place(zero, c, zero) for c in range(len(classes))])
                error = np.linalg.norm(placed - centres, axis=1).mean()
                found += [f1_score(y[test], told, average="macro"), error]
        alone_f1, alone, related_f1, related = np.reshape(found, (seeds, 4)).T
        gain = related_f1 - alone_f1
        print(
            f"| {shots} | {alone_f1.mean():.3f} | {gain.mean():+.4f}"
            f" (standard error {gain.std(ddof=1) / seeds**0.5:.4f})"
            f" | {alone.mean():.3f} -> {related.mean():.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("what", choices=["samples", "classifiers", "lineages"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=6, help="of the lineages")
    parser.add_argument("--variants", nargs="+", choices=list(DIFFUSION), default=list(DIFFUSION))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = EmbeddingSet.load(options.embeddings)
    if options.what == "samples":
        samples(cells, options.seed, options.variants)
    elif options.what == "classifiers":
        classifiers(cells, options.seed)
    else:
        lineages(cells, options.seeds)


if __name__ == "__main__":
    main()
