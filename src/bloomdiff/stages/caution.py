"""What CytoDiff's protocol would claim, beside the honest one; nothing under `protocol: honest`.

No other stage reads what this one fits, and no score of another stage depends on it: the report
sets its claims apart, under their own heading.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from bloomdiff.experiments.caution import COLUMNS, leaking_claims
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_file, read_yaml, sha256_file
from bloomdiff.generators import make_generator
from bloomdiff.stages.inputs import fold_names, images_for, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.stages.work import Unit, finish, key_of, run_units

KEYS = ("fold", "generator", "ratio", "classifier")


def run(project: Project, run: StageRun) -> None:
    """Write one row per fold, generator, seed and fault; no row under `protocol: honest`."""
    params = project.params
    honest = params.protocol == "honest"
    units: list[Unit] = [] if honest else [*synthetic_units(project)]
    working = project.working / "caution"
    tables = [pd.DataFrame(columns=[*KEYS, *COLUMNS])]
    if units:
        key = key_of(
            params.sweep.model_dump(mode="json"),
            params.report.ratio,
            params.seeds,
            read_yaml(project.generator_params),
            read_yaml(project.classifier_params),
            *map(sha256_file, (project.embeddings, project.folds)),
        )
        done = run_units(
            partial(claim_one, project, working / key / "checkpoints"),
            units,
            working=working,
            key=key,
            jobs=params.jobs,
            describe="caution",
        )
        tables = [pd.read_parquet(done(unit) / "claims.parquet") for unit in units]
    with atomic_file(project.caution) as temporary:
        pd.concat(tables, ignore_index=True).to_parquet(temporary, index=False)
    finish(working)
    run.log_params({"protocol": params.protocol})


def claim_one(project: Project, checkpoints: Path, folder: Path, fold: str, name: str) -> None:
    """What would be claimed for one generator in one fold."""
    params = project.params
    rows = load_fold(project, fold)
    values = tuned_values(project.generator_params, fold, name, rows)
    images = images_for(project, name)
    generator = make_generator(name, values, seed=params.seed, device=params.device, images=images)
    generator.checkpoint_dir = checkpoints
    classifier = tuned_values(project.classifier_params, fold, params.primary, rows)
    claims = leaking_claims(
        rows.train,
        rows.test,
        rows.pool,
        generator,
        number=fold_names(project).index(fold),
        ratio=params.report.ratio,
        seeds=params.seeds,
        allocation=params.sweep.allocation,
        classifier=(params.primary, classifier),
        device=params.device,
    )
    own = (fold, name, ratio_name(params.report.ratio), params.primary)
    table = pd.DataFrame(list(claims), columns=list(COLUMNS))
    for column, value in zip(KEYS, own, strict=True):
        table[column] = value
    table[[*KEYS, *COLUMNS]].to_parquet(folder / "claims.parquet", index=False)
