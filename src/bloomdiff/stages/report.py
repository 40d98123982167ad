"""What people read: DVC metrics and plots, the curves as a picture, the page, the printed table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.sources import pretraining_warning
from bloomdiff.experiments.analysis.clinic import DECISIONS
from bloomdiff.experiments.analysis.inflation import inflation_table
from bloomdiff.experiments.analysis.tables import Choices, Results, all_tables
from bloomdiff.experiments.fidelity import reading_table
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.experiments.summary import METHOD, REAL_ONLY, fraction_tested, summarise
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, atomic_file, read_json, read_table, write_json
from bloomdiff.report.caution_section import caution_section
from bloomdiff.report.diagrams import critical_difference, reject_curves, shot_figure
from bloomdiff.report.fidelity_sections import fidelity_sections
from bloomdiff.report.figures import confusion_figure, ratio_curves
from bloomdiff.report.page import page
from bloomdiff.report.render_section import render_section
from bloomdiff.report.tables import at_ratio, legend, ratio_grid, text_table
from bloomdiff.report.usefulness_sections import usefulness_sections
from bloomdiff.stages.explorer import explorer_page
from bloomdiff.stages.project import Project
from bloomdiff.stages.register import register_with_report
from bloomdiff.stages.swept import read_sweep
from bloomdiff.stages.tuned import read_studies

Tables = dict[str, pd.DataFrame]


def run(project: Project, run: StageRun) -> None:
    """Write metrics, plots, tables, page and the table of runs."""
    params = project.params
    primary, ratio = params.primary, ratio_name(params.report.ratio)
    prepared = read_json(project.prepare_report)
    embeddings = EmbeddingSet.load(project.embeddings)
    results = read_results(project, embeddings)
    summaries: Tables = {}
    sentences: dict[str, str] = {}
    # The page sets the primary one above the others.
    for name in sorted(params.sweep.classifiers, key=lambda name: name != primary):
        summaries[name], sentences[name] = summarise(
            results.scores[results.scores["classifier"] == name],
            metric="macro_f1",
            allocation=params.sweep.allocation,
            confidence=params.report.confidence,
            beforehand=(params.report.generator, params.report.ratio),
        )
    tables = report_tables(project, results, summaries)
    confidence = params.report.confidence
    head, rows = ratio_grid(summaries[primary], confidence)
    title = (
        f"Macro-F1 in points, mean [{100 * confidence:g} % interval], "
        f"{primary} classifier, on real test cells only"
    )
    text = "\n".join([title, text_table(head, rows), legend(confidence), sentences[primary]])
    images = render_section(read_json(project.render_report), confidence)
    told = facts(results.scores, prepared, embeddings.header)
    warned = warnings(prepared, params.encoder)
    with atomic_dir(project.report, stale="*") as folder:
        draw(tables, summaries[primary], primary, ratio, folder)
        write_confusions(project, primary, folder)
        (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")
        (folder / "report.md").write_text(
            page(
                sentence=sentences[primary],
                summaries=summaries,
                sections=[
                    *usefulness_sections(tables, ratio, primary=primary),
                    *fidelity_sections(tables, ratio),
                    *filter(None, [caution_section(tables["caution"]), images]),
                ],
                facts=told,
                warnings=warned,
                counts=prepared["classes"],
                confidence=confidence,
            ),
            encoding="utf-8",
        )
        (folder / "index.html").write_text(
            explorer_page(
                project,
                tables=tables,
                summary=summaries[primary],
                sentence=sentences[primary],
                predictions=results.predictions,
                facts=told,
                warnings=warned,
                counts=prepared["classes"],
            ),
            encoding="utf-8",
        )
        (folder / "tables").mkdir()
        for name, table in tables.items():
            table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)
    found = flat_metrics(summaries[primary]) | secondary_metrics(tables, ratio)
    write_json(project.metrics, found)
    write_plot(summaries[primary], project.root / "reports" / "ratio_curves.csv")
    for path in sorted(project.report.iterdir()):
        if path.is_file():
            run.log_artifact(path)
    for path in sorted((project.report / "tables").iterdir()):
        run.log_artifact(path, "report/tables")
    run.log_metrics({f"best.{k}": v for k, v in best_of(summaries[primary]).items()})
    run.log_metrics(
        {
            f"{score}.{generator}": value
            for score, methods in secondary_metrics(tables, ratio).items()
            for generator, value in methods.items()
        }
    )
    run.set_tags({"answer": sentences[primary]})
    run.export_runs(project.runs)
    register_with_report(project, run)
    print(text)


def read_results(project: Project, embeddings: EmbeddingSet) -> Results:
    """Read what the stages wrote."""
    return Results(
        **read_sweep(project, "scores", "per_class", "predictions", "calibration"),
        fidelity=read_table(project.fidelity),
        morphology=read_table(project.morphology),
        folds=read_table(project.folds),
        cells=embeddings.rows,
        generator_studies=read_studies(project.generator_params),
        classifier_studies=read_studies(project.classifier_params),
    )


def report_tables(project: Project, results: Results, summaries: Tables) -> Tables:
    """Every table of the page; `macro_f1` has all classifiers, and the bootstrap of the primary."""
    params = project.params
    choices = Choices(
        primary=params.primary,
        ratio=params.report.ratio,
        tuning_ratio=params.tune_generator.ratio,
        confidence=params.report.confidence,
        costs=params.report.costs,
        slide_cells=params.report.slide_cells,
        seed=params.seed,
    )
    tables = all_tables(results, choices)
    bootstrap = tables.pop("bootstrap").assign(classifier=params.primary)
    every = pd.concat(
        [table.assign(classifier=name) for name, table in summaries.items()], ignore_index=True
    )
    tables["macro_f1"] = every.merge(bootstrap, on=[*METHOD, "classifier"], how="left")
    tables["fidelity"] = reading_table(results.fidelity)
    tables["caution"] = inflation_table(
        read_table(project.caution),
        results.scores,
        test_fraction=fraction_tested(results.scores),
        confidence=params.report.confidence,
    )
    return tables


def draw(tables: Tables, summary: pd.DataFrame, primary: str, ratio: str, folder: Path) -> None:
    """Draw the figures of the page."""
    ratio_curves(
        summary, folder / "ratio_curves.png", score="macro-F1", title=f"{primary} classifier"
    )
    reject_curves(at_ratio(tables["reject"], ratio), folder / "reject_curves.png")
    shot_figure(at_ratio(tables["class_gains"], ratio), folder / "shot_gains.png")
    if len(tables["ranks"]):
        critical_difference(tables["ranks"], folder / "critical_difference.png")


def facts(scores: pd.DataFrame, prepared: dict[str, Any], encoder: dict[str, Any]) -> list[str]:
    """Say what the figures rest on, one line each."""
    folds, seeds = scores["fold"].nunique(), scores["seed"].nunique()
    return [
        f"{prepared['cells']} cells of {len(prepared['classes'])} classes in "
        f"{prepared['groups']} groups, from {', '.join(prepared['sources'])}",
        f"encoder {encoder['encoder']}, weights {encoder['digest'][:12]}",
        f"{folds} outer folds that no group straddles; {seeds} seeds within each",
        "generators, classifiers and their tuning saw the training part of each fold alone",
        "test cells are real; their groups are checked against every artefact's fingerprint",
        "intervals: corrected resampled t over folds (Nadeau and Bengio 2003), seeds averaged",
    ]


def warnings(prepared: dict[str, Any], encoder: str) -> list[str]:
    """Say what may mislead."""
    told = pretraining_warning(prepared["sources"], encoder)
    return [*([told] if told else []), *prepared.get("warnings", [])]


def flat_metrics(summary: pd.DataFrame) -> dict[str, Any]:
    """Metrics for `dvc metrics`: generator, then ratio, then mean and gain, in shares."""
    nested: dict[str, Any] = {}
    shown = summary[[*METHOD, "mean", "low", "high", "gain", "gain_low", "gain_high"]]
    for key, row in shown.set_index(METHOD).T.to_dict().items():
        generator, ratio = cast(tuple[str, str], key)
        spelled = {str(k): round(float(v), 6) for k, v in row.items() if not np.isnan(v)}
        nested.setdefault(generator, {})[f"ratio_{ratio}"] = spelled
    return {"macro_f1": nested}


def secondary_metrics(tables: Tables, ratio: str) -> dict[str, dict[str, float]]:
    """Means at the ratio named beforehand: score, then generator (`none` is real cells only)."""
    costs = tables["costs"][tables["costs"]["decision"] == DECISIONS[0]].assign(score="cost")
    shares = tables["differential"]
    if len(shares):
        shares = shares.assign(score="differential_" + shares["score"])
    long = pd.concat([tables["calibration"], costs, shares], ignore_index=True)
    return {
        str(score): {
            str(row["generator"]): round(float(row["mean"]), 6) for _, row in part.iterrows()
        }
        for score, part in at_ratio(long, ratio).groupby("score", sort=False)
    }


def best_of(table: pd.DataFrame) -> dict[str, float]:
    """Best mean macro-F1 of each generator over the ratios."""
    return {str(name): float(part["mean"].max()) for name, part in table.groupby("generator")}


def write_plot(table: pd.DataFrame, path: Path) -> None:
    """Write the curves for `dvc plots`."""
    plain = table.rename(columns={"mean": "macro_f1"})[
        ["generator", "ratio", "macro_f1", "low", "high"]
    ]
    with atomic_file(path) as temporary:
        plain.to_csv(temporary, index=False)


def write_confusions(project: Project, primary: str, folder: Path) -> None:
    """Draw real-only's confusion matrix, summed over folds; seeds repeat cells, so the first."""
    confusion = read_table(project.scores / "confusion.parquet")
    own = confusion[
        (confusion["classifier"] == primary)
        & (confusion["generator"] == REAL_ONLY)
        & (confusion["seed"] == confusion["seed"].min())
    ]
    # Two classes that no fold tests together are never taken for one another.
    counts = own.pivot_table(
        index="true", columns="predicted", values="n", aggfunc="sum", fill_value=0
    )
    confusion_figure(
        counts, folder / "confusion_real_only.png", title="real cells only, all test folds"
    )
