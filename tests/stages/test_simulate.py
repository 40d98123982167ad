import pytest

from bloomdiff.errors import InputError
from bloomdiff.stages import run_stage
from bloomdiff.stages.simulate import _child


def test_what_was_never_reached_is_not_logged():
    row = {"strategy": "random", "seed": 3, "area": 0.5, "labels_90%": 40.0}
    child = _child({**row, "labels_95%": float("inf"), "found_5.blast": float("inf")})
    assert child.metrics == {"area": 0.5, "labels_90pct": 40.0}
    assert child.params == {"strategy": "random", "seed": 3}


def test_without_embeddings_one_line(project):
    project.embeddings.unlink()
    with pytest.raises(InputError, match=r"embeddings/cells\.parquet: no such file"):
        run_stage("simulate", project.root)
