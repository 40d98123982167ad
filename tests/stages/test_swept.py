"""Tables of the sweep are read back only where they are about the primary classifier."""

import pandas as pd
import pytest

from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.stages.swept import read_sweep

NAMES = ("scores", "predictions", "calibration")


def write(project, **classifiers):
    project.scores.mkdir(parents=True)
    for name in NAMES:
        told = {"fold": ["r0f0"], "classifier": classifiers.get(name, ["logistic"])}
        table = pd.DataFrame({key: value for key, value in told.items() if value})
        table.to_parquet(project.scores / f"{name}.parquet")


def test_tables_of_the_primary_classifier_are_read(project):
    write(project, scores=["knn"])  # which has all classifiers, whatever their names
    assert list(read_sweep(project, *NAMES)) == list(NAMES)


@pytest.mark.parametrize("name", ["predictions", "calibration"])
@pytest.mark.parametrize(("found", "says"), [(["knn"], "knn"), ([], "an unnamed classifier")])
def test_those_of_another_one_are_refused(project, name, found, says):
    write(project, **{name: found})
    with pytest.raises(IntegrityError) as error:
        read_sweep(project, *NAMES)
    assert str(error.value) == (
        f"{project.scores}/{name}.parquet: is about {says}, not logistic "
        "(sweep.primary of params.yaml); run `dvc repro classify`"
    )


def test_a_missing_table_is_named(project):
    with pytest.raises(
        InputError, match=r"scores\.parquet: no such file; run `dvc repro classify`"
    ):
        read_sweep(project, *NAMES)
