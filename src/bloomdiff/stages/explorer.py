"""What the explorer page is made of: one fold's cells, the tables of the report, what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from bloomdiff.classifiers import Classifier, make_classifier
from bloomdiff.data.embedding_set import SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.experiments.ratios import class_counts, ratio_name
from bloomdiff.experiments.summary import REAL_ONLY
from bloomdiff.experiments.sweep import draw
from bloomdiff.files import read_json, read_table, sha256_file
from bloomdiff.report.caution_section import caution_section
from bloomdiff.report.explorer import (
    Page,
    build_scene,
    confusion_chart,
    ratio_chart,
    reliability_chart,
    render,
)
from bloomdiff.report.explorer.charts import Chart
from bloomdiff.report.explorer.scene import full_name
from bloomdiff.report.fidelity_sections import fidelity_sections
from bloomdiff.report.page import Section
from bloomdiff.report.render_section import render_section
from bloomdiff.report.tables import at_ratio, legend, method_name, ratio_grid
from bloomdiff.report.usefulness_sections import (
    calibration_section,
    class_section,
    usefulness_sections,
)
from bloomdiff.stages.inputs import FoldRows, fold_names, load_fold
from bloomdiff.stages.label_queue import queue_html
from bloomdiff.stages.project import Project
from bloomdiff.stages.rendered import rendered
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.threads import one_thread

Tables = Mapping[str, pd.DataFrame]

# How, not what: another machine would otherwise write another page.
_LEFT_OUT = {"device": True, "jobs": True, "phantom": True, "serving": True, "tracking": True}
_STORES = {"tune_generator": {"storage"}, "tune_classifier": {"storage"}}


def explorer_page(
    project: Project,
    *,
    tables: Tables,
    summary: pd.DataFrame,
    sentence: str,
    predictions: pd.DataFrame,
    facts: Sequence[str],
    warnings: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
) -> str:
    """The explorer's HTML.

    Parameters
    ----------
    project
        Whose first fold is shown.
    tables, summary, sentence, facts, warnings, counts
        Those of the report: its tables, the primary classifier's summary and sentence, what the
        figures rest on, what may mislead, and class to `cells`.
    predictions
        The primary classifier's probabilities of all test cells.
    """
    params = project.params
    ratio = ratio_name(params.report.ratio)
    usefulness = usefulness_sections(tables, ratio, primary=params.primary)
    metrics, *others = fidelity_sections(tables, ratio)
    calibration = calibration_section(tables["calibration"], ratio)
    by_class = class_section(tables["class_gains"], ratio)
    told_above = {calibration.title, by_class.title}
    caution = caution_section(tables["caution"])
    images = render_section(read_json(project.render_report), params.report.confidence)
    head, rows = ratio_grid(summary, params.report.confidence)
    grid = Section("Macro-F1 by ratio", f"{legend(params.report.confidence)}.", head, rows)
    chosen = at_ratio(predictions, ratio)
    return render(
        Page(
            sentence=sentence,
            warnings=warnings,
            legend=(
                f"Macro-F1 of the {params.primary} classifier on real test cells: mean over the "
                f"folds, the bands are {100 * params.report.confidence:g} % intervals. Click a "
                "name in the key to hide it, twice to see it alone."
            ),
            classes=with_counts(by_class, counts),
            metrics=metrics,
            calibration=calibration,
            others=[
                grid,
                *[s for s in usefulness if s.title not in told_above],
                *others,
                *([caution] if caution else []),
                *([images] if images else []),
            ],
            facts=[*facts, *versions(project)],
            parameters=parameters(project),
            scene=scene(project),
            generator=params.report.generator,
            ratio=method_name("synthetic cells", ratio),
            curves=ratio_chart(summary, beforehand=params.report.generator),
            reliability=reliability_chart(certainties(chosen, params.seeds[0])),
            confusions=confusions(project, ratio),
            queue=queue_html(project),
        )
    )


def with_counts(section: Section, counts: Mapping[str, Mapping[str, int]]) -> Section:
    """The table of gains by class with full names, and the number of real cells."""
    (name, *head), *_ = (section.head,)
    rows = [
        [full_name(row[0]), str(counts[row[0]]["cells"]) if row[0] in counts else "", *row[1:]]
        for row in section.rows
    ]
    return replace(section, head=[name, "real cells", *head], rows=rows)


@one_thread()
def scene(project: Project) -> dict[str, Any]:
    """The first fold's cells, and the synthetic ones that its first seed added to them."""
    params = project.params
    rows = load_fold(project, fold_names(project)[0])
    synthetic = {
        name: drawn(project, rows, name) for name in params.generators if name != REAL_ONLY
    }
    judge = classifier_of_real_cells(project, rows)
    cells = read_manifest(project.cells).set_index("cell_id")
    return build_scene(
        fold=rows.name,
        train=rows.train,
        test=rows.test,
        synthetic=synthetic,
        proba={
            name: judge.predict_proba(own.X).astype(np.float64) for name, own in synthetic.items()
        },
        classes=rows.classes,
        images={str(name): project.data / path for name, path in cells["path"].items()},
        rendered=rendered(project, rows, synthetic),
        seed=params.seed,
    )


