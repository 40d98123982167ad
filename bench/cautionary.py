"""By how many points CytoDiff's protocol flatters, on the same generators and cells.

    python bench/cautionary.py name=PROJECT ... [--generators smote diffusion] [--ratio 1]

PROJECT is a folder in which the pipeline has run up to `embed`: its embeddings and outer folds are
read, nothing is written there. Generators and the logistic regression keep their defaults in both
protocols. Writes bench/results/cautionary.md and .csv; a fold that is in the latter is not computed
again. With tuned hyper-parameters and on the report's page instead:

    dvc exp run -S protocol=cytodiff-2025
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from bloomdiff.experiments.analysis.inflation import inflation_table
from bloomdiff.experiments.caution import leaking_claims
from bloomdiff.experiments.ratios import Allocation, labels_wanted, ratio_name
from bloomdiff.experiments.summary import fraction_tested
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.generators import make_generator
from bloomdiff.report.caution_section import caution_section
from bloomdiff.stages.inputs import FoldRows, split
from projects import Done, folds_of, run_resumed

RESULTS = Path(__file__).parent / "results" / "cautionary.csv"
ALLOCATION: Allocation = "balance"
CLASSIFIER = "logistic"
SEEDS = (0, 1, 2)
LEAD = """
`protocol: cytodiff-2025` beside the honest protocol, on the same cells, generators, classifier and
seeds, with default hyper-parameters. Macro-F1 and differences in points, with 95 % intervals over
the folds (corrected resampled t). The last three columns add up to the difference: one fault after
another, as docs/protocol.md tells them. No figure under "claimed" says anything about real cells.
""".strip()
UNIT = ["data", "generator", "ratio", "fold"]


def honest(rows: FoldRows, name: str, ratio: float) -> list[dict[str, Any]]:
    """Score the generator as the pipeline does, with everything under the guard."""
    generator = make_generator(name, seed=0).fit_cells(rows.train, rows.pool)
    label = labels_wanted(rows.train.label, ratio, ALLOCATION)
    return [
        {"step": "honest", "seed": seed, "value": scored.scores["macro_f1"]}
        for seed in SEEDS
        for scored in sweep_fold(
            rows.train,
            rows.test,
            generator.synthesize(label, seed=seed),
            ratios=[ratio],
            seeds=[seed],
            allocation=ALLOCATION,
            classifiers={CLASSIFIER: {}},
            pool=rows.pool,
        )
    ]


def both(rows: FoldRows, number: int, data: str, name: str, ratio: float) -> pd.DataFrame:
    """Honest scores and leaking claims of one generator in one fold."""
    import torch

    torch.set_num_threads(1)
    claims = leaking_claims(
        rows.train,
        rows.test,
        rows.pool,
        make_generator(name, seed=0),
        number=number,
        ratio=ratio,
        seeds=SEEDS,
        allocation=ALLOCATION,
        classifier=(CLASSIFIER, {}),
    )
    told = [{"step": c.step, "seed": c.seed, "value": c.claimed} for c in claims]
    unit = {"data": data, "generator": name, "ratio": ratio_name(ratio), "fold": rows.name}
    sizes = {"n_train": len(rows.train), "n": len(rows.test)}
    return pd.DataFrame([{**unit, **sizes, **row} for row in honest(rows, name, ratio) + told])


def units(projects: list[str], names: list[str], ratio: float, done: Done) -> Iterator[Any]:
    for data, cells, number, fold in folds_of(projects):
        for name in names:
            if (data, name, ratio_name(ratio), fold.name) not in done:
                yield joblib.delayed(both)(split(cells, fold), number, data, name, ratio)


def tell(table: pd.DataFrame) -> str:
    """Spell the table as the report does, one section a data set and ratio."""
    parts = ["# What a leaking protocol would claim, measured", LEAD]
    table = table.assign(classifier=CLASSIFIER).sort_values([*UNIT, "seed"], kind="stable")
    for (data, ratio), own in table.groupby(["data", "ratio"], sort=True):
        scores = own[own["step"] == "honest"].rename(columns={"value": "macro_f1"})
        claims = own[own["step"] != "honest"].rename(columns={"value": "claimed"})
        found = inflation_table(
            claims, scores, test_fraction=fraction_tested(scores), confidence=0.95
        )
        section = caution_section(found)
        assert section is not None
        folds, cells = scores["fold"].nunique(), int((scores["n"] + scores["n_train"]).max())
        lead = f"{cells} cells, {folds} folds, {len(SEEDS)} seeds, ratio {ratio}, {CLASSIFIER}."
        parts.append(replace(section, title=str(data), lead=lead).markdown())
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("projects", nargs="*", help="name=folder")
    parser.add_argument("--generators", nargs="+", default=["oversample", "smote", "diffusion"])
    parser.add_argument("--ratio", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    missing = partial(units, options.projects, options.generators, options.ratio)
    run_resumed(missing, RESULTS, UNIT, ["seed"], tell, options.jobs)


if __name__ == "__main__":
    main()
