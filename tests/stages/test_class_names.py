"""Classes may be called as the tables' own columns are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bloomdiff.experiments.summary import REAL_ONLY
from bloomdiff.stages import report
from bloomdiff.stages.classify import tables_of

CLASSES = ["class", "fold", "n", "predicted", "true"]


@pytest.mark.parametrize("classes", [CLASSES, ["n", "z"], ["a"]])
def test_the_confusion_counts_classes_of_any_name(classes):
    counts = np.arange(len(classes) ** 2).reshape(len(classes), -1)
    scored = SimpleNamespace(
        classifier=SimpleNamespace(name="knn", classes_=np.array(classes)),
        confusion=counts,
        n_synthetic=0,
        scores={"macro_f1": 0.5},
        per_class=pd.DataFrame({"class": classes}),
    )
    table = tables_of(scored, {"fold": "r0f0", "seed": 0}, 10)["confusion"]
    assert list(table.columns) == ["true", "predicted", "n", "fold", "seed", "classifier"]
    wide = table.pivot_table(index="true", columns="predicted", values="n", aggfunc="sum")
    np.testing.assert_array_equal(wide.loc[classes, classes], counts)
    # Column by column, as the parquet of every earlier sweep has it.
    assert table["n"].tolist() == counts.T.ravel().tolist()
    assert table["true"].tolist()[: len(classes)] == classes


def test_classes_that_no_fold_tests_together_have_whole_counts(tmp_path, monkeypatch):
    rows = [("a", "a", 4), ("b", "b", 12)]  # as where each class is of one source, held out whole
    table = pd.DataFrame(rows, columns=["true", "predicted", "n"])
    table = table.assign(classifier="knn", generator=REAL_ONLY, seed=0)
    drawn = []
    monkeypatch.setattr(report, "read_table", lambda path: table)
    monkeypatch.setattr(report, "confusion_figure", lambda counts, *_, **__: drawn.append(counts))
    report.write_confusions(SimpleNamespace(scores=tmp_path), "knn", tmp_path)
    assert drawn[0].to_numpy().tolist() == [[4, 0], [0, 12]]
    assert (drawn[0].dtypes == np.int64).all()
