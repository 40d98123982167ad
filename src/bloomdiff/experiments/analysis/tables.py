"""All tables of the report at once, from what the stages wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bloomdiff.experiments.analysis import clinic, comparisons, domains, nested, shots
from bloomdiff.experiments.analysis.predictions import class_names, settings
from bloomdiff.experiments.analysis.predictors import predictor_table
from bloomdiff.experiments.analysis.reliability import calibration_table, reject_table
from bloomdiff.experiments.analysis.traits import trait_table
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.experiments.summary import METHOD, REAL_ONLY, fraction_tested
from bloomdiff.metrics.costs import CostParams

SCORE = "macro_f1"
Studies = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Results:
    """What the stages wrote.

    Attributes
    ----------
    scores, per_class, predictions, calibration
        The sweep's tables.
    fidelity, morphology
        Those of the synthetic sets.
    folds
        `fold`, `cell_id`, `role`.
    cells
        `cell_id`, `label`, `group`, `source` of every cell.
    generator_studies, classifier_studies
        Fold to method to entry, with the best inner value.
    """

    scores: pd.DataFrame
    per_class: pd.DataFrame
    predictions: pd.DataFrame
    calibration: pd.DataFrame
    fidelity: pd.DataFrame
    morphology: pd.DataFrame
    folds: pd.DataFrame
    cells: pd.DataFrame
    generator_studies: Studies
    classifier_studies: Studies


@dataclass(frozen=True)
class Choices:
    """What the tables are asked for.

    Attributes
    ----------
    primary
        The classifier that all but the ratio tables are about.
    ratio
        The ratio named beforehand: rankings look at it alone.
    tuning_ratio
        The ratio at which the generators' studies measured usefulness.
    confidence
        Coverage of the intervals.
    costs, slide_cells
        Of the parameters `report`.
    seed
        Of bootstrap and permutations.
    """

    primary: str
    ratio: float
    tuning_ratio: float
    confidence: float
    costs: CostParams
    slide_cells: int
    seed: int


def all_tables(results: Results, choices: Choices) -> dict[str, pd.DataFrame]:
    """Name to table; a table without anything to say is empty.

    Raises
    ------
    ParameterError
        A cost names a class that the data do not have.
    """
    classes = class_names(results.predictions)
    pairs = clinic.cost_pairs(classes, choices.costs)
    primary = results.scores[results.scores["classifier"] == choices.primary]
    per_class = results.per_class[results.per_class["classifier"] == choices.primary]
    about: dict[str, Any] = {
        "test_fraction": fraction_tested(primary),
        "confidence": choices.confidence,
    }
    judged = list(settings(results.predictions, results.calibration))
    cells = results.cells.set_index("cell_id")
    counts = shots.training_counts(results.folds, cells["label"])
    ratio = ratio_name(choices.ratio)
    differential, slides = clinic.differential_tables(
        judged, classes, minimum=choices.slide_cells, **about
    )
    methods = primary[METHOD].drop_duplicates()
    methods = methods[(methods["generator"] == REAL_ONLY) | (methods["ratio"] == ratio)]
    ranks = comparisons.rank_table(
        primary,
        SCORE,
        list(methods.itertuples(index=False, name=None)),
        confidence=choices.confidence,
    )
    resampling: dict[str, Any] = {"seed": choices.seed, "confidence": choices.confidence}
    inner = [
        nested.nested_table(
            results.classifier_studies,
            nested.classifier_scores(results.scores),
            kind="classifier",
            **about,
        ),
        nested.nested_table(
            results.generator_studies,
            nested.generator_scores(
                results.scores, choices.primary, ratio_name(choices.tuning_ratio)
            ),
            kind="generator",
            **about,
        ),
    ]
    return {
        "calibration": calibration_table(results.calibration, **about),
        "reject": reject_table(judged, **about),
        "costs": clinic.cost_table(judged, classes, choices.costs, **about),
        "cost_matrix": pairs,
        "differential": differential,
        "differential_slides": slides,
        "class_gains": shots.class_gains(per_class, counts, **about),
        "shot_gains": shots.shot_gains(per_class, counts, **about),
        "classifiers": comparisons.classifier_table(
            results.scores, primary=choices.primary, **about
        ),
        "bootstrap": comparisons.bootstrap_table(judged, len(classes), **resampling),
        "ranks": pd.DataFrame() if ranks is None else comparisons.ranks_frame(ranks),
        "predictors": predictor_table(results.fidelity, primary, SCORE, ratio, **resampling),
        "morphology": trait_table(results.morphology, **about),
        "domains": domains.domain_table(
            judged, domains.crossings(results.folds, cells["source"]), **resampling
        ),
        "nested": pd.concat(inner, ignore_index=True),
    }
