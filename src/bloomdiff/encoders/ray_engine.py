"""The same encoder on a Ray cluster, by Ray Data: each partition lands in the cache as one chunk.

A partition's worker writes its chunk itself, atomically, into the cache folder, which every node
must see under the same path. A worker that dies loses the partition in its hands; Ray gives that
one to another worker. A driver that dies loses nothing that is written: the next run finds it in
the cache.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from bloomdiff.cluster import connect, import_ray
from bloomdiff.encoders.base import Encoder
from bloomdiff.encoders.embed import CHUNK_ROWS, Todo, embed_todo
from bloomdiff.errors import BloomDiffError

# Partitions a worker should have at least, so that the last ones end together.
_PER_WORKER = 4


def embed_on_ray(todo: Todo, encoder: Encoder, *, cache_dir: str | Path) -> None:
    """Compute and cache every image of `todo` on the Ray cluster at hand, or a local one.

    Parameters
    ----------
    todo
        Distinct images; their paths must be visible to every node.
    encoder
        Travels to the workers with its weights; every worker needs the driver's kind of device.
    cache_dir
        Folder of the cache, shared by all nodes.
    """
    from tqdm import tqdm

    ray = connect("embed.engine 'ray'")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    device = getattr(encoder, "device", None)
    gpu = device is not None and device.type == "cuda"
    resources = ray.cluster_resources()
    workers = max(1, int(resources.get("GPU" if gpu else "CPU", 1)))
    parts = partitions(todo, encoder.batch_size, workers)
    folder = str(Path(cache_dir).resolve())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # The reference is held here for as long as restarted workers may ask for it.
    packed = ray.put(_pack(encoder))
    rows = ray.data.from_items(
        [{"path": part.cells["path"].tolist(), "blake3": part.blake3} for part in parts],
        override_num_blocks=len(parts),
    ).map(
        _Worker,
        fn_constructor_args=(packed, str(todo.root.resolve()), folder),
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(parts))),
        num_gpus=1 if gpu else None,
        num_cpus=1,
    )
    with tqdm(total=len(todo), desc=f"embed {encoder.name}", unit="cell") as bar:
        for row in rows.iter_rows():
            if row["error"]:
                raise BloomDiffError(*row["error"])
            bar.update(int(row["done"]))


def partitions(todo: Todo, batch_size: int, workers: int) -> list[Todo]:
    """Cut `todo` at multiples of the batch size, `_PER_WORKER` parts a worker or more."""
    batches = -(-len(todo) // batch_size)
    most = max(1, CHUNK_ROWS // batch_size)
    step = batch_size * min(most, max(1, batches // (workers * _PER_WORKER)))
    return [todo.part(start, start + step) for start in range(0, len(todo), step)]


class _Worker:
    """One encoder in one process of the cluster."""

    def __init__(self, packed: Any, root: str, cache_dir: str) -> None:
        import ray

        self.encoder = _unpack(ray.get(packed) if isinstance(packed, ray.ObjectRef) else packed)
        self.root, self.cache_dir = Path(root), cache_dir

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        todo = Todo(self.root, pd.DataFrame({"path": row["path"], "blake3": row["blake3"]}))
        try:
            embed_todo(todo, self.encoder, cache_dir=self.cache_dir, jobs=0, streams=1, whole=True)
        except BloomDiffError as error:
            # Raised here it would reach the user in Ray's wrappings, pages long.
            return {"done": 0, "error": [error.where, error.problem, error.mend]}
        return {"done": len(todo), "error": []}


def _pack(encoder: Encoder) -> tuple[bool, bytes]:
    packed: bytes = import_ray().cloudpickle.dumps(encoder)
    return encoder.learned, packed


def _unpack(packed: tuple[bool, bytes]) -> Encoder:
    import pickle

    learned, data = packed
    if learned:
        from bloomdiff.encoders.timm_import import import_timm

        # A network's classes live in timm, which must come in by its own door.
        import_timm()
    encoder: Encoder = pickle.loads(data)
    return encoder
