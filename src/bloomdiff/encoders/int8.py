"""A network with 8-bit linear layers, run by OpenVINO: for processors without bfloat16.

Weights are rounded once, symmetrically and per output channel; activations are rounded by OpenVINO
as they come, in groups of `GROUP` channels of one token, so that no image's arithmetic depends on
the images beside it. On processors with 8-bit dot products (VNNI) a vision transformer runs nearly
twice as fast as in float32, and its class token moves by a cosine of a few 1e-4.
"""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from bloomdiff.encoders.precision import MAX_COSINE_CHANGE, probe_images
from bloomdiff.errors import ParameterError
from bloomdiff.threads import usable_cores

GROUP = 64


def _openvino() -> Any:
    # At its import OpenVINO reports home through this package; without it, it stays silent.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError:
        raise ParameterError(
            "precision int8",
            "needs OpenVINO, which is not installed",
            "pip install 'bloomdiff[fast]', or use precision float32",
        ) from None
    return openvino


class Int8Network(nn.Module):
    """`network` on batches of one shape.

    Parameters
    ----------
    network
        float32, on the processor; normalised images `(b, 3, s, s)` to features `(b, d)`.
    size, batch_size
        Side s of the input in pixels, and images b in every batch.

    Attributes
    ----------
    runtime
        Name and version of what multiplies.
    cosine_change
        Largest `1 - cosine` between float32 and 8-bit features of the probe images.

    Raises
    ------
    ParameterError
        OpenVINO is not installed, or a probe image's features move by more than a cosine of
        `MAX_COSINE_CHANGE`.
    """

    def __init__(self, network: nn.Module, size: int, batch_size: int) -> None:
        super().__init__()
        ov = _openvino()
        self.runtime = f"openvino {ov.__version__.partition('-')[0]}"
        shape = (batch_size, 3, size, size)
        probes = probe_images(size)
        padded = torch.zeros(shape)
        padded[: len(probes)] = probes[:batch_size]
        with warnings.catch_warnings():
            # Tracing warns of every comparison of shapes, and the shapes are fixed here.
            warnings.simplefilter("ignore")
            model = ov.convert_model(network, example_input=padded, input=[shape])
        round_weights(model)
        self._model = ov.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": usable_cores(),
                "NUM_STREAMS": usable_cores(),
                "INFERENCE_PRECISION_HINT": "f32",
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
            },
        )
        self._own = threading.local()
        kept = min(len(probes), batch_size)
        with torch.inference_mode():
            exact, rounded = network(padded)[:kept], self(padded)[:kept]
        self.cosine_change = float(
            (1 - nn.functional.cosine_similarity(exact, rounded)).max().clamp(min=0)
        )
        if not self.cosine_change <= MAX_COSINE_CHANGE:
            raise ParameterError(
                "precision int8",
                f"moves this encoder's features by a cosine of {self.cosine_change:.1e}, more than "
                f"{MAX_COSINE_CHANGE:g}",
                "use precision float32",
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features `(b, d)` of images `(b, 3, s, s)`; each thread has a request of its own."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        found = self._own.request.infer([np.ascontiguousarray(x.numpy())])[0]
        return torch.from_numpy(np.array(found))


def round_weights(model: Any) -> int:
    """Replace the constant factor of each matrix product by 8-bit integers; return how many."""
    from openvino import opset13 as ops

    found = 0
    for node in model.get_ops():
        if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"]:
            continue
        factor = node.input_value(1).get_node()
        if factor.get_type_name() != "Constant":
            continue
        weight = np.asarray(factor.data, dtype=np.float32)
        scale = np.abs(weight).max(axis=1, keepdims=True) / 127
        scale[scale == 0] = 1
        rounded = np.rint(weight / scale).astype(np.int8)
        product = ops.multiply(ops.convert(ops.constant(rounded), "f32"), ops.constant(scale))
        node.input(1).replace_source_output(product.output(0))
        found += 1
    return found
