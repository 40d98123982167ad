"""Is it the views? Whitening by the right views, by those of strangers, and by mixed-up ones.

    python bench/views_controls.py --cells CELLS

A gain as large as that of `bloomdiff.data.view_whitening` calls for a search for leaks. So real
cells only, five a class, are classified in the units of

- ``none``: the embeddings as they are;
- ``own``: the views of the labelled cells, as the benchmark does it;
- ``strangers``: as many cells of another set, from another laboratory, none of which is ever
  trained on or tested: what helps here cannot have leaked;
- ``mixed up``: the labelled cells' views, dealt out among them at random, so that they tell how
  cells differ and no longer how one cell's views do: this must not help.

The classifier is the benchmark's `real only`, tuned inside the labelled cells. Figures go to
``bench/results/views_controls.md``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from augmenters_data import REGIMES, WITH_VIEWS, divide, load
from augmenters_methods import METHODS
from augmenters_tuning import compete
from augmenters_views import compare, points
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.files import atomic_file

ROOT = Path(__file__).parents[1]
PAIRS = {"blood-13": "marrow-6", "marrow-6": "blood-13"}  # whose cells are the strangers
REGIME = "5-shot"


def in_units(cells: EmbeddingSet, whitening: ViewWhitening | None) -> EmbeddingSet:
    """Embeddings in other units, without views: nothing is whitened again."""
    X = cells.X if whitening is None else whitening.transform(cells.X)
    return replace(cells, X=X, views=None)


def score(name: str, seed: int, build: Path, real: Path) -> dict[str, float]:
    """Macro-F1 in each of the units, on one division."""
    cells, strangers = (load(f"{n}{WITH_VIEWS}", build, real) for n in (name, PAIRS[name]))
    parts = divide(cells, REGIMES[REGIME], seed)
    rng = np.random.default_rng(seed)
    labelled = parts.labelled
    assert labelled.views is not None
    dealt = rng.permutation(labelled.views.reshape(-1, cells.dim)).reshape(labelled.views.shape)
    units = {
        "none": None,
        "own": ViewWhitening.of(labelled),
        "strangers": ViewWhitening.of(
            strangers.take(rng.choice(len(strangers), len(labelled), replace=False))
        ),
        "mixed up": ViewWhitening.of(replace(labelled, views=dealt)),
    }
    found = {}
    for unit, whitening in units.items():
        moved = replace(
            parts,
            labelled=in_units(labelled, whitening),
            pool=in_units(parts.pool, whitening),
            test=in_units(parts.test, whitening),
        )
        (scored,) = compete(METHODS["real only"], moved, ["logistic"], seed)
        found[unit] = scored["macro_f1"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", type=Path, required=True, help="folder of the real cells")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "augmenters")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    lines = [
        "# Whitening by views: controls\n",
        f"Macro-F1 of real cells only, {REGIMES[REGIME].shots} labelled a class, in points,"
        f" mean of {options.seeds} divisions; in brackets the difference from `none` and its 95 %"
        " interval. What the units are: `bench/views_controls.py`.\n",
        "| set | none | own | strangers | mixed up |",
        "|---|---|---|---|---|",
    ]
    for name in PAIRS:
        rows = [score(name, s, options.build, options.cells) for s in tqdm(range(options.seeds))]
        wide = pd.DataFrame(rows)
        cells = [f"{100 * wide['none'].mean():.1f}"]
        for unit in ("own", "strangers", "mixed up"):
            difference = compare(wide, unit, "none")
            told = "" if difference is None else f" ({points(difference)})"
            cells.append(f"{100 * wide[unit].mean():.1f}{told}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    with atomic_file(ROOT / "bench" / "results" / "views_controls.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
