"""How much longer than merely decoding the images an import takes, and how much memory.

    python bench/importing.py [--images 20000] [--jobs 2] [--repeats 3] [--formats png jpg]

Makes its own images, 360x360 like the Acevedo set's, in a temporary folder. Decoding is
`PIL.Image.load` in a pool of as many processes. Importing copies, hashes and validates in the same
pass; `validate` afterwards reads everything once more. Repeats are interleaved and the fastest of
each counts, since other work on the machine only ever adds time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import psutil
from PIL import Image, ImageFilter

from bloomdiff.data.importers import import_cells
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.validate import validate_manifest
from bloomdiff.files import read_json, write_json

RESULTS = Path(__file__).parent / "results" / "importing.json"
SIDE = 360
DISTINCT = 64  # pictures; the other files repeat them under new names


def paint(seed: int) -> Image.Image:
    """A dark, textured nucleus in a pale cell among red cells, with a camera's noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    rgb = np.full((SIDE, SIDE, 3), (235.0, 225.0, 220.0))
    blobs = [
        ((SIDE / 2, SIDE / 2), 110, (190, 170, 205)),
        ((SIDE / 2, SIDE / 2), 70, (95, 50, 130)),
    ]
    red = [(tuple(rng.uniform(0, SIDE, 2)), 45, (215, 165, 160)) for _ in range(9)]
    for (y, x), radius, colour in [*red, *blobs]:
        rgb[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = colour
    chromatin = rng.normal(0, 40, (SIDE // 6, SIDE // 6))
    rgb += np.kron(chromatin, np.ones((6, 6)))[:, :, None] * (rgb[:, :, :1] < 100)
    picture = Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    noisy = np.asarray(picture) + rng.normal(0, 3, (SIDE, SIDE, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def make(folder: Path, suffix: str, n: int) -> float:
    """Write the images; return their mean size in bytes."""
    for number in range(n):
        path = folder / f"class{number % 8}" / f"{number:06d}.{suffix}"
        if number < DISTINCT:
            path.parent.mkdir(parents=True, exist_ok=True)
            paint(number).save(path, quality=90)
        else:
            first = number % DISTINCT
            shutil.copyfile(folder / f"class{first % 8}" / f"{first:06d}.{suffix}", path)
    return sum(file.stat().st_size for file in folder.rglob("*.*")) / n


def decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def decode_all(files: list[Path], jobs: int) -> None:
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for _ in pool.imap_unordered(decode, files, chunksize=64):
            pass


def processor_seconds() -> float:
    """Processor time so far of this process, its children and theirs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds, processor seconds, and the peak of resident memory in MiB."""
    this = psutil.Process()
    peak = {"parent": 0, "all": 0}
    done = threading.Event()

    def watch() -> None:
        # Looking for children reads the whole process table: often enough, it would be measured.
        while True:
            own = this.memory_info().rss
            children = 0
            for child in this.children(recursive=True):
                try:
                    children += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak["parent"] = max(peak["parent"], own)
            peak["all"] = max(peak["all"], own + children)
            if done.wait(0.5):
                break

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, processor = time.perf_counter(), processor_seconds()
    work()
    seconds, processor = time.perf_counter() - start, processor_seconds() - processor
    done.set()
    watcher.join()
    return {"seconds": seconds, "processor": processor} | {
        f"{k}_mib": v / 2**20 for k, v in peak.items()
    }


def bench(suffix: str, n: int, jobs: int, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        size = make(root / "lab", suffix, n)
        files = sorted((root / "lab").rglob(f"*.{suffix}"))
        runs: dict[str, list[dict[str, float]]] = {"decode": [], "import": [], "validate": []}

        def load() -> None:
            import_cells("folder", root / "lab", root / "out", jobs=jobs, replace=True)

        def check() -> None:
            validate_manifest(read_manifest(root / "out" / "manifest.csv"), root / "out", jobs=jobs)

        for _ in range(repeats):
            runs["decode"].append(measured(lambda: decode_all(files, jobs)))
            shutil.rmtree(root / "out", ignore_errors=True)
            runs["import"].append(measured(load))
            runs["validate"].append(measured(check))
    best = {name: min(values, key=lambda run: run["seconds"]) for name, values in runs.items()}
    base = best["decode"]["seconds"]
    processor = {name: min(run["processor"] for run in values) for name, values in runs.items()}
    return {
        "format": suffix,
        "images": n,
        "bytes_per_image": round(size),
        "jobs": jobs,
        "repeats": repeats,
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "decode_seconds": round(base, 2),
        "import_seconds": round(best["import"]["seconds"], 2),
        "import_over_decode": round(best["import"]["seconds"] / base, 2),
        "validate_again_seconds": round(best["validate"]["seconds"], 2),
        "validate_again_over_decode": round(best["validate"]["seconds"] / base, 2),
        "decode_processor_seconds": round(processor["decode"], 2),
        "import_processor_seconds": round(processor["import"], 2),
        "import_processor_over_decode": round(processor["import"] / processor["decode"], 2),
        "validate_again_processor_over_decode": round(
            processor["validate"] / processor["decode"], 2
        ),
        "import_peak_mib": round(best["import"]["all_mib"]),
        "import_peak_mib_parent": round(best["import"]["parent_mib"]),
        "decode_seconds_all": [round(run["seconds"], 2) for run in runs["decode"]],
        "import_seconds_all": [round(run["seconds"], 2) for run in runs["import"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=["png", "jpg"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    kept = read_json(options.results)["rows"] if options.results.exists() else []
    rows = {(row["format"], row["images"]): row for row in kept}
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "pillow": PIL.__version__,
    }
    for suffix in options.formats:
        # A quarter of the images first: memory that grows with their number shows in the pair.
        for n in (options.images // 4, options.images):
            row = bench(suffix, n, options.jobs, options.repeats)
            rows[suffix, n] = row
            # Told after each, so that a run that is cut short keeps what it has.
            write_json(
                options.results, {"machine": machine, "rows": [rows[key] for key in sorted(rows)]}
            )
            print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
