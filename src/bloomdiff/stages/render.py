"""Optional: what the synthetic cells of the explorer look like, by a decoder of the first fold."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from bloomdiff.data.embedding_set import EmbeddingSet, Floats, SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.images import Pixels
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, sha256_file, write_json
from bloomdiff.generators.cell_images import CellImages
from bloomdiff.imaging.decoder import fit_decoder
from bloomdiff.metrics.neighbours import nearest
from bloomdiff.metrics.rendering import Drawn, judge_drawn
from bloomdiff.report.contact_sheet import contact_sheet
from bloomdiff.report.explorer.shown import shown
from bloomdiff.stages.explorer import classifier_of_real_cells, drawn
from bloomdiff.stages.inputs import FoldRows, cell_images, fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.rendered import images_of, rendered_set
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.work import finish, key_of, run_units

if TYPE_CHECKING:
    from bloomdiff.imaging import ImageDiffusion

Arrays = dict[str, npt.NDArray[Any]]
SHRUNK, TRAIN_SHRUNK = "held_out_shrunk", "training_shrunk"
NEAREST, RENDERED = "held_out_nearest", "held_out_rendered"
SAMPLING = ("guidance", "sampling_steps")
"""Knobs that a trained decoder may be used with otherwise than it was trained with."""


def run(project: Project, run: StageRun) -> None:
    """Write the rendered cells, a contact sheet and `render.json`; where disabled, no cell."""
    params = project.params
    fold = fold_names(project)[0]
    names = [name for own, name in synthetic_units(project) if own == fold]
    if not (params.render.enabled and names):
        with atomic_dir(project.renders, stale="*"):
            write_json(project.render_report, {"enabled": False, "scores": []})
        return
    decoder = fitted(project, fold)
    working = project.working / "render"
    key = key_of(
        params.render.model_dump(mode="json"),
        params.report.model_dump(mode="json"),
        params.sweep.model_dump(mode="json"),
        params.seeds,
        sha256_file(decoder / "image_model.json"),
        [sha256_file(project.synthetic_set(fold, name)) for name in names],
        *map(sha256_file, (project.cells, project.embeddings, project.folds)),
    )
    # One unit at a time: the decoder itself keeps all cores busy.
    run_all = partial(run_units, working=working, key=key, jobs=1)
    units = [("real", fold), *[("synthetic", fold, name) for name in names]]
    render = partial(render_one, project, decoder)
    done = run_all(render, units, describe="render")
    rows = load_rows(project, fold)
    real = load_file(done(("real", fold)) / "real.safetensors")
    sets = {
        name: SyntheticSet.load(done(("synthetic", fold, name)) / "set.parquet") for name in names
    }
    scores = judge(project, rows, real, sets)
    with atomic_dir(project.renders, stale="*") as folder:
        for name in names:
            shutil.copy(done(("synthetic", fold, name)) / "set.parquet", folder / f"{name}.parquet")
        (folder / "contact_sheet.png").write_bytes(sheet(project, rows, real, sets))
        decoder_of(project, decoder).save(folder / "decoder")
    told = {"enabled": True, "fold": fold, "image_size": params.render.image_size}
    write_json(project.render_report, {**told, "scores": scores})
    run.log_metrics(
        {
            f"render.{row['measure']}.{row['cells']}": row["value"]
            for row in scores
            if row["value"] is not None
        }
    )
    run.log_artifact(project.renders / "contact_sheet.png", "render")
    run.log_artifact(project.render_report, "render")
    finish(working)


def load_rows(project: Project, fold: str) -> FoldRows:
    """The fold with at most `n_cells` of its held-out cells, drawn at random."""
    rows, most = load_fold(project, fold), project.params.render.n_cells
    order = np.random.default_rng(project.params.seed).permutation(len(rows.test))
    return replace(rows, test=rows.test.take(np.sort(order[:most])))


def decoder_of(project: Project, folder: Path) -> ImageDiffusion:
    """The decoder that was trained, sampling as the parameters say now."""
    from bloomdiff.imaging import ImageDiffusion

    model = ImageDiffusion.load(folder, device=project.params.device)
    model.config = project.params.render.config
    return model


def fitted(project: Project, fold: str) -> Path:
    """Folder of the fold's decoder, which is kept: knobs of sampling need not train it again."""
    params = project.params
    working = project.working / "decoder"
    key = key_of(
        params.seed,
        params.render.model_dump(mode="json", exclude={"enabled", "n_cells", *SAMPLING}),
        *map(sha256_file, (project.cells, project.embeddings, project.folds)),
    )
    fit = partial(fit_one, project, working / key / "checkpoints")
    unit = ("decoder", fold)
    found = run_units(fit, [unit], working=working, key=key, jobs=1, describe="decoder")(unit)
    for other in working.iterdir():
        if other.name != key:
            shutil.rmtree(other)
    return found / "decoder"


def fit_one(project: Project, checkpoints: Path, folder: Path, kind: str, fold: str) -> None:
    """Fit the decoder on the fold's training cells; a fit that is killed leaves a checkpoint."""
    params, rows = project.params, load_fold(project, fold)
    images = cell_images(project).squares(
        rows.train.cell_id, params.render.image_size, fingerprint=rows.train.fingerprint
    )
    fit_decoder(
        rows.train,
        images,
        params.render,
        seed=params.seed,
        device=params.device,
        checkpoint_dir=checkpoints,
    ).save(folder / kind)


