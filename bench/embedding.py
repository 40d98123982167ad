"""Images per second of our `embed` beside its peers, in one run, interleaved.

    python bench/embedding.py --images FOLDER [--n 64] [--rounds 5] [--device auto]

Every contender turns the same JPEG files into class tokens of the same ViT-S/14 at 224 px:

ours          `embed_cells` with a cold cache: decoding processes, no block run in vain
bare          our network alone, images already in memory: what decoding may cost at most
ours, int8    the same two with `precision: int8`, where OpenVINO is installed and this is no GPU
bare, int8
plain timm    one process, float32, batches of 32, torch's default threads, decoding in between
one by one    one image at a time through a data loader, as DinoBloom's own script extracts them
limit         the processor's measured matrix-product rate over the network's operations

Contenders take turns in every round, so that a busy neighbour hurts all alike; wall-clock rates
are told with the load average, and beside them images per processor-second, which a neighbour
hardly changes. Results go to bench/results/embedding.json and .md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch

from bloomdiff.data.images import is_image, pixel_digest, read_rgb
from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder
from bloomdiff.encoders.dinov2_onnx import converted_weights
from bloomdiff.encoders.network import NetworkEncoder, resolve_device
from bloomdiff.encoders.precision import cosine_change, has_bfloat16
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.encoders.vit import IMAGENET_MEAN, IMAGENET_STD
from bloomdiff.threads import one_torch_thread, usable_cores

ROOT = Path(__file__).resolve().parents[1]
MATRIX = (8 * 257, 384, 1536)  # tokens of a batch of 8 through the first layer of an MLP
PLAIN_BATCH = 32
_COMPARED = [
    ("ours", "plain timm"),
    ("ours", "bare"),
    ("ours", "one by one"),
    ("ours, int8", "plain timm"),
    ("ours, int8", "bare, int8"),
]


def manifest(folder: Path, n: int) -> pd.DataFrame:
    files = sorted(p for p in folder.rglob("*") if is_image(p))
    paths = [files[i] for i in np.linspace(0, len(files) - 1, n).astype(int)]
    cells = pd.DataFrame({"path": [str(p.relative_to(folder)) for p in paths]})
    cells["cell_id"] = cells["group"] = cells["path"]
    cells["label"] = cells["split"] = cells["source"] = ""
    cells["blake3"] = [pixel_digest(read_rgb(p)) for p in paths]
    return cells


def operations(depth: float, tokens: int = 257, d: int = 384) -> float:
    """Multiplications and additions of ViT-S/14 on one image: patches, blocks, attention."""
    linear, attention = 2 * 12 * d * d * tokens, 2 * 2 * tokens * tokens * d
    return 2 * (tokens - 1) * 588 * d + depth * (linear + attention)


def our_operations() -> float:
    """Ten whole blocks, and keys and values of the eleventh."""
    return operations(10) + 2 * 2 * 384 * 384 * 257


class Contenders:
    """The same images through each way of embedding them."""

    def __init__(self, folder: Path, cells: pd.DataFrame, device: str, weights: Path) -> None:
        self.folder, self.cells, self.weights = folder, cells, weights
        self.device = resolve_device(device)
        encoder = load_encoder(EncoderParams(), device=device, cache_dir=weights)
        assert isinstance(encoder, NetworkEncoder)
        self.encoder = encoder
        self.int8: NetworkEncoder | None = None
        if self.device.type == "cpu" and importlib.util.find_spec("openvino"):
            rounded = load_encoder(
                EncoderParams(precision="int8"), device=device, cache_dir=weights
            )
            assert isinstance(rounded, NetworkEncoder)
            self.int8 = rounded
        timm = import_timm()
        self.model = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=518)
        self.model.load_state_dict(converted_weights(weights))
        self.model.set_input_size(img_size=(224, 224))
        self.model.eval().to(self.device)
        from torchvision import transforms

        self.transform = transforms.Compose(
            [
                transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )
        self.images = [encoder.transform(read_rgb(folder / path)) for path in cells["path"]]

    def load(self, index: int) -> torch.Tensor:
        from PIL import Image

        with Image.open(self.folder / self.cells["path"].iloc[index]) as image:
            tensor: torch.Tensor = self.transform(image.convert("RGB"))
        return tensor

    def ours(self, encoder: NetworkEncoder) -> None:
        with tempfile.TemporaryDirectory() as cache:
            embed_cells(self.cells, self.folder, encoder, cache_dir=cache, jobs=2)

    def bare(self, encoder: NetworkEncoder) -> None:
        size = encoder.batch_size
        batches = [self.images[i : i + size] for i in range(0, len(self.images), size)]
        with encoder.session(), ThreadPoolExecutor(encoder.streams) as pool:
            list(pool.map(encoder.encode_transformed, batches))

    def int8_cosine_change(self) -> float | None:
        """Largest over the images, not over the probes that the encoder itself looks at."""
        if self.int8 is None:
            return None
        exact, rounded = (e.encode(np.stack(self.images)) for e in (self.encoder, self.int8))
        norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
        return float((1 - (exact * rounded).sum(axis=1) / norms).max())

    @torch.inference_mode()
    def plain_timm(self) -> None:
        for start in range(0, len(self.cells), PLAIN_BATCH):
            stop = min(start + PLAIN_BATCH, len(self.cells))
            x = torch.stack([self.load(i) for i in range(start, stop)]).to(self.device)
            self.model.forward_features(x)[:, 0].cpu()

    @torch.inference_mode()
    def one_by_one(self) -> None:
        dataset: Any = _Images(self)
        for x in torch.utils.data.DataLoader(dataset, batch_size=1):
            self.model.forward_features(x.to(self.device))[:, 0].cpu()


class _Images(torch.utils.data.Dataset):
    def __init__(self, contenders: Contenders) -> None:
        self.contenders = contenders

    def __len__(self) -> int:
        return len(self.contenders.cells)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.contenders.load(index)


def multiply(streams: int, repeats: int = 200) -> Callable[[], None]:
    """`repeats` float32 matrix products, shared among the cores, one thread each."""
    a, b = torch.randn(MATRIX[:2]), torch.randn(MATRIX[1:])

    def one(_: int) -> None:
        for _repeat in range(repeats // streams):
            a @ b

    def run() -> None:
        with one_torch_thread(), ThreadPoolExecutor(streams) as pool:
            list(pool.map(one, range(streams)))

    return run


def processor_seconds() -> float:
    """Of this process and its living children."""
    here = psutil.Process()
    times = [p.cpu_times() for p in (here, *here.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def measure(run: Callable[[], None], n: float) -> dict[str, float]:
    used, started = processor_seconds(), time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    used = processor_seconds() - used
    return {"per_second": n / seconds, "per_processor_second": n / used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEG files")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    cells = manifest(given.images, given.n)
    with tempfile.TemporaryDirectory() as weights:
        contenders = Contenders(given.images, cells, given.device, Path(weights))
        runs: dict[str, Callable[[], None]] = {
            "ours": partial(contenders.ours, contenders.encoder),
            "bare": partial(contenders.bare, contenders.encoder),
            "plain timm": contenders.plain_timm,
            "one by one": contenders.one_by_one,
        }
        if contenders.int8 is not None:
            runs["ours, int8"] = partial(contenders.ours, contenders.int8)
            runs["bare, int8"] = partial(contenders.bare, contenders.int8)
        matrix, products = multiply(cores := usable_cores()), cores * (200 // cores)
        runs["ours"]()  # starts the decoding processes, which later rounds find running
        rounds: list[dict[str, Any]] = []
        for _ in range(given.rounds):
            load = os.getloadavg()[0]
            found: dict[str, Any] = {k: measure(run, given.n) for k, run in runs.items()}
            found["matrix"] = measure(matrix, products * 2.0 * float(np.prod(MATRIX)))
            rounds.append({"load_average": load, **found})
        result = {
            "images": given.images.name,
            "n": given.n,
            "cores": usable_cores(),
            "device": contenders.device.type,
            "torch": torch.__version__,
            "dtype": contenders.encoder.preprocessing["dtype"],
            "bfloat16_in_hardware": has_bfloat16(contenders.device),
            "bfloat16_cosine_change": cosine_change(contenders.model, 224, contenders.device),
            "int8_cosine_change": contenders.int8_cosine_change(),
            "operations_plain": operations(12),
            "operations_ours": our_operations(),
            "rounds": rounds,
        }
    report(result)


def report(result: dict[str, Any]) -> None:
    rounds = result["rounds"]
    loads = ", ".join(f"{r['load_average']:.1f}" for r in rounds)
    lines = [
        f"{result['n']} JPEG files of {result['images']}, ViT-S/14 at 224 px, "
        f"{result['cores']} cores, {result['device']}, {result['dtype']}, torch {result['torch']}. "
        f"Load average at the start of each round: {loads}.",
        "",
        "| | images/s: median (range) | images per processor-second |",
        "|---|---|---|",
    ]
    contenders = [name for name in rounds[0] if name not in ("load_average", "matrix")]
    for name in contenders:
        wall = sorted(r[name]["per_second"] for r in rounds)
        own = median(r[name]["per_processor_second"] for r in rounds)
        spread = f"{wall[0]:.1f} to {wall[-1]:.1f}"
        lines.append(f"| {name} | {median(wall):.1f} ({spread}) | {own:.1f} |")
    for name, key in (("ours", "operations_ours"), ("plain timm", "operations_plain")):
        wall = sorted(r["matrix"]["per_second"] / result[key] for r in rounds)
        own = median(r["matrix"]["per_processor_second"] for r in rounds) / result[key]
        title = f"limit of {name}, {result[key] / 1e9:.1f} Gflop an image"
        spread = f"{wall[0]:.1f} to {wall[-1]:.1f}"
        lines.append(f"| {title} | {median(wall):.1f} ({spread}) | {own:.1f} |")
    lines.append("")
    for one, other in _COMPARED:
        if one not in contenders:
            continue
        ratio = median(r[one]["per_second"] / r[other]["per_second"] for r in rounds)
        own = median(
            r[one]["per_processor_second"] / r[other]["per_processor_second"] for r in rounds
        )
        lines.append(f"- {one} / {other}: {ratio:.2f} (per processor-second {own:.2f})")
    if result["int8_cosine_change"] is not None:
        lines.append(
            f"- int8 beside float32: largest cosine change of the {result['n']} images "
            f"{result['int8_cosine_change']:.1e}"
        )
    lines.append(
        f"- bfloat16 in hardware: {result['bfloat16_in_hardware']}; largest cosine change of the "
        f"probe images {result['bfloat16_cosine_change']:.1e}"
    )
    text = "\n".join(lines) + "\n"
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    (folder / "embedding.md").write_text(text, encoding="utf-8")
    (folder / "embedding.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
