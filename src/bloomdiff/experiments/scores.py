"""What a run's score means: the values that it can take, its unit, and whether more is better."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bloomdiff.errors import InputError


@dataclass(frozen=True)
class Score:
    """How a score is read.

    Attributes
    ----------
    lowest, highest
        The values that it can take.
    larger_is_better
        Whether it is a gain where the score rises.
    unit
        Of the score itself, empty where it has none. Points are hundredths of it.
    """

    lowest: float = 0.0
    highest: float = 1.0
    larger_is_better: bool = True
    unit: str = ""

    @property
    def points(self) -> str:
        """What a point is and which way is better, where that does not go without saying."""
        told = [f"hundredths of {self.unit}"] if self.unit else []
        told += [] if self.larger_is_better else ["smaller is better"]
        return f"points ({', '.join(told)})" if told else "points"


SCORES = {
    **dict.fromkeys(("macro_f1", "balanced_accuracy", "accuracy", "top2_accuracy"), Score()),
    **dict.fromkeys(("auroc", "auprc"), Score()),
    **dict.fromkeys(("cohen_kappa", "mcc"), Score(lowest=-1.0)),
    "ece": Score(larger_is_better=False),
    "brier": Score(highest=2.0, larger_is_better=False),
    "log_loss": Score(highest=math.inf, larger_is_better=False, unit="a nat"),
}


def score_of(metric: str) -> Score:
    """How a metric of the sweep's runs is read, by what its name begins with.

    Parameters
    ----------
    metric
        `macro_f1`, or `macro_f1_knn` of another classifier, or `ece_scaled`.

    Raises
    ------
    InputError
        It is no score: `temperature`, or a number of classes.
    """
    for name, score in SCORES.items():
        if _is_of(metric, name):
            return score
    raise InputError(f"metric {metric!r}", "is no score", f"name one of: {', '.join(SCORES)}")


def is_score(metric: str) -> bool:
    """Whether `score_of` knows how to read a metric."""
    return any(_is_of(metric, name) for name in SCORES)


def _is_of(metric: str, name: str) -> bool:
    return metric == name or metric.startswith(f"{name}_")
