"""Does the decoder draw cells that are recognised, and in how many minutes?

    python bench/decoder.py phantom --minutes 16
    python bench/decoder.py blood --cells CELLS --minutes 16
    python bench/decoder.py blood --cells CELLS --steps 3000 --width 64

Runs the stages up to `render` in a copy of the project under build/decoder/, with one generator,
its defaults, and the first of five folds. `--minutes` is the time of the decoder's training: the
steps that fit into it are counted beforehand on this machine, so that the result depends on how
busy it is; `--steps` gives the same model everywhere. What was drawn is kept with its scores under
bench/results/decoder/: a JSON file, a table and a contact sheet for each set of cells.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.files import read_json, write_json
from bloomdiff.imaging.decoder import fit_decoder
from bloomdiff.report.render_section import render_section
from bloomdiff.stages import render, run_stage
from bloomdiff.stages.project import Project

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "decoder"
IMPORTS = {
    "blood": ("acevedo", "pbc-thirteen"),
    "bone_marrow": ("bone-marrow", "bone-marrow"),
}
BEFORE = ("prepare", "embed", "tune_generator", "fit_generator", "synthesize", "tune_classifier")
CONFIDENCE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("set", choices=["phantom", *IMPORTS])
    parser.add_argument("--cells", type=Path, help="folder that holds the real cells")
    parser.add_argument("--minutes", type=float, help="of the decoder's training")
    parser.add_argument("--steps", type=int, help="of the decoder's training")
    parser.add_argument("--width", type=int, help="channels of the U-Net's first resolution")
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--n-cells", type=int, default=500, help="synthetic cells that are drawn")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if (options.minutes is None) == (options.steps is None):
        parser.error("give either --minutes or --steps")
    if options.set in IMPORTS and options.cells is None:
        parser.error(f"{options.set} needs --cells")
    project = workspace(options)
    for stage in BEFORE:
        subprocess.run(["bloomdiff", "stage", stage], cwd=project.root, check=True)
    if options.minutes is not None:
        own = {"n_steps": max(50, round(60 * options.minutes / seconds_a_step(project)))}
        project = with_params(project, render=own)
    seconds = timed_render(project)
    keep(project, options.set, seconds, options.out)


def workspace(options: argparse.Namespace) -> Project:
    """A copy of the project with the cells asked for, and embeddings that are there already."""
    root = ROOT / "build" / "decoder" / options.set
    subprocess.run([ROOT / ".ci" / "workspace", root], check=True)
    if not (root / "data" / "manifest.csv").exists():
        if options.set in IMPORTS:
            kind, folder = IMPORTS[options.set]
            cells = options.cells.resolve() / folder
            subprocess.run(["bloomdiff", "data", "import", kind, cells], cwd=root, check=True)
        else:
            subprocess.run(["bloomdiff", "data", "phantom"], cwd=root, check=True)
    for cache in ("embeddings", "encoders"):
        if (ROOT / ".bloomdiff" / cache).exists() and not (root / ".bloomdiff" / cache).exists():
            shutil.copytree(ROOT / ".bloomdiff" / cache, root / ".bloomdiff" / cache)
    given = {"n_steps": options.steps, "width": options.width, "guidance": options.guidance}
    given |= {"enabled": True, "n_cells": options.n_cells}
    return with_params(
        Project(root),
        generators={"none": {}, "diffusion": {}},
        tune_generator={"enabled": False},
        tune_classifier={"enabled": False},
        sweep={"n_seeds": 1, "ratios": [0, 1]},
        render={key: value for key, value in given.items() if value is not None},
    )


def with_params(project: Project, **blocks: dict[str, Any]) -> Project:
    path = project.root / "params.yaml"
    content = yaml.safe_load(path.read_text())
    for name, values in blocks.items():
        content[name] = values if name == "generators" else {**content[name], **values}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return Project(project.root)


def seconds_a_step(project: Project, n: int = 40) -> float:
    """Of training, on noise: a longer fit less a shorter one, so that starting does not count.

    The first fit of a process, which imports the U-Net, is thrown away.
    """
    from dataclasses import replace

    from bloomdiff.imaging import ImageDiffusion

    config = project.params.render.config
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, config.image_size, config.image_size, 3)).astype(np.uint8)
    vectors = rng.normal(size=(64, 384)).astype(np.float32)
    taken = []
    for steps in (3, 3, 3 + n):
        begin = time.monotonic()
        ImageDiffusion(replace(config, n_steps=steps), device=project.params.device).fit(
            images, vectors, fingerprint=Fingerprint.empty(), seed=0
        )
        taken.append(time.monotonic() - begin)
    return (taken[-1] - taken[-2]) / n


def timed_render(project: Project) -> dict[str, float]:
    """Run the stage; wall-clock seconds of the training and of the whole."""
    taken: dict[str, float] = {}

    def timed_fit(*args: Any, **more: Any) -> Any:
        begin = time.monotonic()
        model = fit_decoder(*args, **more)
        taken["training"] = time.monotonic() - begin
        return model

    begin = time.monotonic()
    with patch.object(render, "fit_decoder", timed_fit):
        run_stage("render", project.root)
    return {**taken, "stage": time.monotonic() - begin}


def keep(project: Project, name: str, seconds: dict[str, float], out: Path) -> None:
    """Write scores, table and contact sheet, and print the table."""
    import torch

    from bloomdiff.threads import usable_cores

    report = read_json(project.render_report)
    section = render_section(report, CONFIDENCE)
    assert section is not None, "the stage was enabled"
    cores = f"processor of {usable_cores()} cores"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cores
    told = {
        "report": report,
        "params": project.params.render.model_dump(mode="json"),
        "encoder": project.params.encoder,
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "device": device,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{name}.json", told)
    minutes = " and ".join(f"{value / 60:.1f} minutes of {key}" for key, value in seconds.items())
    knobs = json.dumps(told["params"])
    text = f"{section.markdown()}\n\n{minutes}, on {device}. Parameters: `{knobs}`.\n"
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copy(project.renders / "contact_sheet.png", out / f"{name}.png")
    print(text)


if __name__ == "__main__":
    main()
