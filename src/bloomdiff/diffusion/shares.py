"""How often the classes are in a pool, and what that changes in the labels of its rows."""

from __future__ import annotations

import numpy as np

from bloomdiff.diffusion.whitening import Doubles

ITERATIONS = 5
"""Of expectation maximisation towards the pool's own shares; most of the way is gone in two."""
CERTAIN = 1e-12
"""Least probability of a class that shares can raise."""
SINKHORN = 50
"""Iterations towards given shares."""


def own_shares(p: Doubles, power: float) -> Doubles:
    """Class probabilities `(m, c)` of rows under the shares that the classes have among these.

    Bayes' rule with equal frequencies gives every class its best chance to be found. Where one
    class is most of a pool, though, the few of its rows that lie near others are more than these
    others' own, and would be what is learned of them. The shares are estimated by expectation
    maximisation (Saerens, Latinne and Decaestecker 2002, doi:10.1162/089976602753284446).

    Parameters
    ----------
    p
        Class probabilities under equal frequencies.
    power
        Of the shares, in [0, 1]: 1 for all that they say, 0 for equal ones, where `p` is returned.
    """
    q = p
    for _ in range(ITERATIONS if power else 0):
        q = p * q.mean(axis=0) ** power
        q /= q.sum(axis=1, keepdims=True)
    return q


def evened(p: Doubles, own: float) -> Doubles:
    """Class probabilities `(m, c)` by which every class has its share of the rows.

    Where nobody knows yet how far a pool moved, all of it may seem to lie with one class, and moved
    by what leads there it does. Shares that are held even rule that out, as they do for clusters
    in self-labelling (Asano et al. 2020, arXiv:1911.05371), by Sinkhorn's iterations.

    Parameters
    ----------
    p
        Class probabilities.
    own
        What the mean of `p` counts for, in [0, 1], beside equal shares.
    """
    share = own * p.mean(axis=0) + (1 - own) / p.shape[1]
    p = np.maximum(p, CERTAIN)
    for _ in range(SINKHORN):
        p = p * (share / p.mean(axis=0))
        p /= p.sum(axis=1, keepdims=True)
    return p
