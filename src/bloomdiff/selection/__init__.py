"""Which cells should the expert label next? Strategies, queues, their files, and simulations."""

from bloomdiff.selection import strategies as _registered
from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, make_strategy
from bloomdiff.selection.core import Choice, select

__all__ = [
    "STRATEGIES",
    "Choice",
    "Ranking",
    "Situation",
    "Strategy",
    "make_strategy",
    "select",
]
