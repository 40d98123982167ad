"""The classes that costs name are looked for before the first stage: the last one uses them."""

from __future__ import annotations

from bloomdiff.data.manifest import read_manifest
from bloomdiff.metrics.costs import check_pairs
from bloomdiff.stages.project import Project


def check_costs(project: Project) -> None:
    """Raise a `ParameterError` where a pair of `report.costs` names a class that no cell has."""
    costs = project.params.report.costs
    if costs.pairs:
        label = read_manifest(project.data / "manifest.csv")["label"].fillna("").astype(str)
        check_pairs(sorted(set(label) - {""}), costs)
