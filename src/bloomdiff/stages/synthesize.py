"""Per fold and generator, a synthetic set that is large enough for the largest ratio."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np

from bloomdiff.data.embedding_set import SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.experiments.ratios import allocate, class_counts, largest_finite
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, sha256_file
from bloomdiff.generators import load_generator
from bloomdiff.stages.inputs import fold_names, images_for, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.work import finish, key_of, run_units


def synthetic_units(project: Project) -> list[tuple[str, str]]:
    """Every fold with every generator that makes rows."""
    names = [name for name in project.params.generators if name != "none"]
    return [(fold, name) for fold in fold_names(project) for name in names]


def run(project: Project, run: StageRun) -> None:
    """Write one SyntheticSet per fold and generator, all seeds in it."""
    params = project.params
    units = synthetic_units(project)
    working = project.working / "synthesize"
    cards = [
        sha256_file(project.generator(*unit) / file)
        for unit in units
        for file in ("generator.json", "state.safetensors")
    ]
    done = run_units(
        partial(synthesize_one, project),
        units,
        working=working,
        # The embeddings too: what a generator of images draws is embedded as they were.
        key=key_of(
            params.sweep.model_dump(mode="json"),
            params.seeds,
            cards,
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="synthesize",
    )
    with atomic_dir(project.synthetic, stale="*") as folder:
        for fold, name in units:
            target = folder / fold / f"{name}.parquet"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(done((fold, name)) / "set.parquet", target)
    finish(working)


def synthesize_one(project: Project, folder: Path, fold: str, name: str) -> None:
    """Sample one generator under every seed and save the rows under `folder`."""
    params = project.params
    rows = load_fold(project, fold)
    images = images_for(project, name)
    generator = load_generator(project.generator(fold, name), device=params.device, images=images)
    assert_disjoint(rows.test.group, generator, what=f"generator {name!r} of {fold}")
    sweep = params.sweep
    counts = class_counts(rows.train.label)
    shares = allocate(counts, largest_finite(sweep.ratios), sweep.allocation)
    # `evaluate` compares sets of the real class frequencies, whatever the sweep allocates.
    asked = [max(shares[name], counts[name]) for name in shares]
    labels = np.repeat(np.array(list(shares)), asked)
    sets = [generator.synthesize(labels, seed=seed) for seed in params.seeds]
    SyntheticSet.concatenate(sets).save(folder / "set.parquet")
