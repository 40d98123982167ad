import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from bloomdiff.cli import embeddings as embeddings_cli
from bloomdiff.cli import encoders as encoders_cli
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.encoders import embed_cells
from bloomdiff.errors import InputError


def run(*arguments: str):
    app = typer.Typer()
    app.add_typer(embeddings_cli.app, name="embeddings")
    encoders_cli.register(app)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_encoder_is_listed_with_its_card() -> None:
    lines = run("encoders").splitlines()
    names = [line.split()[0] for line in lines[1:]]
    assert names == [
        "colour-histogram",
        *(f"dinobloom-{x}" for x in "bgls"),
        "dinov2-s",
        "file:PATH",
        "timm:NAME",
    ]
    (bloom,) = [line for line in lines if line.startswith("dinobloom-g")]
    for part in ("1536", "224 px", "Apache-2.0", "Zenodo 10908163", "bone-marrow"):
        assert part in bloom


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom bloomdiff.cli import encoders\nencoders.list_encoders()\n"
        "print('heavy', [m for m in ('torch', 'timm', 'pandas', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy []"


def test_export_and_import(images, stub, tmp_path: Path) -> None:
    import anndata

    cells, root = images
    source = tmp_path / "cells.parquet"
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    made.save(source)
    given = ["--embeddings", str(source)]
    run("embeddings", "export", str(tmp_path / "x.h5ad"), "--to", "anndata", *given)
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "x.h5ad").X, made.X)
    run("embeddings", "export", str(tmp_path / "x.parquet"), "--to", "parquet", *given)
    np.testing.assert_array_equal(EmbeddingSet.load(tmp_path / "x.parquet").X, made.X)
    bags = str(tmp_path / "bags")
    run("embeddings", "export", bags, "--to", "bags", "--layout", "trident", *given)
    assert h5py.File(tmp_path / "bags" / "g0.h5")["coords"].shape == (2, 2)
    text = run("embeddings", "import-bags", bags, "--out", str(tmp_path / "back.parquet"))
    assert "10 embeddings of 8 numbers from 5 bags" in text
    back = EmbeddingSet.load(tmp_path / "back.parquet").select(made.cell_id)
    np.testing.assert_array_equal(back.X, made.X)
    pd.testing.assert_frame_equal(back.rows[made.rows.columns], made.rows, check_dtype=False)


def test_bags_never_take_the_place_of_other_files(
    images, stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, root = images
    embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0).save(tmp_path / "x.parquet")
    results = tmp_path / "results"
    results.mkdir()
    (results / "thesis.docx").write_text("mine")
    monkeypatch.chdir(results)
    given = ["--to", "bags", "--embeddings", str(tmp_path / "x.parquet")]
    for out in (str(results), "."):
        with pytest.raises(InputError, match=r"; name a new or empty folder$"):
            run("embeddings", "export", out, *given)
    assert [file.name for file in results.iterdir()] == ["thesis.docx"]
    for _ in range(2):
        run("embeddings", "export", str(results / "bags"), *given)
    assert len(list((results / "bags").iterdir())) == 5
