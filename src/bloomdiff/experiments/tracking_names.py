"""Names of metrics as MLflow takes them: it refuses many signs of class names."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from bloomdiff.experiments.tracking_records import ChildRun

T = TypeVar("T")
_REFUSED = re.compile(r"[^/\w.\- :]")


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Map different names to different ones that MLflow takes.

    Every sign that is refused becomes `_`. Where two names would fall together, those that had to
    be changed end in a digest of what they were.
    """
    plain = {name: _plain(name) for name in names}
    often = Counter(plain.values())
    told = {}
    for name, spelled in plain.items():
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        # The digest is the name's alone, so that it is the same in whatever order names come.
        unique = spelled == name or often[spelled] == 1
        told[name] = spelled if unique else f"{spelled}_{digest}"
    return told


def renamed(values: Mapping[str, T]) -> dict[str, T]:
    """Values under names that MLflow takes."""
    told = metric_names(values)
    return {told[name]: value for name, value in values.items()}


def with_metric_names(children: Iterable[ChildRun]) -> list[ChildRun]:
    """Records of runs with names that MLflow takes, one for each metric in all the runs."""
    records = list(children)
    # A run may lack one of two names that fall together; the other keeps its name all the same.
    told = metric_names({name: 0 for one in records for name in (*one.metrics, *one.series)})
    return [
        replace(
            one,
            metrics={told[name]: value for name, value in one.metrics.items()},
            series={told[name]: points for name, points in one.series.items()},
        )
        for one in records
    ]


def _plain(name: str) -> str:
    spelled = _REFUSED.sub("_", name)
    # MLflow keeps metrics by path, so `a//b` and `a/../b` are refused as well.
    strange = spelled.startswith(("/", "..")) or posixpath.normpath(spelled) != spelled
    return re.sub(r"^\.|/", "_", spelled) if strange or spelled == "." else spelled
