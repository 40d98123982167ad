"""Run the whole pipeline on real cells, one data set after the other, and keep what it printed.

    python bench/real_cells.py CELLS --sets blood bone_marrow bccd

Each set gets a copy of the project under build/real/, where `dvc repro` runs on its cells; a second
call takes up where a first one stopped. The report's table goes to bench/results/real_cells/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class RealSet:
    """A set of real cells: how it is imported, and the parameters that it needs."""

    command: tuple[str, ...]
    params: dict[str, object] = field(default_factory=dict)


SETS = {
    "blood": RealSet(("acevedo", "pbc-thirteen")),
    "bone_marrow": RealSet(("bone-marrow", "bone-marrow")),
    "bccd": RealSet(
        ("voc", "bccd", "--types", "bccd/wbc_types.csv", "--drop", "BASOPHIL", "--common-classes"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cells", type=Path, help="folder that holds the real cells")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=sorted(SETS))
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "real_cells")
    options = parser.parse_args()
    for name in options.sets:
        seconds = run(name, SETS[name], options.cells.resolve())
        keep(name, seconds, options.out)


def run(name: str, real: RealSet, cells: Path) -> float:
    """Import the cells into a workspace of their own and run the pipeline there; seconds taken."""
    workspace = ROOT / "build" / "real" / name
    subprocess.run([ROOT / ".ci" / "workspace", workspace], check=True)
    override(workspace / "params.yaml", real.params)
    if not (workspace / "data" / "manifest.csv").exists():
        kind, folder, *rest = real.command
        rest = [str(cells / a) if a.endswith(".csv") else a for a in rest]
        call(workspace, "bloomdiff", "data", "import", kind, str(cells / folder), *rest)
    call(workspace, "dvc", "add", "--quiet", "data")
    begin = time.monotonic()
    call(workspace, "dvc", "repro")
    return time.monotonic() - begin


def override(path: Path, params: dict[str, object]) -> None:
    import yaml

    content = yaml.safe_load(path.read_text())
    for key, value in params.items():
        *parents, last = key.split(".")
        block = content
        for parent in parents:
            block = block[parent]
        block[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def call(workspace: Path, *command: str) -> None:
    print(f"[{workspace.name}] $ {' '.join(command)}", flush=True)
    subprocess.run(command, cwd=workspace, check=True)


def keep(name: str, seconds: float, out: Path) -> None:
    workspace = ROOT / "build" / "real" / name
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    report = workspace / "reports" / "report"
    for file in (report / "report.md", report / "summary.txt", *report.glob("*.png")):
        shutil.copy(file, folder / file.name)
    shutil.copy(workspace / "reports" / "metrics.json", folder / "metrics.json")
    print((folder / "summary.txt").read_text())
    record = {"seconds": round(seconds)}
    (folder / "run.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
