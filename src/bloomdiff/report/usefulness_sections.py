"""Sections on what the synthetic cells did: gains, tests, calibration, costs, differentials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bloomdiff.report.classifier_section import classifier_section
from bloomdiff.report.page import Section
from bloomdiff.report.tables import at_ratio, change, interval, method_name, number, points, spelled

Tables = Mapping[str, pd.DataFrame]


def usefulness_sections(tables: Tables, ratio: str, *, primary: str) -> list[Section]:
    """The classifiers, then all about the primary one at the ratio named beforehand."""
    inner = tables["nested"]
    tuned = set(inner.loc[inner["kind"] == "classifier", "name"]) if len(inner) else set()
    made = [
        classifier_section(tables["classifiers"], primary, tuned),
        domain_section(tables["domains"], ratio),
        class_section(tables["class_gains"], ratio),
        shot_section(tables["shot_gains"], ratio),
        comparison_section(tables["macro_f1"], tables["ranks"], ratio, primary),
        calibration_section(tables["calibration"], ratio),
        reject_section(tables["reject"], ratio),
        cost_section(tables["costs"], ratio),
        differential_section(tables["differential"], ratio),
        nested_section(tables["nested"]),
    ]
    return [section for section in made if section is not None]


def domain_section(table: pd.DataFrame, ratio: str) -> Section | None:
    """Trained on one source, tested on another; None where no fold does that."""
    if table.empty:
        return None
    rows = [
        [
            row["trained_on"],
            row["tested_on"],
            method_name(row["generator"], row["ratio"]),
            str(int(row["n"])),
            interval(row, "pooled"),
            change(row, "boot", scale=100),
        ]
        for _, row in at_ratio(table, ratio).iterrows()
    ]
    lead = (
        "Macro-F1 in points over the common classes, the seeds' predictions pooled. The intervals "
        "resample the groups of the tested source: one pair of sources has no other."
    )
    head = ["trained on", "tested on", "method", "cells", "macro-F1", "gain over real only"]
    return Section("Cross-domain", lead, head, rows)


def class_section(table: pd.DataFrame, ratio: str) -> Section:
    """F1 of each class without and with synthetic cells."""
    chosen = at_ratio(table, ratio)
    lead = (
        "F1 in points of real cells only, and the paired gain at the ratio named beforehand; shots "
        "are a class's real training cells in a fold. Single classes are not corrected for many "
        "looks."
    )
    head, rows = _gain_grid(chosen, ["class", "shots"])
    return Section("Gain by class", lead, head, rows)


def shot_section(table: pd.DataFrame, ratio: str) -> Section:
    """Gain by the number of real training cells."""
    lead = "Mean F1 in points of the classes that have so many real training cells in a fold."
    head, rows = _gain_grid(at_ratio(table, ratio), ["shots", "n_classes"])
    head = ["real training cells", "classes", *head[2:]]
    picture = ("gain in F1 against real training cells", "shot_gains.png")
    return Section("Gain by number of real cells", lead, head, rows, [picture])


def _gain_grid(table: pd.DataFrame, keys: list[str]) -> tuple[list[str], list[list[str]]]:
    """One row per value of `keys`: real-only's mean, and each generator's gain, in points."""
    names = [name for name in table["generator"].unique() if name != "none"]
    rows = []
    for values, part in table.groupby(keys, sort=False):
        own = part.set_index("generator")
        spelled_keys = [v if isinstance(v, str) else f"{v:.3g}" for v in values]
        means: dict[Any, float] = own["mean"].to_dict()
        real = points(means["none"]) if "none" in own.index else ""
        gains = [change(own.loc[n], "gain", scale=100) if n in own.index else "" for n in names]
        rows.append([*spelled_keys, real, *gains])
    return [*keys, "real only", *names], rows


def comparison_section(
    table: pd.DataFrame, ranks: pd.DataFrame, ratio: str, primary: str
) -> Section:
    """The tests behind the headline."""
    own = table[table["classifier"] == primary]
    rows = [
        [
            method_name(row["generator"], row["ratio"]),
            change(row, "gain", scale=100),
            number(row["p_value"]),
            number(row["p_holm"]),
            number(row["effect_size"], "+.2f"),
            change(row, "boot", scale=100),
            number(row["boot_p"]),
        ]
        for _, row in own[own["generator"] != "none"].iterrows()
    ]
    lead = (
        "Gain in macro-F1 over real cells only, in points. Over folds: corrected resampled t "
        "(Nadeau and Bengio 2003), its p-value, Holm's over all comparisons of this classifier, "
        "and the effect size (mean over deviation of the folds' gains). Over slides: paired "
        "bootstrap of the groups of all test cells, the fitted classifiers kept."
    )
    head = ["method", "gain over folds", "p", "Holm's p", "effect size", "gain over slides", "p"]
    figures = []
    if len(ranks):
        first = ranks.iloc[0]
        p = first["friedman_p"]
        friedman = "" if pd.isna(p) else f"; Friedman's p = {p:.3f}"
        lead += (
            f" Ranks at ratio {ratio}: {first['generator']} leads with a mean rank of "
            f"{first['mean_rank']:.2f}; ranks that differ by less than "
            f"{first['critical_difference']:.2f} (Nemenyi) cannot be told apart{friedman}. Folds "
            "share training cells, so this is lenient."
        )
        figures = [("critical-difference diagram", "critical_difference.png")]
    return Section("Tests", lead, head, rows, figures)


def calibration_section(table: pd.DataFrame, ratio: str) -> Section:
    """Calibration before and after temperature scaling."""
    scores = ["ece", "ece_scaled", "brier", "brier_scaled", "temperature"]
    names = ["ECE", "ECE scaled", "Brier", "Brier scaled", "temperature"]
    lead = (
        "Expected calibration error and Brier score (lower is better), before and after "
        "temperature scaling. The temperature was learned on grouped inner folds of the training "
        "part, with the generator fitted anew inside them. A temperature above 1: over-confident."
    )
    chosen = at_ratio(table, ratio)
    if "temperature" not in set(chosen["score"]):
        lead += " No temperature: calibration_folds is 0, or too few groups can be held out."
    return Section("Calibration", lead, ["method", *names], _score_grid(chosen, scores))


def _score_grid(
    table: pd.DataFrame, scores: list[str], scale: float = 1.0, top: float = math.inf
) -> list[list[str]]:
    """One row per method, one column per score; none of the scores can lie below 0."""
    rows = []
    for (generator, ratio), part in table.groupby(["generator", "ratio"], sort=False):
        own = {str(row["score"]): row for _, row in part.iterrows()}
        cells = [
            spelled(own[name], scale=scale, low=0, top=top) if name in own else ""
            for name in scores
        ]
        rows.append([method_name(str(generator), str(ratio)), *cells])
    return rows


def reject_section(table: pd.DataFrame, ratio: str) -> Section:
    """Accuracy of what remains when doubtful cells are deferred."""
    chosen = at_ratio(table, ratio)
    coverages = sorted(chosen["coverage"].unique(), reverse=True)
    rows = []
    for (generator, spelled_ratio), part in chosen.groupby(["generator", "ratio"], sort=False):
        cells = [
            spelled(part[part["coverage"] == c].iloc[0], scale=100, low=0, top=100)
            for c in coverages
        ]
        rows.append([method_name(str(generator), str(spelled_ratio)), *cells])
    lead = (
        "Accuracy in per cent of the cells that the classifier keeps when the least confident "
        "ones go to a human; the head names the share kept."
    )
    head = ["method", *(f"{100 * c:g} %" for c in coverages)]
    picture = ("accuracy against coverage", "reject_curves.png")
    return Section("Deferring doubtful cells", lead, head, rows, [picture])


def cost_section(table: pd.DataFrame, ratio: str) -> Section:
    """Expected cost of a cell under the cost matrix of the parameters."""
    chosen = at_ratio(table, ratio)
    head, rows = ["method"], []
    decisions = list(chosen["decision"].unique())
    for decision in decisions:
        head += [decision, "change against real only"]
    for (generator, spelled_ratio), part in chosen.groupby(["generator", "ratio"], sort=False):
        own = part.set_index("decision")
        cells = [
            text
            for decision in decisions
            for text in (spelled(own.loc[decision], low=0), change(own.loc[decision], "gain"))
        ]
        rows.append([method_name(str(generator), str(spelled_ratio)), *cells])
    lead = (
        "Mean cost of a test cell under `report.costs` of params.yaml, by lineage and maturation: "
        "lower is better, 0 is faultless. Deciding by least expected cost uses the calibrated "
        "probabilities. The costs are a laboratory's choice: compare under one matrix only."
    )
    return Section("What the errors cost", lead, head, rows)


def differential_section(table: pd.DataFrame, ratio: str) -> Section:
    """Predicted against true differential counts."""
    title = "Differential count"
    if table.empty:
        lead = "Too few: no slide has the cells that `report.slide_cells` of params.yaml asks for."
        return Section(title, lead)
    chosen = at_ratio(table, ratio)
    lead = (
        f"Over {int(table['n_slides'].iloc[0])} slides: mean absolute error of the classes' "
        "shares, in points, and how many of the predicted shares lie inside Rümke's 95 % limits "
        "around the true one (exact binomial). A second faultless count of as many other cells "
        "of the slide has about 85 % inside. Classes that neither count knows are left out."
    )
    rows = _score_grid(chosen, ["mean_absolute_error", "within_limits"], 100, 100)
    return Section(title, lead, ["method", "error, points", "inside the limits, %"], rows)


def nested_section(table: pd.DataFrame) -> Section:
    """What tuning believed beside what the outer folds say."""
    title = "Tuning's own estimate"
    if table.empty:
        return Section(title, "Nothing was tuned: there is no inner estimate.")
    rows = [
        [
            row["kind"],
            row["name"],
            points(row["inner"]),
            points(row["outer"]),
            change(row, "optimism", scale=100),
        ]
        for _, row in table.iterrows()
    ]
    lead = (
        "Macro-F1 in points: the best trial's mean over the inner folds, and the outer folds' "
        "score of what it chose (classifiers on real cells only; generators at the ratio that "
        "their studies used). The best of many trials flatters itself; fewer training cells in "
        "the inner folds pull the other way, and a generator's outer score is of the tuned "
        "classifier, its inner one of the classifier before tuning. Only the outer score is "
        "reported anywhere else."
    )
    head = ["kind", "tuned", "inner", "outer", "inner less outer"]
    return Section(title, lead, head, rows)
