"""Judge the synthetic sets against held-out real cells, beside a floor and controls."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.errors import IntegrityError
from bloomdiff.experiments.fidelity import fidelity_runs
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_file, read_table, sha256_file
from bloomdiff.metrics.controls import judge
from bloomdiff.metrics.morphology import morphology_errors
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.sampling import stratified_rows
from bloomdiff.stages.inputs import FoldRows, fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.work import finish, key_of, run_units

TABLES = ("fidelity", "morphology")
_MORPHOLOGY = [
    *("parameter", "scope", "r2", "error", "floor", "mean_shift", "note", "fold", "generator"),
]


def run(project: Project, run: StageRun) -> None:
    """Write two tables: metric by metric, and parameter by parameter where the truth is known."""
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
            sha256_file(project.traits) if project.traits.exists() else None,
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="evaluate",
    )
    tables = {
        name: pd.concat(
            [pd.read_parquet(done(fold) / f"{name}.parquet") for fold in folds], ignore_index=True
        )
        for name in TABLES
    }
    run.log_children(fidelity_runs(tables["fidelity"], tables["morphology"]))
    for name, path in zip(TABLES, (project.fidelity, project.morphology), strict=True):
        with atomic_file(path) as temporary:
            tables[name].to_parquet(temporary, index=False)
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
    traits = read_table(project.traits) if project.traits.exists() else None
    controls = None
    parts, shapes = [], []
    for _, name in [unit for unit in synthetic_units(project) if unit[0] == fold]:
        synthetic = SyntheticSet.load(project.synthetic_set(fold, name))
        assert_disjoint(rows.test.group, synthetic, what=f"generator {name!r} of {fold}")
        first = synthetic.take(np.flatnonzero(synthetic.rows["seed"] == params.seeds[0]))
        if not len(first):
            raise IntegrityError(
                str(project.synthetic_set(fold, name)),
                f"has no rows with seed {params.seeds[0]}",
                "run `dvc repro synthesize`",
            )
        records, controls = judge(reference, first.X, first.label, controls)
        parts.append(pd.DataFrame(records).assign(fold=fold, generator=name))
        if traits is not None:
            in_proportion = stratified_rows(
                first.label, rows.train.label, len(rows.train), reference.rng(12)
            )
            errors = trait_errors(rows, first.take(in_proportion), traits)
            shapes.append(pd.DataFrame(errors).assign(fold=fold, generator=name))
    pd.concat(parts, ignore_index=True).to_parquet(folder / "fidelity.parquet", index=False)
    table = pd.concat(shapes, ignore_index=True) if shapes else pd.DataFrame()
    table = table.reindex(columns=_MORPHOLOGY).astype({"note": str, "scope": str})
    table.to_parquet(folder / "morphology.parquet", index=False)


def trait_errors(
    rows: FoldRows, synthetic: SyntheticSet, traits: pd.DataFrame
) -> list[dict[str, Any]]:
    """`morphology_errors` over the cells whose parameters are known; none where some are not."""
    known = traits.set_index("cell_id").select_dtypes("number")
    train, test = rows.train, rows.test
    # Among cells of other sources, whose parameters nobody knows, there is nothing to compare.
    if not np.isin([*train.cell_id, *test.cell_id], known.index).all():
        return []
    return morphology_errors(
        synthetic.X,
        train.X,
        test.X,
        train_parameters=known.loc[train.cell_id.tolist()].to_numpy(),
        test_parameters=known.loc[test.cell_id.tolist()].to_numpy(),
        names=[str(name) for name in known.columns],
        y_synthetic=synthetic.label,
        y_train=train.label,
        y_test=test.label,
    )
