"""Judge the synthetic sets against held-out real cells, beside a floor and controls."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.experiments.fidelity import fidelity_runs
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_file, sha256_file
from bloomdiff.metrics.controls import judge
from bloomdiff.metrics.reference import Reference
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.work import finish, key_of, run_units


def run(project: Project, run: StageRun) -> None:
    """Write one table: fold, generator, metric, scope, value, interval, floor, controls."""
    params = project.params
    folds = [(fold,) for fold in fold_names(project)]
    working = project.working / "evaluate"
    done = run_units(
        partial(evaluate_one, project),
        folds,
        working=working,
        key=key_of(
            params.evaluate.model_dump(mode="json"),
            params.seeds,
            [sha256_file(project.synthetic_set(*unit)) for unit in synthetic_units(project)],
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="evaluate",
    )
    parts = [pd.read_parquet(done(fold) / "fidelity.parquet") for fold in folds]
    table = pd.concat(parts, ignore_index=True)
    run.log_children(fidelity_runs(table))
    with atomic_file(project.fidelity) as temporary:
        table.to_parquet(temporary, index=False)
    finish(working)


def evaluate_one(project: Project, folder: Path, fold: str) -> None:
    """Judge every generator of one fold; they share the floor and the controls."""
    params = project.params
    rows = load_fold(project, fold)
    reference = Reference.of(
        rows.train.X,
        rows.test.X,
        y_train=rows.train.label,
        y_test=rows.test.label,
        test_groups=rows.test.group,
        seed=params.seed,
        n_bootstrap=params.evaluate.n_bootstrap,
        k=params.evaluate.k,
    )
    controls = None
    parts = []
    for _, name in [unit for unit in synthetic_units(project) if unit[0] == fold]:
        synthetic = SyntheticSet.load(project.synthetic_set(fold, name))
        assert_disjoint(rows.test.group, synthetic, what=f"generator {name!r} of {fold}")
        first = synthetic.take(np.flatnonzero(synthetic.rows["seed"] == params.seeds[0]))
        records, controls = judge(reference, first.X, first.label, controls)
        parts.append(pd.DataFrame(records).assign(fold=fold, generator=name))
    pd.concat(parts, ignore_index=True).to_parquet(folder / "fidelity.parquet", index=False)
