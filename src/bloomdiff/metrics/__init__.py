"""Metrics of synthetic sets, classifiers and experiments: pure functions of arrays.

Importing this package files every metric of the synthetic set in `METRICS`.
"""

from bloomdiff.metrics import (
    conditional,
    copying,
    frechet,
    kernels,
    manifold,
    membership,
    memorisation,
    sliced,
    supports,
    two_sample,
    usefulness,
    vendi,
)
from bloomdiff.metrics.base import METRICS
