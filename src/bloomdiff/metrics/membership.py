"""Membership inference: whether an attacker can tell training rows from rows never seen.

Both attacks see the synthetic rows alone, no model. Without a reference, a row is taken for a
member when a synthetic row is near; with a reference, when synthetic rows are nearer than rows of
the same population are, which keeps ordinary rows of dense regions from being accused.

References
----------
Chen et al. (2020), GAN-leaks: a taxonomy of membership inference attacks; van Breugel et al.
(2023), Membership inference attacks against synthetic data through overfitting detection; Carlini
et al. (2022), Membership inference attacks from first principles (the rate at few false alarms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import Singles, bootstrap_counts, resampled_means
from bloomdiff.metrics.neighbours import nearest
from bloomdiff.metrics.points import Doubles, as_pair, as_points, same_dimension

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

FALSE_ALARMS = 0.01


def membership_inference(
    synthetic: npt.NDArray[Any],
    members: npt.NDArray[Any],
    non_members: npt.NDArray[Any],
    *,
    reference: npt.NDArray[Any] | None = None,
) -> dict[str, float]:
    """Success of the distance attack on the rows behind a synthetic set.

    Parameters
    ----------
    synthetic
        Points `(n, d)`.
    members, non_members
        Training rows `(m, d)` and rows of the same population that were not trained on `(t, d)`.
    reference
        Rows of the population `(r, d)`, neither members nor non-members; None attacks without.

    Returns
    -------
    dict
        `auc` (0.5: no leak) and `tpr_at_1_percent_fpr` (0.01: no leak).
    """
    members, synthetic = as_pair(members, synthetic)
    non_members = as_points(non_members, "non-member")
    same_dimension(non_members, members, "non-member")
    suspicion = [-nearest(rows, synthetic)[0][:, 0] for rows in (members, non_members)]
    if reference is not None:
        population = as_points(reference, "reference")
        same_dimension(population, members, "reference")
        suspicion = [
            calibrated(-near, nearest(rows, population)[0][:, 0])
            for near, rows in zip(suspicion, (members, non_members), strict=True)
        ]
    return {"auc": auc(*suspicion), "tpr_at_1_percent_fpr": true_positive_rate(*suspicion)}


def calibrated(to_synthetic: Doubles, to_reference: Doubles) -> Doubles:
    """Suspicion: how much nearer the synthetic rows are than the reference's, as a log ratio."""
    smallest = np.finfo(np.float64).tiny
    suspicion: Doubles = np.log(to_reference + smallest) - np.log(to_synthetic + smallest)
    return suspicion


def placements(points: Doubles, among: Doubles) -> Doubles:
    """Share of `among` below each of `points`, ties by half, `(n,)`."""
    ordered = np.sort(among)
    below = np.searchsorted(ordered, points, side="left")
    not_above = np.searchsorted(ordered, points, side="right")
    shares: Doubles = (below + not_above) / (2 * len(ordered))
    return shares


def auc(members: Doubles, non_members: Doubles) -> float:
    """Chance that a member is more suspicious than a non-member, ties by half."""
    return float(placements(members, non_members).mean())


def true_positive_rate(
    members: Doubles, non_members: Doubles, *, false_alarms: float = FALSE_ALARMS
) -> float:
    """Share of members above the threshold that at most `false_alarms` of the others exceed."""
    allowed = int(np.floor(false_alarms * len(non_members) + 1e-9))
    threshold = np.sort(non_members)[len(non_members) - 1 - allowed]
    return float((members > threshold).mean())


@dataclass(frozen=True)
class _Attack:
    """Suspicion of training and of held-out rows, with the latter's bootstrap counts."""

    members: Doubles
    others: Doubles
    counts: Singles

    @classmethod
    def on(cls, comparison: SetComparison, *, calibrate: bool) -> _Attack:
        """The attack on a comparison; half of the held-out slides may serve as reference."""
        reference = comparison.reference
        members, others = comparison.from_train[0], comparison.from_test[0]
        if not calibrate:
            return cls(-members, -others, reference.test_counts)
        judged = reference.test_halves[1]
        of_members, of_others = reference.to_population
        return cls(
            calibrated(members, of_members),
            calibrated(others[judged], of_others),
            reference.test_counts[judged],
        )


def _auc_score(comparison: SetComparison, *, calibrate: bool) -> Score:
    if calibrate and comparison.reference.n_test_groups < 2:
        return Score(float("nan"), note="too few: needs 2 slides, has 1")
    attack, reference = _Attack.on(comparison, calibrate=calibrate), comparison.reference
    value = auc(attack.members, attack.others)
    drawn = bootstrap_counts(len(attack.members), reference.n_bootstrap, reference.rng(24))
    # The AUC is a mean of placements on either side, whose draws add up to first order.
    draws = resampled_means(placements(attack.members, attack.others), drawn) - value
    draws += resampled_means(1 - placements(attack.others, attack.members), attack.counts)
    return Score(value, draws)


@metric(
    "membership_auc", "Membership inference, AUC", better="lower", family="memorisation", minimum=20
)
def _membership_auc(comparison: SetComparison) -> Score:
    return _auc_score(comparison, calibrate=False)


@metric(
    "membership_auc_calibrated",
    "Membership inference with a reference, AUC",
    better="lower",
    family="memorisation",
    minimum=40,
)
def _membership_auc_calibrated(comparison: SetComparison) -> Score:
    return _auc_score(comparison, calibrate=True)


@metric(
    "membership_tpr",
    "Membership inference, hits at 1 % false alarms",
    better="lower",
    family="memorisation",
    minimum=100,
)
def _membership_tpr(comparison: SetComparison) -> Score:
    """A threshold at one in a hundred needs a hundred non-members."""
    attack, reference = _Attack.on(comparison, calibrate=False), comparison.reference
    value = true_positive_rate(attack.members, attack.others)
    if np.isnan(attack.counts).any():
        return Score(value)
    rng = reference.rng(25)
    draws = np.array(
        [
            true_positive_rate(
                rng.choice(attack.members, len(attack.members)),
                np.repeat(attack.others, counts.astype(np.intp)),
            )
            for counts in attack.counts.T
        ]
    )
    return Score(value, draws)
