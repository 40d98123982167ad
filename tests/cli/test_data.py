from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bloomdiff.cli.data import app
from bloomdiff.data.manifest import read_manifest
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.files import read_yaml, write_yaml


def run(*words: object) -> Result:
    """Run a command; what it raises is raised."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("EOS/P1_a.png", "EOS/P1_b.png", "MON/P2_c.png", "KSC/P2_d.png"):
        path = tmp_path / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return tmp_path / "lab"


def lines(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()]


def test_import_prints_cells_and_groups_of_each_class(lab: Path, tmp_path: Path) -> None:
    result = run(
        "import", "folder", lab, "--out", tmp_path / "data", "--group", r"P\d", "--jobs", 1
    )
    assert lines(result) == [
        ["source", "class", "cells", "groups"],
        ["lab", "EOS", "2", "1"],
        ["lab", "KSC", "1", "1"],
        ["lab", "MON", "1", "1"],
        ["4", "cells,", "2", "groups"],
    ]
    assert "import lab" in result.stderr
    checked = run("validate", tmp_path / "data", "--jobs", 1)
    assert checked.stdout == result.stdout


def test_classes_are_mapped_dropped_and_kept(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = ("import", "folder", lab, "--out", out, "--jobs", 1)
    run(*words, "--drop", "KSC", "--map", "EOS=eosinophil", "--map", "MON=monocyte")
    assert set(read_manifest(out / "manifest.csv")["label"]) == {"eosinophil", "monocyte"}
    run(*words, "--replace", "--keep", "EOS", "--keep", "KSC")
    assert set(read_manifest(out / "manifest.csv")["label"]) == {"EOS", "KSC"}
    run(*words, "--append", "--source", "second", "--common-classes", "--drop", "KSC")
    cells = read_manifest(out / "manifest.csv")
    assert set(cells["label"]) == {"eosinophil"}
    assert set(cells["source"]) == {"lab", "second"}


def test_options_reach_the_importer(lab: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("datei;typ;box_x;box_y;box_width;box_height\nP1_a.png;EOS;20;10;10;6\n")
    run(
        *("import", "csv", table, "--out", tmp_path / "data", "--jobs", 1, "--margin", 0.5),
        *("--column", "path=datei", "--column", "label=typ"),
        *("--set", f"images={lab / 'EOS'}", "--set", "separator=;"),
    )
    cells = read_manifest(tmp_path / "data" / "manifest.csv")
    assert cells[["label", "width", "height"]].to_numpy().tolist() == [["EOS", 20, 20]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import", "foldr", "{lab}"), "did you mean 'folder'"),
        (("import", "folder", "{lab}", "--margin", "1"), "margin: is not a known key"),
        (("import", "folder", "{lab}", "--map", "EOS"), "--map 'EOS': has no '='"),
        (("import", "folder", "{lab}", "--set", "group"), "--set 'group': has no '='"),
        (("import", "folder", "{lab}", "--set", "group=[a"), "is not YAML"),
        (("phantom", "--set", "n_cells=2024-13-45"), "is not YAML"),
        (("import", "folder", "{lab}", "--drop", "BAS"), "class 'BAS': is not in the data"),
    ],
)
def test_slips_on_the_command_line(
    lab: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    given = [word.format(lab=lab) for word in words]
    more = () if words[0] == "phantom" else ("--jobs", 1)
    with pytest.raises(ParameterError, match=told.replace("[", r"\[")):
        run(*given, "--out", tmp_path / "data", *more)
    assert not (tmp_path / "data").exists()


def test_what_was_left_out_is_told_on_standard_error(lab: Path, tmp_path: Path) -> None:
    (lab / "notes.txt").write_text("x")
    result = run("import", "folder", lab, "--out", tmp_path / "data", "--jobs", 1)
    assert "1 .txt file(s) are no images" in result.stderr
    assert "notes" not in result.stdout


def test_validate_tells_what_is_wrong(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    run("import", "folder", lab, "--out", out, "--jobs", 1)
    with pytest.raises(InputError, match="label 'EOS' is unknown"):
        run("validate", out, "--jobs", 1, "--class", "MON", "--class", "KSC")
    (out / "images" / "lab" / "MON" / "P2_c.png").unlink()
    with pytest.raises(InputError, match=r"row 5, .*P2_c\.png: no such image"):
        run("validate", out, "--jobs", 1)
    with pytest.raises(InputError, match=r"manifest\.csv: no such file"):
        run("validate", tmp_path / "none")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Calls of `write_phantom`, which then draws eleven small cells."""
    from bloomdiff.data import phantom

    calls: list[dict[str, Any]] = []
    draw = phantom.write_phantom

    def record(out: Path, params: Any, *, seed: int, jobs: int = 2) -> None:
        calls.append({"params": params, "seed": seed})
        small = {"n_cells": 14, "n_slides": 2, "image_size": 32, "min_per_class": 1}
        draw(out, params.model_copy(update=small), seed=seed, jobs=jobs)

    monkeypatch.setattr(phantom, "write_phantom", record)
    return calls


def test_the_phantom_by_its_defaults_and_by_options(
    tmp_path: Path, written: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no params.yaml is
    out = tmp_path / "data"
    words = ("phantom", "--out", out, "--jobs", 1)
    result = run(*words)
    assert result.stdout.splitlines()[-1].startswith("14 cells, 2 groups")
    assert written[0]["seed"] == 0
    run(*words, "--seed", 4, "--set", "overlap=0.5")
    assert written[1]["seed"] == 4
    assert written[1]["params"].overlap == 0.5
    assert written[1]["params"].n_cells == written[0]["params"].n_cells
    with pytest.raises(ParameterError, match="overlp"):
        run(*words, "--set", "overlp=0.5")
    with pytest.raises(InputError, match=r"elsewhere/params\.yaml: no such file"):
        run(*words, "--project", tmp_path / "elsewhere")


def test_the_phantom_by_params_yaml(tmp_path: Path, written: list[dict[str, Any]]) -> None:
    params = read_yaml(Path(__file__).parents[2] / "params.yaml")
    write_yaml(tmp_path / "params.yaml", params | {"seed": 7, "phantom": {"noise": 9.5}})
    run("phantom", "--out", tmp_path / "data", "--project", tmp_path, "--jobs", 1)
    assert written[0]["seed"] == 7
    assert written[0]["params"].noise == 9.5
