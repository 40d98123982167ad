"""The Ray cluster at hand, for whatever has work for many machines."""

from __future__ import annotations

import os
from typing import Any

from bloomdiff.errors import ParameterError


def import_ray(asked: str = "embed.engine 'ray'") -> Any:
    """Import Ray with its reports to its makers switched off.

    Parameters
    ----------
    asked
        What asked for Ray, as an error shall name it.

    Raises
    ------
    ParameterError
        Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise ParameterError(
            asked,
            "Ray is not installed",
            "run `pip install 'bloomdiff[cluster]'`, or set engine: local",
        ) from None
    return ray


def connect(asked: str) -> Any:
    """Ray, connected to the cluster that `RAY_ADDRESS` names, or to one of this machine's cores.

    Parameters
    ----------
    asked
        See `import_ray`.
    """
    ray = import_ray(asked)
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    return ray
