"""The optional stage: images of the first fold's synthetic cells, judged; or nothing, said so."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from altered import set_params
from PIL import Image

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.images import pixel_digest
from bloomdiff.encoders import load_encoder
from bloomdiff.errors import InputError, LeakageError
from bloomdiff.files import read_json
from bloomdiff.imaging import ImageDiffusion
from bloomdiff.report.render_section import render_section
from bloomdiff.stages import explorer, render, run_stage
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.rendered import images_of, rendered

pytest.importorskip("diffusers", reason="needs the extra image-space")

SIDE = 32
RENDER = {
    "enabled": True,
    "image_size": 16,
    "width": 16,
    "n_steps": 3,
    "batch_size": 4,
    "learning_rate": 0.001,
    "condition_noise": 0.0,
    "sampling_steps": 2,
    "guidance": 1.0,
    "n_cells": 12,
}


@pytest.fixture
def pictured(project):
    """The project with an image of each cell, coloured by its class, embedded and synthesized."""
    project = set_params(
        project,
        encoder="colour-histogram",
        embed={"image_size": None},
        render=RENDER,
        tune_generator={"enabled": False},
        tune_classifier={"enabled": False},
        sweep={"ratios": [0, 1], "n_seeds": 1},
        report={"ratio": 1},
    )
    rows = EmbeddingSet.load(project.embeddings).rows
    rng = np.random.default_rng(0)
    colours = dict(zip(sorted(set(rows["label"])), rng.integers(0, 200, (4, 3)), strict=True))
    records, images = [], []
    for cell, label, group in rows[["cell_id", "label", "group"]].itertuples(index=False):
        pixels = (colours[label] + rng.integers(0, 55, (SIDE, SIDE, 3))).astype(np.uint8)
        path = project.data / f"{cell}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        told = {"cell_id": cell, "path": path.name, "label": label, "group": group}
        records.append(told | {"split": "", "source": "drawn", "blake3": pixel_digest(pixels)})
        images.append(pixels)
    size = {"width": SIDE, "height": SIDE, "sha256": ""}
    pd.DataFrame(records).assign(**size).to_parquet(project.cells)
    encoder = load_encoder(project.params.encoder_params, cache_dir=project.working)
    EmbeddingSet(encoder.encode(images), rows, encoder.header).save(project.embeddings)
    for stage in ("tune_generator", "tune_classifier", "fit_generator", "synthesize"):
        run_stage(stage, project.root)
    return project


def test_disabled_it_writes_empty_outputs_and_loads_no_network(project, monkeypatch):
    set_params(project, render={"enabled": False})
    monkeypatch.setitem(sys.modules, "diffusers", None)
    run_stage("render", project.root)
    assert list(project.renders.iterdir()) == []
    report = json.loads(project.render_report.read_text())
    assert report == {"enabled": False, "scores": []}
    assert render_section(report, 0.95) is None


def test_the_first_folds_cells_are_drawn_judged_and_shown(pictured):
    run_stage("render", pictured.root)
    rows = load_fold(pictured, fold_names(pictured)[0])
    report = json.loads(pictured.render_report.read_text())
    assert report["fold"] == rows.name
    real = ["held_out_shrunk", "training_shrunk", "held_out_nearest", "held_out_rendered"]
    cells = [*real, "jitter", "smote"]
    assert list(dict.fromkeys(row["cells"] for row in report["scores"])) == cells
    with_interval = [row for row in report["scores"] if row["low"] is not None]
    for row in with_interval:
        assert row["low"] <= row["value"] <= row["high"], row
    # Cells of fewer than five slides are drawn here and there; synthetic ones have no slides.
    assert {row["cells"] for row in with_interval} >= {"jitter", "smote", "training_shrunk"}
    value = {(row["cells"], row["measure"]): row["value"] for row in report["scores"]}
    # Three steps teach nothing: real cells, shrunk, are far nearer to themselves.
    assert value["held_out_shrunk", "cosine"] > value["held_out_rendered", "cosine"]
    assert ("held_out_shrunk", "frechet") not in value
    section = render_section(report, 0.95)
    assert [row[0] for row in section.rows][-1] == "synthetic cells of smote, rendered"
    assert "not photographed" in section.lead
    assert all(len(row) == len(section.head) for row in section.rows)

    found = SyntheticSet.load(pictured.renders / "smote.parquet")
    assert len(found) == RENDER["n_cells"] // 2
    assert images_of(found).shape == (6, 16, 16, 3)
    assert set(found.rows["generator"]) == {"smote"}
    assert found.fingerprint.overlap(rows.test.group) == []
    own = explorer.drawn(pictured, rows, "smote")
    shown = rendered(pictured, rows, {"smote": own})["smote"]
    assert sorted(shown) == found.rows["cell"].tolist()
    assert all(one.uri.startswith("data:image/webp;base64,") for one in shown.values())
    with pytest.raises(InputError, match="dvc repro render"):
        rendered(pictured, rows, {"smote": own.take(np.arange(len(own))[::-1])})
    assert rendered(pictured, rows, {"another": own}) == {}
    with Image.open(pictured.renders / "contact_sheet.png") as sheet:
        assert sheet.size[1] > len(rows.classes) * 16


def test_the_benchmark_keeps_scores_times_and_pictures(pictured, tmp_path, capsys):
    benchmark = pytest.importorskip("decoder", reason="bench/ is not on the path")
    # Two steps are shorter than what else a busy machine does: that it is a number must do.
    assert np.isfinite(benchmark.seconds_a_step(pictured, n=2))
    taken = benchmark.timed_render(pictured)
    assert 0 < taken["training"] < taken["stage"]
    benchmark.keep(pictured, "drawn", taken, tmp_path)
    kept = json.loads((tmp_path / "drawn.json").read_text())
    assert kept["report"] == json.loads(pictured.render_report.read_text())
    assert kept["params"]["n_steps"] == 3
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "drawn.md").read_text()
    assert text.strip() == capsys.readouterr().out.strip()
    assert text.startswith("## Rendered cells")


def test_twice_gives_the_same_bytes(pictured):
    def outputs():
        run_stage("render", pictured.root)
        files = sorted(p for p in pictured.renders.rglob("*") if p.is_file())
        return {p.name: p.read_bytes() for p in [*files, pictured.render_report]}

    first = outputs()
    assert "state.safetensors" in first
    assert outputs() == first  # by the decoder that is kept
    shutil.rmtree(pictured.working)
    assert outputs() == first


def test_only_what_the_decoder_depends_on_trains_it_anew(pictured, monkeypatch):
    trained = []

    def counted(*args, **more):
        trained.append(args[2].n_steps)
        return fit_decoder(*args, **more)

    fit_decoder = render.fit_decoder
    monkeypatch.setattr(render, "fit_decoder", counted)
    run_stage("render", pictured.root)
    before = pictured.render_report.read_bytes()
    set_params(pictured, render={"n_cells": 4, "guidance": 3.0, "sampling_steps": 4})
    run_stage("render", pictured.root)
    assert trained == [3]
    assert pictured.render_report.read_bytes() != before
    kept = ImageDiffusion.load(pictured.renders / "decoder").config
    assert (kept.guidance, kept.sampling_steps) == (3.0, 4)
    set_params(pictured, render={"n_steps": 2})
    run_stage("render", pictured.root)
    assert trained == [3, 2]
    assert len(list((pictured.working / "decoder").iterdir())) == 1


def test_a_decoder_that_saw_test_cells_is_refused(pictured, tmp_path, monkeypatch):
    def leaking(train, images, params, **more):
        model = fit_decoder(train, images, params, **more)
        other = load_fold(pictured, fold_names(pictured)[0]).test
        model.fingerprint = model.fingerprint | other.fingerprint
        return model

    fit_decoder = render.fit_decoder
    monkeypatch.setattr(render, "fit_decoder", leaking)
    with pytest.raises(LeakageError, match="the decoder of"):
        run_stage("render", pictured.root)
    assert not pictured.render_report.exists()


def test_no_more_held_out_cells_are_drawn_than_asked_for(pictured, monkeypatch):
    drawn = []
    sample = ImageDiffusion.sample
    monkeypatch.setattr(
        ImageDiffusion, "sample", lambda self, X, **k: drawn.append(len(X)) or sample(self, X, **k)
    )
    set_params(pictured, render={"n_cells": 2})
    run_stage("render", pictured.root)
    assert max(drawn) == 2
    scores = read_json(pictured.render_report)["scores"]
    assert max(row["n"] for row in scores if row["cells"] == "held_out_rendered") == 2
