"""Typicality first, then margin."""

from __future__ import annotations

from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.strategies.typiclust import TypiClust
from bloomdiff.selection.strategies.uncertainty import Margin


class TcmParams(StrategyParams):
    """Options of TCM.

    Attributes
    ----------
    per_class
        Labelled cells per known class, on average, at which margin takes over.
    """

    per_class: int = Field(default=3, ge=1)


@STRATEGIES.register("tcm")
class Tcm(Strategy):
    """TypiClust while labels are few, margin afterwards (Doucet et al. 2024, arXiv:2403.03728)."""

    name = "tcm"
    summary = "typical cells while labels are few, disputed ones afterwards"
    Params = TcmParams
    params: TcmParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by one or the other."""
        few = len(situation.y) < self.params.per_class * len(situation.classes)
        if few or not situation.can_classify:
            return TypiClust().rank(situation, n)
        return Margin().rank(situation, n)
