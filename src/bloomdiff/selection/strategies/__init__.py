"""Strategies by name; importing this package registers all of them."""

from bloomdiff.selection.strategies import (
    badge,
    density_entropy,
    expected_gain,
    herding,
    k_center,
    max_herding,
    prob_cover,
    random_choice,
    tcm,
    typiclust,
    uncertainty,
)
