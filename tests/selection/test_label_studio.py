"""Our tasks in a running Label Studio: it takes them, and its own export comes back.

Start one with an SQLite database, for example

    pip install label-studio    # into an environment of its own
    LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true label-studio start --no-browser \\
        --username lab@example.org --password ... --user-token TOKEN

and tell the test: ``LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_API_KEY=TOKEN``.
"""

import json
import os

import pytest
import requests
from lab import FIELD, make, truth_of
from PIL import Image
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.selection.exchange import FORMATS, Sheet
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue

URL = os.environ.get("LABEL_STUDIO_URL", "")


class Studio:
    """Label Studio's API."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token {os.environ['LABEL_STUDIO_API_KEY']}"

    def __call__(self, method, path, **more):
        answer = self.session.request(method, f"{URL}/api/{path}", timeout=120, **more)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def studio():
    if not URL:
        pytest.skip("LABEL_STUDIO_URL names no running Label Studio")
    return Studio()


@pytest.mark.parametrize("whole", [True, False], ids=["crops", "fields"])
def test_label_studio_takes_the_tasks_and_gives_the_labels_back(studio, tmp_path, whole):
    cells, embeddings = make(tmp_path)
    fields = tmp_path / "fields"
    fields.mkdir()
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(fields / name)
    write_manifest(cells, tmp_path / "manifest.csv")
    queue = build_queue(cells, embeddings, Plan(limits=Limits(objects=9)))
    queue.save(tmp_path / "queue.parquet")
    sheet = Sheet.of(queue, tmp_path, None if whole else fields)
    FORMATS["label-studio"]().write(sheet, tmp_path / "tasks")
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    config = (tmp_path / "tasks" / "label_config.xml").read_text()

    project = studio("POST", "projects/", json={"title": "cells", "label_config": config})["id"]
    try:
        told = studio("POST", f"projects/{project}/import?return_task_ids=true", json=tasks)
        assert told["task_count"] == len(tasks)
        assert told["prediction_count"] == sum(len(task["predictions"]) for task in tasks)
        labelled = annotate(studio, told["task_ids"])
        export = studio("GET", f"projects/{project}/export?exportType=JSON")
    finally:
        studio("DELETE", f"projects/{project}/")

    file = tmp_path / "export.json"
    file.write_text(json.dumps(export))
    command = ["select", "import", str(file), "--format", "label-studio"]
    command += ["--data", str(tmp_path), "--queue", str(tmp_path / "queue.parquet")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    after = read_manifest(tmp_path / "manifest.csv").set_index("cell_id")["label"]
    before = cells.set_index("cell_id")["label"]
    assert labelled
    assert {cell: after[cell] for cell in labelled} == labelled
    assert (after.drop(list(labelled)) == before.drop(list(labelled))).all()


def annotate(studio, ids):
    """Accept what is predicted, corrected, as the interface does; the last task stays open."""
    labelled = {}
    for number in ids[:-1]:
        task = studio("GET", f"tasks/{number}/")
        (prediction,) = task["predictions"]
        for region in prediction["result"]:
            cell = task["data"]["cells"][region["id"]]
            labelled[cell] = truth_of(cell)
            region["value"][region["type"]] = [labelled[cell]]
        result = {"result": prediction["result"], "parent_prediction": prediction["id"]}
        studio("POST", f"tasks/{number}/annotations/", json=result)
    return labelled
