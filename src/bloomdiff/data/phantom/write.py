"""Draw a whole phantom into a folder: pictures, manifest, true morphology."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bloomdiff.data.images import pixel_digest
from bloomdiff.data.manifest import write_manifest
from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.params import PhantomParams
from bloomdiff.data.phantom.render import render_cell
from bloomdiff.data.phantom.smear import slide_name, slide_of_cells
from bloomdiff.data.schema import VERIFIED
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.files import atomic_dir, atomic_file

SOURCE = "phantom"
MANIFEST = "manifest.csv"
MORPHOLOGY = "morphology.parquet"


def class_counts(params: PhantomParams) -> dict[str, int]:
    """Cells of each class: Matek 2019's frequencies scaled to `n_cells` above the floor.

    Classes under the floor are raised to it, and the others share what remains by their
    frequencies; the largest remainders are rounded up, so that the counts add up to `n_cells`.

    Raises
    ------
    ParameterError
        `n_cells` cannot hold `min_per_class` cells of each class.
    """
    floor, total = params.min_per_class, params.n_cells
    if floor * len(TYPES) > total:
        raise ParameterError(
            "phantom.n_cells",
            f"{total} cells cannot hold {floor} of each of {len(TYPES)} classes",
            f"ask for at least {floor * len(TYPES)} or lower min_per_class",
        )
    counts: dict[str, int] = {}
    free = dict(sorted((name, kind.count) for name, kind in TYPES.items()))
    while True:
        left = total - floor * len(counts)
        share = {name: left * count / sum(free.values()) for name, count in free.items()}
        low = [name for name in free if share[name] < floor]
        if not low:
            break
        counts |= dict.fromkeys(low, floor)
        free = {name: count for name, count in free.items() if name not in low}
    counts |= {name: int(value) for name, value in share.items()}
    by_remainder = sorted(share, key=lambda name: (int(share[name]) - share[name], name))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return {name: counts[name] for name in TYPES}


def _draw(
    label: str, number: int, slide: int, params: PhantomParams, seed: int, folder: Path
) -> dict[str, str | int | float]:
    """Draw one cell, write its picture under `folder`, and return its row of both tables."""
    from PIL import Image

    picture = render_cell(label, number, slide, params, seed=seed)
    cell_id = f"{label}-{number:05d}"
    # Huffman coding alone finds no repeats, so that the bytes do not depend on how this machine's
    # deflate searches for them; on noisy pictures it loses next to nothing.
    Image.fromarray(picture.rgb).save(
        folder / label / f"{cell_id}.png", compress_type=Image.HUFFMAN_ONLY
    )
    return {
        "cell_id": cell_id,
        "path": f"images/{SOURCE}/{label}/{cell_id}.png",
        "label": label,
        "group": slide_name(slide),
        "split": "",
        "source": SOURCE,
        "width": picture.rgb.shape[1],
        "height": picture.rgb.shape[0],
        "blake3": pixel_digest(picture.rgb),
        **picture.truth,
    }


def _draw_all(
    params: PhantomParams, seed: int, jobs: int, folder: Path
) -> Iterator[dict[str, str | int | float]]:
    from joblib import Parallel, delayed

    tasks = [
        delayed(_draw)(label, number, slide, params, seed, folder)
        for label, n in class_counts(params).items()
        for number, slide in enumerate(slide_of_cells(label, n, params, seed=seed))
    ]
    yield from Parallel(n_jobs=jobs, return_as="generator", batch_size=8)(tasks)


def _refuse_foreign(out: Path) -> None:
    """Raise if anything in the way was not drawn by `write_phantom`."""
    mend = "choose an empty folder or move them away"
    folder = out / "images" / SOURCE
    ours = re.compile(rf"({'|'.join(TYPES)})(/\1-\d{{5,}}\.png)?")
    for path in sorted(folder.rglob("*")):
        if not ours.fullmatch(path.relative_to(folder).as_posix()):
            raise InputError(str(path), "is not a cell of the phantom", mend)
    manifest = out / MANIFEST
    if manifest.exists():
        from bloomdiff.data.manifest import read_manifest

        cells = read_manifest(manifest)
        foreign = cells.query("source != @SOURCE")
        if len(foreign):
            raise InputError(
                f"{manifest}:{foreign.index[0] + 2}",
                f"lists {len(foreign)} cells that are not the phantom's",
                mend,
            )
        if VERIFIED in cells and (n := int((cells[VERIFIED] == "yes").sum())):
            raise InputError(str(manifest), f"holds an expert's labels of {n} cells", mend)
    truth = out / MORPHOLOGY
    if truth.exists() and not _is_truth(truth):
        raise InputError(str(truth), "is not a phantom's", mend)


def _is_truth(path: Path) -> bool:
    """Whether a file is a phantom's table of traits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return {"cell_id", "nucleus_area", "defocus"} <= set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid):
        return False


def write_phantom(out: str | Path, params: PhantomParams, *, seed: int, jobs: int = 2) -> None:
    """Draw the phantom into `out`, in place of an earlier phantom there.

    Writes ``images/phantom/<label>/<cell_id>.png``, ``manifest.csv`` and ``morphology.parquet``
    (`cell_id`, `label`, `group`, the fields of `Traits`, `cell_area` and `nucleus_area` in µm²,
    `neighbour`, `drift`, `defocus` in µm). The same seed and parameters give the same bytes;
    a phantom of fewer cells on as many slides has the same cells, only fewer of each class.
    The manifest is written last: where it is, everything is.

    Parameters
    ----------
    out
        Folder; made if missing.
    params
        Knobs.
    seed
        Seed of everything.
    jobs
        Processes.

    Raises
    ------
    InputError
        `out` holds images, a manifest or traits that are not the phantom's, or an expert's labels.
    ParameterError
        Fewer cells than the classes' floors.
    """
    from tqdm import tqdm

    out = Path(out)
    class_counts(params)
    _refuse_foreign(out)
    images = out / "images" / SOURCE
    with atomic_dir(images, stale="*") as folder:
        for label in TYPES:
            (folder / label).mkdir()
        rows = list(
            tqdm(
                _draw_all(params, seed, jobs, folder),
                total=params.n_cells,
                desc="phantom",
                unit="cell",
            )
        )
        # From here until the new manifest is in place the folder is not a phantom.
        (out / MANIFEST).unlink(missing_ok=True)
    table = pd.DataFrame(rows).sort_values("cell_id", ignore_index=True)
    manifest_columns = list(table.columns[:9])
    truth = table.drop(columns=["path", "split", "source", "width", "height", "blake3"])
    with atomic_file(out / MORPHOLOGY) as temporary:
        truth.to_parquet(temporary, index=False)
    write_manifest(table[manifest_columns], out / MANIFEST)
