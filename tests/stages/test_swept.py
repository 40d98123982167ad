"""Tables of the sweep are read back only where they are about the primary classifier."""

import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.files import read_table
from bloomdiff.stages import report
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.swept import read_sweep
from bloomdiff.stages.tuned import tuned_values

NAMES = ("scores", "predictions", "calibration")


def write(project, **classifiers):
    project.scores.mkdir(parents=True)
    for name in NAMES:
        told = {"fold": ["r0f0"], "classifier": classifiers.get(name, ["logistic"])}
        table = pd.DataFrame({key: value for key, value in told.items() if value})
        table.to_parquet(project.scores / f"{name}.parquet")
    scores_of(project).to_parquet(project.scores / "scores.parquet")


def scores_of(project):
    params = project.params
    ratios = {"none": [0.0]} | dict.fromkeys(("jitter", "smote"), params.sweep.ratios[1:])
    return pd.DataFrame(
        [
            (name, ratio_name(ratio), seed, classifier)
            for name in params.generators
            for ratio in ratios[name]
            for seed in params.seeds
            for classifier in params.sweep.classifiers
        ],
        columns=["generator", "ratio", "seed", "classifier"],
    )


def test_tables_of_the_primary_classifier_are_read(project):
    write(project)
    assert list(read_sweep(project, *NAMES)) == list(NAMES)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("classifier", "knn", "lacks classifier knn"),
        ("generator", "smote", "lacks generator smote"),
        ("ratio", "1", "lacks ratio 1"),
        ("seed", 0, "lacks seed 0"),
    ],
)
def test_scores_of_another_sweep_are_refused(project, column, value, says):
    write(project)
    path, scores = project.scores / "scores.parquet", scores_of(project)
    scores[scores[column] != value].to_parquet(path)
    with pytest.raises(IntegrityError, match=rf"{says}, unlike params.yaml; run `dvc repro class"):
        read_sweep(project, "scores")
    strange = scores.iloc[:1].assign(**{column: type(value)(99)})
    pd.concat([scores, strange]).to_parquet(path)
    with pytest.raises(IntegrityError, match=rf"has {column} 99, unlike params.yaml"):
        read_sweep(project, "scores")


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


@pytest.mark.parametrize("content", [None, b"", b"PAR1 cut off"])
@pytest.mark.parametrize("name", ["fidelity", "morphology", "folds", "caution"])
def test_a_missing_or_damaged_table_of_the_report_is_named(project, name, content, monkeypatch):
    monkeypatch.setattr(report, "read_sweep", lambda *names: {})
    path = getattr(project, name)
    for other in ("fidelity", "morphology", "folds", "caution"):
        getattr(project, other).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"a": [1]}).to_parquet(getattr(project, other))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    told = "no such file" if content is None else r"is no table \(.+\)"
    with pytest.raises(InputError, match=rf"{path.name}: {told}; run the stage"):
        read_table(path)
    if name != "caution":
        with pytest.raises(InputError, match=rf"{path.name}: {told}; run the stage"):
            report.read_results(project, EmbeddingSet.load(project.embeddings))


@pytest.mark.parametrize(
    "content", ["", "r0f0:\n", "r0f0:\n  smote:\n", "r0f0: {smote: {params: {}}}"]
)
def test_a_cut_off_list_of_tuned_values_is_told(project, content):
    project.generator_params.parent.mkdir(parents=True, exist_ok=True)
    project.generator_params.write_text(content)
    with pytest.raises(InputError, match=r"yaml: is not what its stage wrote; run its stage again"):
        tuned_values(project.generator_params, "r0f0", "smote", load_fold(project, "r0f0"))


def test_a_missing_table_is_named(project):
    with pytest.raises(
        InputError, match=r"scores\.parquet: no such file; run `dvc repro classify`"
    ):
        read_sweep(project, *NAMES)
