"""8-bit linear layers: near float32, companions do not matter, and each refusal can happen."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_vit import small_vit

from bloomdiff.encoders import int8
from bloomdiff.errors import ParameterError

pytest.importorskip("openvino", reason="extra [fast] is not installed")
IMAGES = np.random.default_rng(0).integers(0, 256, (11, 28, 28, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder():
    return small_vit(precision="int8")


def test_features_are_near_those_of_float32(encoder) -> None:
    rounded, exact = encoder.encode(IMAGES), small_vit(precision="float32").encode(IMAGES)
    norms = np.linalg.norm(rounded, axis=1) * np.linalg.norm(exact, axis=1)
    change = 1 - (rounded * exact).sum(axis=1) / norms
    assert 1e-8 < change.max() < int8.MAX_COSINE_CHANGE


def test_a_row_depends_on_no_companion_and_no_thread(encoder) -> None:
    whole = encoder.encode(IMAGES)
    order = np.random.default_rng(1).permutation(11)
    np.testing.assert_array_equal(encoder.encode(IMAGES[order][:5]), whole[order][:5])
    with encoder.session(), ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(encoder.encode_transformed, [IMAGES[:4], IMAGES[4:8]] * 4))
    np.testing.assert_array_equal(np.concatenate(parts[-2:]), whole[:8])


def test_every_linear_layer_is_rounded(monkeypatch) -> None:
    counted = []
    kept = int8.round_weights
    monkeypatch.setattr(int8, "round_weights", lambda model: counted.append(kept(model)))
    encoder = small_vit(precision="int8")
    # qkv, projection and two layers of the MLP in each block; the last one has its query apart.
    assert counted == [4 + 5]
    assert encoder.preprocessing["dtype"] == "int8"
    assert encoder.preprocessing["runtime"].startswith("openvino ")


def test_a_network_that_8_bits_harm_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(int8, "MAX_COSINE_CHANGE", 1e-9)
    with pytest.raises(ParameterError, match="moves this encoder's features by a cosine of"):
        small_vit(precision="int8")


def test_without_openvino_the_mend_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ParameterError, match=r"bloomdiff\[fast\]"):
        small_vit(precision="int8")


def test_importing_openvino_tells_nobody() -> None:
    code = (
        "import sys; from bloomdiff.encoders.int8 import _openvino; _openvino();"
        "assert sys.modules['openvino_telemetry'] is None;"
        "from openvino.tools.ovc import telemetry_utils;"
        "assert telemetry_utils.tm.__name__.endswith('telemetry_stub')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
