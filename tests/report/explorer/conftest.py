"""A small fold of cells whose names try to break out of the page."""

import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.report.explorer import (
    Page,
    build_scene,
    confusion_chart,
    ratio_chart,
    reliability_chart,
    render,
)
from bloomdiff.report.explorer.pictures import Picture
from bloomdiff.report.explorer.thumbnails import data_uri
from bloomdiff.report.page import Section

EVIL = '<script>window.hacked = "yes"</script><img src=x onerror="window.hacked=1">'
CLASSES = sorted([EVIL, "lymphocyte", "monocyte"])


def real_set(rng, n, prefix):
    label = np.array(CLASSES)[np.arange(n) % 3]
    X = rng.normal(size=(n, 8)) + 4 * np.eye(3, 8)[np.arange(n) % 3]
    ids = [f"{prefix}-{i}" for i in range(n)]
    ids[0] = f"{prefix}-<b>{EVIL}"
    rows = pd.DataFrame({"cell_id": ids, "label": label, "group": ids})
    return EmbeddingSet(X.astype(np.float32), rows, {})


def synthetic_set(train, rng, n, scale):
    """Noisy copies of training cells: row i is near training row i."""
    X = train.X[:n] + scale * rng.normal(size=(n, train.dim)).astype(np.float32)
    return SyntheticSet.make(
        X.astype(np.float32),
        train.label[:n],
        generator="g",
        seed=0,
        guidance=math.nan,
        fingerprint=train.fingerprint,
    )


def picture_of(row):
    """A rendered cell whose shade tells its row."""
    return Picture(data_uri(Image.new("RGB", (64, 64), (2 * row, 90, 200))), row / 200)


@pytest.fixture(scope="session")
def cells(tmp_path_factory):
    """Arguments of `build_scene`."""
    rng = np.random.default_rng(3)
    train, test = real_set(rng, 150, "train"), real_set(rng, 60, "test")
    folder = tmp_path_factory.mktemp("images")
    images = {}
    for number, name in enumerate([*train.cell_id, *test.cell_id]):
        images[str(name)] = folder / f"{number}.png"
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        Image.new("RGB", (64, 48), colour).save(images[str(name)])
    synthetic = {
        "copycat": synthetic_set(train, rng, 90, 0.0),
        "diffusion": synthetic_set(train, rng, 120, 0.8),
    }
    proba = {name: rng.dirichlet(np.ones(3), len(own)) for name, own in synthetic.items()}
    return {
        "fold": "r0f0",
        "train": train,
        "test": test,
        "synthetic": synthetic,
        "proba": proba,
        "classes": CLASSES,
        "images": images,
        "seed": 0,
        # Every second cell of one generator.
        "rendered": {"diffusion": {row: picture_of(row) for row in range(0, 120, 2)}},
    }


@pytest.fixture(scope="session")
def scene(cells):
    return build_scene(**cells)


@pytest.fixture(scope="session")
def summary():
    rows = [("none", "0", 0.6), *(("diffusion", r, 0.65) for r in ("1", "inf"))]
    table = pd.DataFrame([*rows, ("copycat", "1", 0.61)], columns=["generator", "ratio", "mean"])
    return table.assign(low=table["mean"] - 0.05, high=table["mean"] + 0.05)


@pytest.fixture(scope="session")
def page(scene, summary):
    counts = pd.DataFrame([[5, 1, 0], [2, 7, 1], [0, 0, 0]], CLASSES, CLASSES)
    sure = np.linspace(0.05, 1, 40)
    rows = [[EVIL, "trusted"], ["density", "**not trustworthy** (2 of 5 folds)"]]
    table = Section("Metrics", "See `tables/` and **this**.", ["metric", "verdict"], rows)
    return Page(
        sentence=f"Nothing helped {EVIL}.",
        warnings=[f"seen before: {EVIL}"],
        legend="A legend.",
        classes=Section("Gain by class", "", ["class", "real cells"], [[EVIL, "7"]]),
        metrics=table,
        calibration=Section("Calibration", "Nothing.", ["method"], [["real cells only"]]),
        others=[table],
        facts=[f"encoder {EVIL}"],
        parameters=f"encoder: {EVIL}",
        scene=scene,
        generator="diffusion",
        ratio="ratio 1",
        curves=ratio_chart(summary, beforehand="diffusion"),
        reliability=reliability_chart({EVIL: (sure > 0.5, sure)}),
        confusions={name: confusion_chart(counts) for name in ("none", "diffusion", "copycat")},
        queue="<p>No cell waits for a label.</p>",
    )


@pytest.fixture(scope="session")
def html(page):
    return render(page)
