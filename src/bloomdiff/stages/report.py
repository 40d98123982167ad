"""What people read: DVC metrics and plots, the curves as a picture, the page, the printed table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.sources import pretraining_warning
from bloomdiff.experiments.fidelity import reading_table
from bloomdiff.experiments.summary import REAL_ONLY, summarise
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, atomic_file, read_json, write_json
from bloomdiff.report.figures import confusion_figure, ratio_curves
from bloomdiff.report.page import page
from bloomdiff.report.tables import LEGEND, ratio_grid, text_table
from bloomdiff.stages.project import Project

CURVES = "ratio_curves.png"


def run(project: Project, run: StageRun) -> None:
    """Write metrics, plots, page and the table of runs."""
    params = project.params
    tables = {
        name: pd.read_parquet(project.scores / f"{name}.parquet")
        for name in ("scores", "per_class", "confusion")
    }
    prepared = read_json(project.prepare_report)
    encoder = EmbeddingSet.load(project.embeddings).header
    primary = params.primary
    summaries: dict[str, pd.DataFrame] = {}
    sentences: dict[str, str] = {}
    for name in params.sweep.classifiers:
        summaries[name], sentences[name] = summarise(
            tables["scores"][tables["scores"]["classifier"] == name],
            metric="macro_f1",
            allocation=params.sweep.allocation,
            confidence=params.report.confidence,
            beforehand=(params.report.generator, params.report.ratio),
        )
    head, rows = ratio_grid(summaries[primary])
    title = (
        f"Macro-F1 in points, mean [{100 * params.report.confidence:g} % interval], "
        f"{primary} classifier, on real test cells only"
    )
    text = "\n".join([title, text_table(head, rows), LEGEND, sentences[primary]])
    with atomic_dir(project.report) as folder:
        ratio_curves(
            summaries[primary], folder / CURVES, score="macro-F1", title=f"{primary} classifier"
        )
        write_confusions(tables["confusion"], primary, folder)
        (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")
        (folder / "report.md").write_text(
            page(
                sentence=sentences[primary],
                summaries=summaries,
                per_class=class_gains(tables["per_class"], primary),
                fidelity=reading_table(pd.read_parquet(project.fidelity)),
                facts=facts(tables["scores"], prepared, encoder),
                warnings=warnings(prepared, params.encoder),
                counts=prepared["classes"],
                confidence=params.report.confidence,
            ),
            encoding="utf-8",
        )
    write_json(project.metrics, flat_metrics(summaries, primary))
    write_plot(summaries[primary], project.root / "reports" / "ratio_curves.csv")
    for path in sorted(project.report.iterdir()):
        run.log_artifact(path)
    run.log_metrics({f"best.{k}": v for k, v in best_of(summaries[primary]).items()})
    run.set_tags({"answer": sentences[primary]})
    run.export_runs(project.runs)
    print(text)


def class_gains(per_class: pd.DataFrame, primary: str) -> pd.DataFrame:
    """F1 per class, real-only and each generator at its own best ratio by mean macro-F1."""
    own = per_class[per_class["classifier"] == primary]
    macro = own.groupby(["generator", "ratio"])["f1"].mean()
    columns = {}
    for name in own["generator"].unique():
        ratio = macro[name].idxmax()
        chosen = own[(own["generator"] == name) & (own["ratio"] == ratio)]
        title = "real only" if name == REAL_ONLY else f"{name} (ratio {ratio})"
        columns[title] = chosen.groupby("class")["f1"].mean()
    return pd.DataFrame(columns).rename_axis("class").reset_index()


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


def flat_metrics(summaries: dict[str, pd.DataFrame], primary: str) -> dict[str, Any]:
    """Metrics for `dvc metrics`: generator, then ratio, then mean and gain, in shares."""
    nested: dict[str, Any] = {}
    keyed = summaries[primary].set_index(["generator", "ratio"])
    for key, row in keyed.drop(columns=["p_value", "p_holm"]).T.to_dict().items():
        generator, ratio = cast(tuple[str, str], key)
        spelled = {str(k): round(float(v), 6) for k, v in row.items() if not np.isnan(v)}
        nested.setdefault(generator, {})[f"ratio_{ratio}"] = spelled
    return {"macro_f1": nested}


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


def write_confusions(confusion: pd.DataFrame, primary: str, folder: Path) -> None:
    """Draw real-only's confusion matrix, summed over folds; seeds repeat cells, so the first."""
    own = confusion[
        (confusion["classifier"] == primary)
        & (confusion["generator"] == REAL_ONLY)
        & (confusion["seed"] == confusion["seed"].min())
    ]
    counts = own.pivot_table(index="true", columns="predicted", values="n", aggfunc="sum")
    confusion_figure(
        counts, folder / "confusion_real_only.png", title="real cells only, all test folds"
    )
