"""The tables of the generators' costs: what is said about the number of sampling steps."""

from __future__ import annotations

from typing import Any

import pytest

from generators_tables import _sampling


def measured(steps: int, *distances: float) -> dict[str, Any]:
    return {
        "part": "sampling",
        "params": {"sampling_steps": steps},
        "rows_per_s": 1000,
        "frechet": list(distances),
        "frechet_class": [None],
    }


@pytest.mark.parametrize("order", [1, -1])
def test_enough_steps_are_those_beyond_which_no_count_is_worse(order: int) -> None:
    """Five steps that seem enough by chance do not count while ten are worse."""
    records = [
        measured(5, 3.0, 3.1, 3.2),
        measured(10, 3.3, 3.41, 3.52),
        measured(20, 3.0, 3.1, 3.2),
        measured(50, 3.0, 3.1, 3.2),
    ]
    table, told = _sampling(records[::order])
    assert "from 20 steps on" in told
    shown = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    assert shown == ["| 5", "| 10", "| 20", "| 50"]
