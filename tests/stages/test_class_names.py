"""Classes may be called as the tables' own columns are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

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
