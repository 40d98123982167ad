import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import FoldParams, make_folds, write_folds
from bloomdiff.stages.project import Project

sys.path.insert(0, str(Path(__file__).parent))

CLASSES = np.array(["basophil", "lymphocyte", "monocyte", "neutrophil"])


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database without runs, in write-ahead mode: creating one takes seconds."""
    from bloomdiff.experiments.tracking_client import open_store

    root = tmp_path_factory.mktemp("store")
    (root / "mlruns").mkdir()
    open_store(root, "bloomdiff")
    return root / "mlruns" / "mlflow.db"


@pytest.fixture
def project(tmp_path, empty_store, monkeypatch):
    """A project whose cells are embedded: 120 of four classes in 24 slides, two outer folds."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "project"
    (root / "mlruns").mkdir(parents=True)
    shutil.copy(empty_store, root / "mlruns" / "mlflow.db")
    rng = np.random.default_rng(0)
    label = rng.choice(CLASSES, 120, p=[0.15, 0.25, 0.2, 0.4])
    centre = rng.normal(size=(4, 12))
    X = centre[np.searchsorted(CLASSES, label)] + 1.5 * rng.normal(size=(120, 12))
    rows = pd.DataFrame(
        {
            "cell_id": [f"c{i:03d}" for i in range(120)],
            "label": label,
            "group": [f"slide{i // 5:02d}" for i in range(120)],
            "split": "",
            "source": "drawn",
        }
    )
    params = yaml.safe_load((Path(__file__).parents[2] / "params.demo.yaml").read_text())
    params["prepare"]["folds"]["n_splits"] = 2
    params["generators"] = {"none": {}, "jitter": {}, "smote": {}}
    params["report"]["generator"] = "smote"
    params["sweep"]["classifiers"] = {"logistic": {}, "knn": {}}
    params["jobs"] = 1
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    made = Project(root)
    made.embeddings.parent.mkdir()
    EmbeddingSet(X.astype(np.float32), rows).save(made.embeddings)
    made.folds.parent.mkdir()
    write_folds(make_folds(rows, FoldParams(n_splits=2), seed=0), made.folds)
    return made