def classifier_of_real_cells(project: Project, rows: FoldRows) -> Classifier:
    """The primary classifier with its tuned parameters, fitted on the real training cells alone."""
    params = project.params
    values = tuned_values(project.classifier_params, rows.name, params.primary, rows)
    judge = make_classifier(params.primary, values, seed=params.seeds[0], device=params.device)
    return judge.fit(
        rows.train.X,
        rows.train.label,
        fingerprint=rows.train.fingerprint,
        classes=rows.classes,
        whitening=ViewWhitening.of(rows.train, rows.pool),
    )


def drawn(project: Project, rows: FoldRows, name: str) -> SyntheticSet:
    """The synthetic cells that the sweep used at the ratio named beforehand, first seed."""
    params = project.params
    own = SyntheticSet.load(project.synthetic_set(rows.name, name))
    assert_disjoint(rows.test.group, own, what=f"generator {name!r} of {rows.name}")
    return draw(
        own,
        class_counts(rows.train.label),
        params.report.ratio,
        params.sweep.allocation,
        seed=params.seeds[0],
        ratios=params.sweep.ratios,
    )


def certainties(
    predictions: pd.DataFrame, seed: int
) -> dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]]:
    """Method to whether each test cell of the first seed was called rightly, and how surely."""
    columns = [name for name in predictions.columns if name.startswith("p.")]
    classes = np.array([name.removeprefix("p.") for name in columns])
    found = {}
    for (generator, ratio), part in predictions.groupby(["generator", "ratio"], sort=False):
        own = part[part["seed"] == seed]
        # A class that a fold does not have is no column there.
        proba = own[columns].fillna(0.0).to_numpy(dtype=np.float64)
        called = classes[proba.argmax(axis=1)]
        name = method_name(str(generator), str(ratio))
        found[name] = (called == own["true"].to_numpy(dtype=str), proba.max(axis=1))
    return found


def confusions(project: Project, ratio: str) -> dict[str, Chart]:
    """Method to its confusion matrix over all folds, real-only first."""
    table = at_ratio(read_table(project.scores / "confusion.parquet"), ratio)
    params = project.params
    own = table[(table["classifier"] == params.primary) & (table["seed"] == params.seeds[0])]
    return {
        str(name): confusion_chart(
            part.pivot_table(
                index="true", columns="predicted", values="n", aggfunc="sum", fill_value=0
            )
        )
        for name, part in own.groupby("generator", sort=False)
    }


def versions(project: Project) -> list[str]:
    """Digests of what the page was made from."""
    named = {
        "manifest": project.cells,
        "folds": project.folds,
        "embeddings": project.embeddings,
    }
    return [f"{name}: SHA-256 {sha256_file(path)[:16]}" for name, path in named.items()] + [
        "the commit is a tag of the run that this page is an artefact of"
    ]


def parameters(project: Project) -> str:
    """The parameters that decide the results; not where studies are stored."""
    told = project.params.model_dump(mode="json", exclude={**_LEFT_OUT, **_STORES})
    return yaml.safe_dump(told, sort_keys=False)
