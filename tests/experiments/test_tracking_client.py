"""A store that MLflow cannot open is one line that names it."""

import pytest

from bloomdiff.errors import InputError
from bloomdiff.experiments.tracking_client import open_store


@pytest.mark.parametrize("uri", ["foo://x", "file:///nowhere/mlruns"])
def test_a_store_of_no_known_kind_is_one_line(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError) as error:
        open_store(tmp_path, "bloomdiff")
    assert str(error.value).startswith(f"MLflow store {uri}: ")
    assert "MLFLOW_TRACKING_URI" in str(error.value)
    assert "\n" not in str(error.value)
