"""The report's headline, written by the test: a gain, a loss, or nothing shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bloomdiff.metrics.statistics import Difference, holm


@dataclass(frozen=True)
class Comparison:
    """One cell of generator × ratio against real cells only.

    Attributes
    ----------
    generator, ratio, allocation
        What was added, how much (synthetic rows per real training row), shared among the classes
        how ("balanced").
    difference
        Score with synthetic rows minus score without, of `paired_difference`.
    """

    generator: str
    ratio: float
    allocation: str
    difference: Difference

    @property
    def setting(self) -> str:
        """Where the comparison stands: "ratio 2, balanced", or "synthetic cells only"."""
        if np.isinf(self.ratio):
            return "synthetic cells only"
        return f"ratio {self.ratio:g}, {self.allocation}"


def adjust(comparisons: Sequence[Comparison]) -> list[float]:
    """Holm-adjusted p-values over all the comparisons, in their order."""
    return [float(p) for p in holm([c.difference.p_value for c in comparisons])]


def headline(
    comparisons: Sequence[Comparison], *, score: str = "macro-F1", confidence: float = 0.95
) -> str:
    """One sentence on the whole family of comparisons.

    The comparison with the largest gain among those whose adjusted p-value is low enough speaks;
    without one, the sentence says that no gain could be shown and names the largest gain seen. The
    interval is the comparison's own; being the best of many, it is an optimistic pick, which is
    why the number of comparisons and the adjusted p-value stand beside it.

    Parameters
    ----------
    comparisons
        All cells of generator × ratio that were run: leaving some out makes the test too kind.
    score
        Name of the score, which is in shares (0 to 1); points are hundredths.
    confidence
        Coverage of the comparisons' intervals; one less it is the family-wise error rate.

    Returns
    -------
    str
        For instance "diffusion: at ratio 2, balanced, macro-F1 rises by 2.1 points (95 % interval
        0.8 to 3.3; 5 folds × 5 seeds; Holm-adjusted p = 0.012 over 20 comparisons)".
    """
    if not comparisons:
        return f"no gain could be shown in {score}: nothing was compared"
    adjusted, alpha = adjust(comparisons), 1 - confidence
    pairs = list(zip(comparisons, adjusted, strict=True))
    gains = [(c, p) for c, p in pairs if p < alpha and c.difference.mean > 0]
    losses = [(c, p) for c, p in pairs if p < alpha and c.difference.mean < 0]
    if gains:
        best, p = max(gains, key=lambda pair: pair[0].difference.mean)
        return _sentence(best, p, len(pairs), score, "rises", confidence)
    if losses and len(losses) == len(pairs):
        least, p = max(losses, key=lambda pair: pair[0].difference.mean)
        mildest = _sentence(least, p, len(pairs), score, "falls", confidence)
        return f"every setting loses; the mildest: {mildest}"
    best, p = max(pairs, key=lambda pair: pair[0].difference.mean)
    if not np.isfinite(p):
        return (
            f"no gain could be shown: one fold gives no interval (best change of {score} "
            f"{_points(best.difference.mean):+.1f} points, {best.generator}, {best.setting})"
        )
    return (
        f"no gain could be shown: the best change of {score} is "
        f"{_points(best.difference.mean):+.1f} points ({best.generator}, {best.setting}; "
        f"{_evidence(best, p, len(pairs), confidence)}){_lost(losses, len(pairs))}"
    )


def _lost(losses: Sequence[tuple[Comparison, float]], n_pairs: int) -> str:
    """How many settings lose, and the worst of them; nothing where none could be shown to."""
    if not losses:
        return ""
    worst = min((c for c, _ in losses), key=lambda c: c.difference.mean)
    lose = "loses" if len(losses) == 1 else "lose"
    return (
        f"; {len(losses)} of {n_pairs} {lose} by as much as could be shown, most "
        f"{_points(worst.difference.mean):+.1f} points ({worst.generator}, {worst.setting})"
    )


def _points(share: float) -> float:
    # Adding zero turns a rounded "-0.0" into "0.0".
    return round(100 * share, 1) + 0.0


def _evidence(
    comparison: Comparison,
    p: float,
    n_comparisons: int,
    confidence: float,
    *,
    falling: bool = False,
) -> str:
    d = comparison.difference
    low, high = (-d.high, -d.low) if falling else (d.low, d.high)
    p_text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    family = f" over {n_comparisons} comparisons" if n_comparisons > 1 else ""
    adjusted = "Holm-adjusted " if n_comparisons > 1 else ""
    seeds = f"{d.n_seeds} seed" if d.n_seeds == 1 else f"{d.n_seeds} seeds"
    return (
        f"{100 * confidence:g} % interval {_points(low):.1f} to {_points(high):.1f}; "
        f"{d.n_folds} folds × {seeds}; {adjusted}{p_text}{family}"
    )


def _sentence(
    comparison: Comparison,
    p: float,
    n_comparisons: int,
    score: str,
    verb: str,
    confidence: float,
) -> str:
    size = abs(_points(comparison.difference.mean))
    evidence = _evidence(comparison, p, n_comparisons, confidence, falling=verb == "falls")
    return (
        f"{comparison.generator}: at {comparison.setting}, {score} {verb} by {size:.1f} points "
        f"({evidence})"
    )
