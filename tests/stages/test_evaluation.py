"""From embedded cells to the page, with two planted generators that must be caught on the way."""

import sqlite3

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.data.manifest import write_manifest
from bloomdiff.errors import ParameterError
from bloomdiff.files import read_json, write_json
from bloomdiff.generators import GENERATORS
from bloomdiff.generators.jitter import JitterGenerator
from bloomdiff.stages import inputs, run_stage
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.project import Project

STAGES = [
    *("tune_generator", "fit_generator", "synthesize", "evaluate"),
    *("tune_classifier", "classify", "caution", "render", "report"),
]


class Liar(JitterGenerator):
    """Honest rows, eight in ten of which belong to the next class."""

    name = "liar"

    def _sample_class(self, index, n, rng):
        own = super()._sample_class(index, n, rng)
        other = super()._sample_class((index + 1) % len(self.classes_), n, rng)
        return np.where(rng.random(n)[:, None] < 0.8, other, own)


def changed(project, block, **values):
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[block] |= values
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    return Project(project.root)


def pictured(rows, folder):
    """The manifest of the cells, each with a plain picture under `folder`."""
    (folder / "images").mkdir(parents=True)
    for number, name in enumerate(rows["cell_id"]):
        Image.new("RGB", (16, 16), (number, 90, 140)).save(folder / "images" / f"{name}.png")
    paths = "images/" + rows["cell_id"] + ".png"
    digests = [pixel_digest(read_rgb(folder / path)) for path in paths]
    return rows.assign(path=paths, width=16, height=16, blake3=digests)


@pytest.fixture
def planted(project, monkeypatch):
    """The project with a copying and a lying generator, and known morphology."""
    monkeypatch.setitem(GENERATORS._entries, "liar", Liar)
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    params["generators"] = {"none": {}, "oversample": {}, "liar": {}, "smote": {}, "gaussian": {}}
    params["sweep"] |= {"ratios": [0, 1], "classifiers": {"logistic": {}}}
    params["tune_generator"]["enabled"] = params["tune_classifier"]["enabled"] = False
    params["report"] |= {"slide_cells": 5}
    (project.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    cells = EmbeddingSet.load(project.embeddings)
    header = {"encoder": "drawn", "digest": "0" * 64}
    EmbeddingSet(cells.X, cells.rows, header).save(project.embeddings)
    write_manifest(pictured(cells.rows, project.data), project.cells)
    rng = np.random.default_rng(0)
    traits = {"diameter": cells.X[:, 0] + cells.X[:, 1], "unseen": rng.normal(size=len(cells))}
    pd.DataFrame({"cell_id": cells.cell_id, **traits}).to_parquet(project.traits)
    names, counts = np.unique(cells.label, return_counts=True)
    classes = {name: {"cells": int(n), "groups": 9} for name, n in zip(names, counts, strict=True)}
    report = {"cells": 120, "groups": 24, "sources": ["drawn"], "classes": classes}
    write_json(project.prepare_report, report)
    return Project(project.root)


@pytest.mark.slow
def test_planted_faults_are_caught_and_every_table_is_written(planted):
    for stage in STAGES:
        run_stage(stage, planted.root)
    fidelity = pd.read_parquet(planted.fidelity)
    overall = fidelity[fidelity["scope"] == "all classes"].set_index(["generator", "metric"])

    def caught(generator, metric):
        rows = overall.loc[[(generator, metric)]]
        higher = rows["better"] == "higher"
        return np.where(
            higher, rows["high"] < rows["floor_low"], rows["low"] > rows["floor_high"]
        ).all()

    for metric in ("neighbour_ratio", "authenticity", "duplicate_rate"):
        assert caught("oversample", metric), metric
        assert not caught("gaussian", metric), metric
    assert caught("liar", "label_agreement")
    assert not caught("gaussian", "label_agreement")

    morphology = pd.read_parquet(planted.morphology).query("scope == 'all classes'")
    by_name = morphology.groupby("parameter")
    assert by_name["error"].count().to_dict() == {"diameter": 8, "unseen": 0}
    assert by_name["r2"].min()["diameter"] > 0.9

    page = (planted.report / "report.md").read_text()
    for title in ("Calibration", "What the errors cost", "Differential count", "Morphology"):
        assert f"## {title}\n" in page
    metrics = read_json(planted.metrics)
    assert metrics["cost"]["liar"] > metrics["cost"]["none"]
    assert set(metrics) >= {"macro_f1", "ece", "ece_scaled", "differential_mean_absolute_error"}
    with sqlite3.connect(planted.root / "mlruns" / "mlflow.db") as store:
        told = dict(store.execute("select key, count(*) from latest_metrics group by key"))
    # Two folds, two seeds: real cells only and four generators; the synthetic sets have no seed.
    assert told["ece_scaled"] == told["temperature"] == 2 * 2 * 5
    assert told["morphology_error"] == 2 * 4
    assert told["report.cost.liar"] == 1

    # A cost for a class that nobody has is one line, and the page stays as it was.
    costs = {**planted.params.report.costs.model_dump(), "pairs": [["blaste", "monocyte", 2.0]]}
    wrong = changed(planted, "report", costs=costs)
    with pytest.raises(ParameterError, match="unknown class 'blaste'; use one of: basophil"):
        run_stage("report", wrong.root)
    assert (planted.report / "report.md").read_text() == page


def test_embeddings_are_read_once_and_again_where_the_file_changed(project, monkeypatch):
    reads = []
    load = EmbeddingSet.load
    monkeypatch.setattr(inputs.EmbeddingSet, "load", lambda path: reads.append(path) or load(path))
    inputs._embeddings.cache_clear()
    first, second = load_fold(project, "r0f0"), load_fold(project, "r0f1")
    assert len(reads) == 1
    assert set(first.test.cell_id).isdisjoint(second.test.cell_id)
    cells = load(project.embeddings)
    EmbeddingSet(cells.X + 1, cells.rows, cells.header).save(project.embeddings)
    assert load_fold(project, "r0f0").test.X.mean() == pytest.approx(first.test.X.mean() + 1)
    assert len(reads) == 2
