"""The ratio curves in MLflow's own page, in a real browser, by the selection that the docs give."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bloomdiff.experiments.mlflow_store import ui_command
from bloomdiff.experiments.tracking import pipeline_run
from bloomdiff.params import load_params
from bloomdiff.stages.children import curve_runs

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
]
VALUES = {
    ("none", "0"): (0.50, 0.54),
    ("smote", "1"): (0.55, 0.57),
    ("smote", "2.5"): (0.58, 0.52),
    ("smote", "inf"): (0.10, 0.10),
    ("diffusion", "1"): (0.60, 0.64),
    ("diffusion", "2.5"): (0.61, 0.67),
    ("diffusion", "inf"): (0.20, 0.20),
}


def scores(primary):
    rows = [
        {"fold": f"r0f{fold}", "generator": name, "ratio": ratio, "seed": 0, "macro_f1": value}
        for (name, ratio), values in VALUES.items()
        for fold, value in enumerate(values)
    ]
    table = pd.DataFrame(rows).assign(classifier=primary)
    return pd.concat([table, table.assign(classifier="another", macro_f1=0.0)])


def selection():
    """The address that docs/tracking.md gives, from behind the port on."""
    (line,) = [
        line.strip()
        for line in (ROOT / "docs" / "tracking.md").read_text().splitlines()
        if line.strip().startswith("http://127.0.0.1:5000/#/experiments/")
    ]
    return line.removeprefix("http://127.0.0.1:5000")


def test_the_documented_selection_draws_the_ratio_curves(root, tmp_path, serve, port):
    params = load_params(ROOT / "params.demo.yaml")
    with pipeline_run(root, stage="classify", experiment="bloomdiff") as run:
        run.log_children(curve_runs(scores(params.primary), params))
    with serve(ui_command(root, port), tmp_path) as server, playwright.sync_playwright() as driver:
        found = server.get("/api/2.0/mlflow/experiments/get-by-name", experiment_name="bloomdiff")
        assert json.loads(found)["experiment"]["experiment_id"] == "1"  # as in the address
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 800})
        page.goto(server.uri + selection())
        page.wait_for_selector(".js-plotly-plot path.js-line", timeout=90_000)
        drawn = page.evaluate(
            """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot =>
                plot.data.map(line => [line.name, [...line.x], [...line.y]]))"""
        )
        browser.close()
    lines = {name: dict(zip(x, y, strict=True)) for name, x, y in drawn if x}
    expected = {
        "smote ratio curve": {0: 0.52, 100: 0.56, 250: 0.55},
        "diffusion ratio curve": {0: 0.52, 100: 0.62, 250: 0.64},
    }
    assert set(lines) == set(expected)
    for name, curve in expected.items():
        assert {int(x): y for x, y in lines[name].items()} == pytest.approx(curve)
