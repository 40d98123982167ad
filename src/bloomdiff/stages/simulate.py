"""Replay annotation: which strategy would have spared the expert how many labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_manifest
from bloomdiff.experiments.tracking import ChildRun, StageRun
from bloomdiff.files import atomic_dir, read_json, sha256_file, write_json
from bloomdiff.selection.curves import curve_table, found_at, outcome, summarise, to_markdown
from bloomdiff.selection.simulation import Judge, by_strategy, full_score, hold_out, replay
from bloomdiff.stages.project import Project
from bloomdiff.stages.work import finish, key_of, run_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORE = "macro_f1"


def run(project: Project, run: StageRun) -> None:
    """Write `reports/selection`: every curve, every outcome, the summary and a figure."""
    params = project.params
    settings = params.simulate
    seeds = range(params.seed, params.seed + settings.n_seeds)
    units = [(str(seed), name) for seed in seeds for name in settings.strategies]
    working = project.working / "simulate"
    done = run_units(
        partial(simulate_one, project),
        units,
        working=working,
        key=key_of(
            settings.model_dump(mode="json"),
            params.judge,
            params.judge_params,
            sha256_file(project.embeddings),
            sha256_file(project.cells) if project.cells.exists() else "",
        ),
        jobs=params.jobs,
        describe="simulate",
    )
    curves, outcomes = [], []
    for unit in units:
        told = {"strategy": unit[1], "seed": int(unit[0])}
        steps = pd.read_parquet(done(unit) / "curve.parquet")
        curves.append(steps.assign(strategy=unit[1], seed=int(unit[0])))
        figures = read_json(done(unit) / "outcome.json")
        outcomes.append(
            {**told, **{k: float("inf") if v is None else v for k, v in figures.items()}}
        )
    table, curve = pd.DataFrame(outcomes), pd.concat(curves, ignore_index=True)
    summary = summarise(
        table, confidence=params.report.confidence, test_fraction=1 / settings.n_splits
    )
    with atomic_dir(project.selection, stale="*") as folder:
        curve.to_parquet(folder / "curves.parquet", index=False)
        table.to_parquet(folder / "outcomes.parquet", index=False)
        text = to_markdown(summary, score="macro-F1", confidence=params.report.confidence)
        (folder / "summary.md").write_text(text, encoding="utf-8")
        _figure(curve).savefig(folder / "curves.png", metadata={"Software": None})
    told = {f"classifier.{name}": value for name, value in params.judge_params.items()}
    run.log_params({"classifier": params.judge, **told, "seeds": len(seeds)})
    run.log_metrics(
        {f"area.{name}": v for name, v in zip(summary["strategy"], summary["area"], strict=True)}
    )
    run.log_children(_child(row) for row in outcomes)
    run.log_artifact(project.selection / "summary.md")
    finish(working)


def simulate_one(project: Project, folder: Path, seed: str, strategy: str) -> None:
    """Replay one strategy on one division of the cells; all strategies of a seed share it."""
    settings, number = project.params.simulate, int(seed)
    judge = Judge(project.params.judge, project.params.judge_params)
    pool, test = hold_out(_with_fields(project), settings.n_splits, number)
    budgets = [b for b in settings.budgets if b < len(pool)] or [len(pool)]
    played = replay(
        pool,
        test,
        by_strategy(strategy, settings.strategies[strategy]),
        budgets=budgets,
        seed=number,
        judge=judge,
    )
    full = full_score(pool, test, seed=number, judge=judge)[SCORE]
    figures = outcome(pool, played, full, SCORE)
    figures |= {f"found_{k}.{name}": v for (name, k), v in found_at(pool, played.order).items()}
    curve_table(played).to_parquet(folder / "curve.parquet", index=False)
    # JSON has no infinity: what was never reached is null.
    finite = {k: v if v < float("inf") else None for k, v in figures.items()}
    write_json(folder / "outcome.json", finite)


def _with_fields(project: Project) -> EmbeddingSet:
    """The embedded cells, and the field of view of each where the manifest tells it."""
    cells = EmbeddingSet.load(project.embeddings)
    if not project.cells.exists():  # embeddings of one's own, without images
        return cells
    manifest = read_manifest(project.cells)
    if "field" not in manifest:
        return cells
    field = cells.rows["cell_id"].map(manifest.set_index("cell_id")["field"]).fillna("")
    return replace(cells, rows=cells.rows.assign(field=field))


def _child(row: dict[str, object]) -> ChildRun:
    name = f"{row['strategy']} seed {row['seed']}"
    metrics = {k: float(str(v)) for k, v in row.items() if k not in ("strategy", "seed")}
    # What was never reached has no figure: the store would turn infinity into the largest double.
    safe = {k.replace("%", "pct"): v for k, v in metrics.items() if np.isfinite(v)}
    params = {"strategy": row["strategy"], "seed": row["seed"]}
    return ChildRun(name, params, safe, {"kind": "selection"})


def _figure(curve: pd.DataFrame) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    mean = curve.groupby(["strategy", "budget"])[SCORE].mean().unstack(0)
    for name in mean.columns:
        plain = name == "random"
        axes.plot(mean.index, mean[name], label=name, color="gray" if plain else None, lw=2)
    axes.set(xlabel="labels", ylabel="macro-F1 on cells apart")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
