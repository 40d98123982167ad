"""What a metric of the synthetic set is, and the registry of all of them.

To add a metric is to add a module with a function of a `SetComparison`, decorated by `metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bloomdiff.registry import Registry

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

Doubles = npt.NDArray[np.float64]
Better = Literal["lower", "higher"]
Family = Literal["fidelity", "coverage", "memorisation", "conditional"]
Check = Literal["worse", "not_better", "clears_copycat"]
OVERALL = "all classes"
"""Scope of a record over all rows. No class may be called so; a bare "all" is leukaemia's."""


@dataclass(frozen=True)
class Score:
    """A metric's value with its bootstrap replicates.

    Attributes
    ----------
    value
        The metric; NaN where it is undefined, and the note says why.
    draws
        The metric under bootstrap counts `(b,)`; NaN where a resample does not define it, empty
        where there is no bootstrap.
    note
        What the reader must know about this value.
    """

    value: float
    draws: Doubles = field(default_factory=lambda: np.empty(0))
    note: str = ""

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Percentile interval of the draws; NaN without draws."""
        drawn = self.draws[~np.isnan(self.draws)]
        if len(drawn) < 2:
            return float("nan"), float("nan")
        tail = (1 - confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return float(low), float(high)


@dataclass(frozen=True)
class Metric:
    """How to compute a metric, and how to read it.

    Attributes
    ----------
    name, title
        Key and plain name.
    better
        Which direction is better. A memorisation metric is best at its floor.
    family
        "fidelity", "coverage", "memorisation" or "conditional" (sees labels).
    minimum
        Rows that each side needs, overall and within a class.
    full_rank
        Within a class it needs more rows than dimensions.
    unseen_floor
        The floor is the held-out rows in the place of synthetic ones, not training rows, which
        whoever looks at the training rows would know.
    checks
        Where the controls must land (see `controls`): "worse" (clearly worse than the floor),
        "not_better" (not clearly better than the floor), "clears_copycat" (clearly better than
        the copycat).
    compute
        The function.
    """

    name: str
    title: str
    better: Better
    family: Family
    minimum: int
    full_rank: bool
    unseen_floor: bool
    checks: Mapping[str, Check]
    compute: Callable[[SetComparison], Score]

    @property
    def needs_labels(self) -> bool:
        """Whether it compares class by class, and so has no version within one class."""
        return self.family == "conditional"

    def required_rows(self, dim: int, *, within_class: bool) -> int:
        """Rows needed on each side."""
        return max(self.minimum, dim + 1) if within_class and self.full_rank else self.minimum


METRICS: Registry[Metric] = Registry("metric")

_NOT_BETTER: Mapping[str, Check] = {"copycat": "not_better", "class_gaussian": "not_better"}
DEFAULT_CHECKS: Mapping[Family, Mapping[str, Check]] = MappingProxyType(
    {
        "fidelity": _NOT_BETTER,
        "coverage": _NOT_BETTER,
        "memorisation": {"copycat": "worse", "class_gaussian": "clears_copycat"},
        "conditional": {"wrong_labels": "worse", "copycat": "not_better"},
    }
)


def metric(
    name: str,
    title: str,
    *,
    better: Better,
    family: Family,
    minimum: int = 10,
    full_rank: bool = False,
    unseen_floor: bool = False,
    checks: Mapping[str, Check] | None = None,
) -> Callable[[Callable[[SetComparison], Score]], Callable[[SetComparison], Score]]:
    """File a function of a `SetComparison` as the metric `name`; the function stays itself."""

    def add(compute: Callable[[SetComparison], Score]) -> Callable[[SetComparison], Score]:
        chosen = DEFAULT_CHECKS[family] if checks is None else checks
        METRICS.register(name)(
            Metric(
                name,
                title,
                better,
                family,
                minimum,
                full_rank,
                unseen_floor or family == "memorisation",
                chosen,
                compute,
            )
        )
        return compute

    return add


def number(value: float) -> float | None:
    """A finite float, or None: tables and JSON know no NaN."""
    return float(value) if np.isfinite(value) else None


Record = dict[str, Any]
