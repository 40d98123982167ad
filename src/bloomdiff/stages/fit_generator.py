"""Per outer fold, fit every generator on the training part (and the unlabelled pool) alone."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, read_yaml, sha256_file
from bloomdiff.generators import make_generator
from bloomdiff.stages.inputs import fold_names, images_for, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.stages.work import finish, key_of, run_units


def run(project: Project, run: StageRun) -> None:
    """Write one folder per fold and generator."""
    params = project.params
    tuned = read_yaml(project.generator_params)
    units = [(fold, name) for fold in fold_names(project) for name in params.generators]
    working = project.working / "fit_generator"
    key = key_of(tuned, params.seed, *map(sha256_file, (project.embeddings, project.folds)))
    done = run_units(
        partial(fit_one, project, working / key / "checkpoints"),
        units,
        working=working,
        key=key,
        jobs=params.jobs,
        describe="fit_generator",
    )
    with atomic_dir(project.generators, stale="*") as folder:
        for unit in units:
            shutil.copytree(done(unit) / "generator", folder.joinpath(*unit))
    finish(working)
    run.log_params({"generators": ",".join(params.generators)})


def fit_one(project: Project, checkpoints: Path, folder: Path, fold: str, name: str) -> None:
    """Fit one generator on one fold and save it under `folder`.

    A fit that is killed leaves its checkpoint in `checkpoints` and is taken up from there.
    """
    params = project.params
    rows = load_fold(project, fold)
    values = tuned_values(project.generator_params, fold, name, rows)
    images = images_for(project, name)
    generator = make_generator(name, values, seed=params.seed, device=params.device, images=images)
    generator.checkpoint_dir = checkpoints
    generator.fit_cells(rows.train, rows.pool).save(folder / "generator")