def render_one(
    project: Project, decoder: Path, folder: Path, kind: str, fold: str, *name: str
) -> None:
    """Draw and embed again: real cells, for floor and control, or one generator's cells."""
    params, rows = project.params, load_rows(project, fold)
    model = decoder_of(project, decoder)
    assert_disjoint(rows.test.group, model, what=f"the decoder of {fold}")
    pictures = cell_images(project)
    if kind == "real":
        save_file(real_arrays(project, rows, model, pictures), folder / "real.safetensors")
        return
    own = drawn(project, rows, *name)
    n_generators = len(params.generators) - ("none" in params.generators)
    most = max(1, params.render.n_cells // n_generators)
    cells = shown(len(own), most, name[0], params.seed).tolist()
    images = model.sample(own.X[cells], seed=params.seed)
    seen = pictures.embed(images)
    rendered_set(own, cells, images, seen, decoder=model.fingerprint).save(folder / "set.parquet")


def real_arrays(
    project: Project, rows: FoldRows, model: ImageDiffusion, pictures: CellImages
) -> Arrays:
    """Pixels and vectors of real cells: held out and training ones, shrunk, nearest, rendered."""
    size, seed = project.params.render.image_size, project.params.seed
    some = np.random.default_rng(seed).permutation(len(rows.train))[: len(rows.test)]
    train = rows.train.take(some)
    shrunk = pictures.squares(rows.test.cell_id, size, fingerprint=rows.test.fingerprint)
    near = nearest(rows.test.X.astype(np.float64), rows.train.X.astype(np.float64))[1][:, 0]

    def training(cells: EmbeddingSet) -> Pixels:
        return pictures.squares(cells.cell_id, size, fingerprint=rows.train.fingerprint)

    images = {
        SHRUNK: shrunk,
        TRAIN_SHRUNK: training(train),
        # What the explorer shows without a decoder: it must beat this to be worth its time.
        NEAREST: training(rows.train.take(near)),
        RENDERED: model.sample(rows.test.X, seed=seed),
    }
    vectors = {f"{name}.X": pictures.embed(own) for name, own in images.items()}
    return {**images, **vectors, "some_train": some}


def judge(
    project: Project, rows: FoldRows, real: Arrays, sets: dict[str, SyntheticSet]
) -> list[dict[str, Any]]:
    """Scores of the shrunk and the rendered cells; a value that cannot be told is None."""
    params = project.params
    classifier = classifier_of_real_cells(project, rows)

    def called(X: Floats) -> npt.NDArray[np.str_]:
        return np.asarray(rows.classes)[classifier.predict_proba(X).argmax(axis=1)]

    train = rows.train.take(real["some_train"])
    judged = [
        Drawn(name, own.X, real[f"{name}.X"], own.label, called(real[f"{name}.X"]), own.group)
        for name, own in (
            (SHRUNK, rows.test),
            (TRAIN_SHRUNK, train),
            (NEAREST, rows.test),
            (RENDERED, rows.test),
        )
    ]
    for name, seen in sets.items():
        asked = drawn(project, rows, name).take(seen.rows["cell"].to_numpy())
        judged.append(Drawn(name, asked.X, seen.X, asked.label, called(seen.X)))
    scores = [
        row
        for one in judged
        for row in judge_drawn(
            one,
            real[f"{SHRUNK}.X"],
            real_groups=rows.test.group,
            seed=params.seed,
            confidence=params.report.confidence,
        )
        # Held-out cells have no distance to themselves.
        if not (one.cells == SHRUNK and row["measure"] == "frechet")
    ]
    return [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in scores
    ]


def sheet(project: Project, rows: FoldRows, real: Arrays, sets: dict[str, SyntheticSet]) -> bytes:
    """One row a class: a held-out cell, and a synthetic cell of the method named beforehand."""
    size = project.params.render.image_size
    pictures = cell_images(project)
    beforehand = project.params.report.generator
    name = beforehand if beforehand in sets else next(iter(sets))
    own = sets[name]
    asked = drawn(project, rows, name).take(own.rows["cell"].to_numpy())
    train = rows.train.X.astype(np.float64)
    blank = np.full((size, size, 3), 255, np.uint8)

    def beside(X: Floats) -> Pixels:
        near = nearest(X[None].astype(np.float64), train)[1][0]
        cell = rows.train.take(near)
        return pictures.squares(cell.cell_id, size, fingerprint=cell.fingerprint)[0]

    columns: list[list[Pixels]] = [[] for _ in range(5)]
    for label in rows.classes:
        found: list[Pixels] = [blank] * 5
        if len(held := np.flatnonzero(rows.test.label == label)):
            i = held[0]
            found[:3] = real[SHRUNK][i], beside(rows.test.X[i]), real[RENDERED][i]
        if len(made := np.flatnonzero(own.label == label)):
            found[3:] = images_of(own.take(made[:1]))[0], beside(asked.X[made[0]])
        for column, picture in zip(columns, found, strict=True):
            column.append(picture)
    titles = [
        "real cell,\nheld out",
        "its nearest\ntraining cell",
        "rendered of its\nembedding",
        "synthetic cell,\nrendered",
        "its nearest\ntraining cell",
    ]
    return contact_sheet(
        [(title, np.stack(own)) for title, own in zip(titles, columns, strict=True)], rows.classes
    )
