"""The sweep's tables as they are read back: those of the classifier that `params.yaml` names."""

from __future__ import annotations

import pandas as pd

from bloomdiff.errors import IntegrityError
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.files import read_table
from bloomdiff.stages.project import Project

OF_PRIMARY = ("predictions", "calibration")
"""Tables of the primary classifier alone; the others have all classifiers."""

_MEND = "run `dvc repro classify`"


def read_sweep(project: Project, *names: str) -> dict[str, pd.DataFrame]:
    """Read tables of the stage `classify`: name to table.

    Raises
    ------
    InputError
        A table is missing or damaged.
    IntegrityError
        A table is about another classifier than the primary one, or the scores are of other
        classifiers, generators, ratios or seeds than those of `params.yaml`.
    """
    tables = {}
    for name in names:
        path = project.scores / f"{name}.parquet"
        table = read_table(path, _MEND)
        if name in OF_PRIMARY:
            found = sorted(set(table["classifier"])) if "classifier" in table else []
            if found != [project.params.primary]:
                raise IntegrityError(
                    str(path),
                    f"is about {', '.join(found) or 'an unnamed classifier'}, "
                    f"not {project.params.primary} (sweep.primary of params.yaml)",
                    _MEND,
                )
        tables[name] = table
    if "scores" in tables:  # the primary classifier first: it says more
        _check_scores(project, tables["scores"])
    return tables


def _check_scores(project: Project, table: pd.DataFrame) -> None:
    sweep = project.params.sweep
    wanted = {
        "classifier": set(sweep.classifiers),
        "generator": {"none", *project.params.generators},
        "ratio": {"0", *map(ratio_name, sweep.ratios)},
        "seed": set(map(str, project.params.seeds)),
    }
    for column, names in wanted.items():
        found = set(table[column].astype(str)) if column in table else set()
        if other := sorted(found ^ names):
            here = "has" if other[0] in found else "lacks"
            raise IntegrityError(
                str(project.scores / "scores.parquet"),
                f"{here} {column} {other[0]}, unlike params.yaml",
                _MEND,
            )
