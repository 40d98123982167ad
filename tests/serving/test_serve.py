"""The registered model over HTTP, and by MLflow's own loader."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registered(swept):
    """The swept project with its model registered; URI of the store."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    done = CliRunner().invoke(app, ["runs", "register", "--project", str(swept.root)])
    assert done.exit_code == 0, done.output
    return swept, f"sqlite:///{swept.root}/mlruns/mlflow.db"


@pytest.fixture(scope="module")
def loaded(registered):
    import mlflow

    _, uri = registered
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        return mlflow.pyfunc.load_model("models:/bloomdiff@challenger")


@pytest.fixture(scope="module")
def served(registered, tmp_path_factory):
    """Address of `mlflow models serve` on the registered model."""
    _, uri = registered
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("served-log") / "server.log"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", "models:/bloomdiff@challenger", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1"]
    with log.open("w") as stream:
        server = subprocess.Popen(
            command,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            },
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{address}/ping", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.3)
        yield address
    finally:
        if server.poll() is None:
            os.killpg(server.pid, 15)
            server.wait(30)


def ask(address, request):
    sent = urllib.request.Request(
        f"{address}/invocations",
        data=json.dumps(request).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(sent, timeout=60) as answer:
        return json.load(answer)["predictions"]


def some_cells(project, n=3):
    cells = pd.read_parquet(project.cells).head(n)
    X = EmbeddingSet.load(project.embeddings).X[:n]
    return [project.data / path for path in cells["path"]], X


def test_png_over_http_is_answered_like_its_embedding(registered, served, loaded):
    project, _ = registered
    paths, X = some_cells(project)
    encoded = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    columns = {"columns": ["image"], "data": [[text] for text in encoded]}
    answer = ask(served, {"dataframe_split": columns})
    assert [set(row) >= {"cell_type", "confidence", "defer"} for row in answer] == [True] * 3
    expected = loaded.predict(pd.DataFrame({"embedding": X.astype(float).tolist()}))
    assert [row["cell_type"] for row in answer] == expected["cell_type"].tolist()
    np.testing.assert_allclose(
        [row["confidence"] for row in answer], expected["confidence"], rtol=1e-5
    )
    assert all(isinstance(row["defer"], bool) for row in answer)
    for row in answer:
        assert sum(v for k, v in row.items() if k.startswith("p.")) == pytest.approx(1)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH")
def test_the_documented_curl_is_answered(registered, served, tmp_path):
    project, _ = registered
    (path,), _ = some_cells(project, 1)
    shutil.copy(path, tmp_path / "cell.png")
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
    lines = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")]
    make, send = (
        next(line for line in lines if line.startswith(word)) for word in ("echo", "curl")
    )
    assert "http://127.0.0.1:5001" in send
    script = f"{make}\n{send.replace('http://127.0.0.1:5001', served)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (answer,) = json.loads(done.stdout)["predictions"]
    assert set(answer) >= {"cell_type", "confidence", "defer"}
    assert answer["confidence"] == max(v for k, v in answer.items() if k.startswith("p."))


def test_embeddings_over_http(registered, served):
    project, _ = registered
    _, X = some_cells(project, 2)
    records = [{"embedding": row.astype(float).tolist()} for row in X]
    assert len(ask(served, {"dataframe_records": records})) == 2


def test_what_is_not_an_image_is_told(served):
    text = base64.b64encode(b"not an image" * 40).decode()
    with pytest.raises(HTTPError) as refused:
        ask(served, {"dataframe_records": [{"image": text}]})
    assert b"image 0" in refused.value.read()


def test_bytes_paths_and_base64_are_the_same_image(registered, loaded):
    project, _ = registered
    (path,), _ = some_cells(project, 1)
    data = path.read_bytes()
    forms = [data, str(path), base64.b64encode(data).decode()]
    forms.append("data:image/png;base64," + forms[-1])
    forms.append(base64.encodebytes(data).decode())  # with line breaks, as `base64 cell.png` has it
    told = [loaded.predict(pd.DataFrame({"image": [form]})) for form in forms]
    for other in told[1:]:
        pd.testing.assert_frame_equal(told[0], other)


def test_answers_keep_the_index_of_what_was_asked(registered, loaded):
    """A part of a table is joined with its answers: by position it would be another cell's type."""
    project, _ = registered
    paths, _ = some_cells(project, 3)
    cells = pd.DataFrame({"image": map(str, paths)})
    part = loaded.predict(cells.iloc[[2, 1]])
    assert part.index.tolist() == [2, 1]
    every = loaded.predict(cells)
    pd.testing.assert_frame_equal(part, every.loc[[2, 1]], check_exact=False)


def test_wrong_columns_and_empty_tables(loaded):
    with pytest.raises(InputError, match=r"has no column image or embedding"):
        loaded.predict(pd.DataFrame({"picture": ["cell.png"]}))
    for column in ("image", "embedding"):
        told = loaded.predict(pd.DataFrame({column: pd.Series([], dtype=object)}))
        assert len(told) == 0
        assert {"cell_type", "confidence", "defer"} < set(told.columns)


def test_nothing_is_pickled_and_the_code_travels_along(registered):
    project, _ = registered
    models = [path.parent for path in (project.root / "mlruns").rglob("MLmodel")]
    (model,) = [folder for folder in models if (folder / "code").exists()]
    names = [path.name for path in model.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert (model / "code" / "bloomdiff" / "serving" / "pyfunc.py").exists()
    needed = (model / "requirements.txt").read_text()
    assert "torch==" in needed
    assert "bloomdiff" not in needed
