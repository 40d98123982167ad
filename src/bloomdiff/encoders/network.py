"""Any neural network as an `Encoder`: normalisation, views, precision, device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bloomdiff.encoders.base import Encoder, Floats
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.precision import choose_dtype
from bloomdiff.encoders.transform import Pixels, Transform
from bloomdiff.errors import ParameterError
from bloomdiff.threads import one_torch_thread, usable_cores

if TYPE_CHECKING:
    from bloomdiff.encoders.int8 import Int8Network

VIEWS = {
    # (quarter turns, mirrored)
    "none": ((0, False),),
    "rotations": tuple((turns, False) for turns in range(4)),
    "dihedral": tuple((turns, flip) for flip in (False, True) for turns in range(4)),
}


class NetworkEncoder(Encoder):
    """A frozen network on a device.

    Parameters
    ----------
    name
        Registered name.
    network
        Normalised images `(b, 3, s, s)` to features `(b, d)`, float32 weights.
    digest
        SHA-256 of the weights, hexadecimal.
    transform
        Decoded image to the square that the network takes.
    mean, std
        Of each channel, on the scale 0 to 1.
    features
        Which features the network returns; plain data for the header.
    params
        As given by the user.
    device
        torch device name, or "auto".
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        *,
        digest: str,
        transform: Transform,
        mean: Sequence[float],
        std: Sequence[float],
        features: dict[str, Any],
        params: EncoderParams,
        device: str = "auto",
    ) -> None:
        self.name, self.digest, self.params, self.transform = name, digest, params, transform
        self.device = resolve_device(device)
        self.batch_size = params.batch_size or (8 if self.device.type == "cpu" else 128)
        self._views = VIEWS[params.tta]
        self._scale = 1 / (255 * torch.tensor(std, device=self.device).view(1, 3, 1, 1))
        self._shift = (torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1).to(self.device)
        self._network = network.eval().requires_grad_(False).to(self.device)
        size = transform.size
        assert size is not None
        self._size = size
        self._dtype = choose_dtype(params.precision, self._network, size, self.device)
        self._network.to(self._dtype)
        with torch.inference_mode():
            probe = torch.zeros(1, 3, size, size, device=self.device, dtype=self._dtype)
            self.dim = int(self._network(probe).shape[1])
        dtype, runtime = str(self._dtype).removeprefix("torch."), f"torch {torch.__version__}"
        if params.precision == "int8":
            self._network = in_8_bits = self._in_8_bits()
            dtype, runtime = "int8", in_8_bits.runtime
        self.preprocessing = {
            "transform": transform.to_dict(),
            "mean": list(mean),
            "std": list(std),
            "features": features,
            "tta": params.tta,
            "batch_size": self.batch_size,
            "dtype": dtype,
            "runtime": f"{runtime} {self.device.type}",
        }

    def _in_8_bits(self) -> Int8Network:
        from bloomdiff.encoders.int8 import Int8Network

        if self.device.type != "cpu":
            raise ParameterError(
                "precision int8", f"does not run on {self.device.type}", "use precision bfloat16"
            )
        return Int8Network(self._network, self._size, self.batch_size)

    @torch.inference_mode()
    def _forward(self, images: Sequence[Pixels]) -> Floats:
        size = self._size
        batch = np.zeros((self.batch_size, size, size, 3), np.uint8)
        batch[: len(images)] = np.stack(images)
        # The transposed view of (b, h, w, 3) bytes already lies channels-last in memory.
        x = torch.from_numpy(batch).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        x = x.float() * self._scale - self._shift
        out = torch.zeros(len(batch), self.dim, device=self.device)
        for turns, mirrored in self._views:
            view = torch.rot90(x.flip(3) if mirrored else x, turns, (2, 3))
            out += self._network(view.to(self._dtype)).float()
        return (out / len(self._views))[: len(images)].cpu().numpy()

    @property
    def streams(self) -> int:
        """One batch a core; two on a GPU, so that copying hides behind computing."""
        return usable_cores() if self.device.type == "cpu" else 2

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold torch to one thread a batch while batches run side by side."""
        with one_torch_thread():
            yield


def resolve_device(device: str) -> torch.device:
    """Return the torch device of this name; "auto" is a GPU where there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
