"""Metrics of synthetic sets, classifiers and experiments: pure functions of arrays.

Importing this package files every metric of the synthetic set in `METRICS`.
"""

from bloomdiff.metrics import conditional, frechet, kernels, manifold, memorisation
from bloomdiff.metrics.base import METRICS
