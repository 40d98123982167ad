"""The queue of the explorer is the one that `bloomdiff select` makes."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import write_manifest
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.stages.label_queue import SHOWN, queue_html
from bloomdiff.stages.project import Project

ROOT = Path(__file__).parents[2]


def make(folder: Path, n_labelled: int) -> tuple[Project, pd.DataFrame, EmbeddingSet]:
    """Sixty cells of two classes, so many of them labelled."""
    shutil.copy(ROOT / "params.yaml", folder)
    project = Project(folder)
    rng = np.random.default_rng(5)
    y = np.arange(60) % 2
    names = [f"lab/c{i:02d}" for i in range(60)]
    cells = pd.DataFrame(
        {
            "cell_id": names,
            "path": [f"images/{name}.png" for name in names],
            "label": [("a", "b")[k] if i < n_labelled else "" for i, k in enumerate(y)],
            "group": names,
            "split": "",
            "source": "lab",
            "width": 12,
            "height": 12,
            "blake3": "",
        }
    )
    for path in cells["path"]:
        (project.data / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(project.data / path)
    project.cells.parent.mkdir(parents=True)
    write_manifest(cells, project.cells)
    X = (rng.normal(size=(60, 6)) + 3 * y[:, None]).astype(np.float32)
    embeddings = EmbeddingSet(X, cells[["cell_id", "label", "group"]], {})
    embeddings.save(project.embeddings)
    return project, cells, embeddings


def test_the_queue_is_that_of_select(tmp_path):
    project, cells, embeddings = make(tmp_path, 10)
    html = queue_html(project)
    plan = Plan(seed=project.params.seed, limits=Limits(objects=60 - 10))
    table = build_queue(cells, embeddings, plan, images=project.data).table.head(SHOWN)
    at = [html.index(f'alt="{cell}"') for cell in table["cell_id"]]
    assert at == sorted(at)
    assert len(at) == html.count("<li>") == SHOWN
    assert f"of {60 - 10} cells without a label" in html
    assert [html.count(reason) > 0 for reason in table["reason"]] == [True] * SHOWN
    assert queue_html(project) == html


def test_what_a_cell_stands_for_is_what_select_tells(tmp_path):
    project, cells, embeddings = make(tmp_path, 0)
    plan = Plan(seed=project.params.seed, limits=Limits(objects=60))
    table = build_queue(cells, embeddings, plan, images=project.data).table
    html = queue_html(project)
    assert [reason in html for reason in table["reason"][:SHOWN]] == [True] * SHOWN


@pytest.mark.parametrize(("n_labelled", "cells"), [(57, 3), (0, SHOWN)])
def test_a_small_pool_and_a_cold_start(tmp_path, n_labelled, cells):
    project, *_ = make(tmp_path, n_labelled)
    assert queue_html(project).count("<li>") == cells


def test_without_a_pool_the_page_says_so(tmp_path):
    project, *_ = make(tmp_path, 60)
    assert "Every cell has a label" in queue_html(project)
