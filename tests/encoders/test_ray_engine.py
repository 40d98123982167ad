import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_vit as helpers

from bloomdiff.encoders import EncoderParams, embed_cells, ray_engine
from bloomdiff.encoders.embed import Todo
from bloomdiff.errors import BloomDiffError, ParameterError


def todo(n: int) -> Todo:
    names = [str(i) for i in range(n)]
    return Todo(Path("root"), pd.DataFrame({"path": names, "blake3": names}))


@pytest.mark.parametrize("n", [1, 7, 8, 100, 1000])
def test_partitions_cover_in_order_at_whole_batches(n: int, monkeypatch) -> None:
    monkeypatch.setattr(ray_engine, "CHUNK_ROWS", 64)
    parts = ray_engine.partitions(todo(n), 8, 2)
    assert [s for part in parts for s in part.blake3] == todo(n).blake3
    assert all(len(part) % 8 == 0 for part in parts[:-1])
    assert max(len(part) for part in parts) <= 64


def test_without_ray_one_line_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParameterError, match=r"pip install 'bloomdiff\[cluster\]'"):
        ray_engine.import_ray()


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
    pytest.importorskip("ray.data")
    from ray import cloudpickle

    # The workers know nothing of the helpers beside the tests.
    cloudpickle.register_pickle_by_value(helpers)
    ray_engine.import_ray()
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=200_000_000,
    )
    yield ray
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(helpers)


def workers() -> list:
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::MapWorker") and "_Worker" in line:
            found.append(process)
    return found


@pytest.mark.slow
def test_two_workers_equal_the_local_result(cluster, more_images, tmp_path: Path) -> None:
    cells = more_images(tmp_path / "images", 60)
    local = embed_cells(
        cells, tmp_path / "images", helpers.small_vit(), cache_dir=tmp_path / "a", jobs=0
    )
    shared = embed_cells(
        cells, tmp_path / "images", helpers.small_vit(engine="ray"), cache_dir=tmp_path / "b"
    )
    np.testing.assert_array_equal(shared.X, local.X)
    assert shared.header == local.header


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster, more_images, tmp_path: Path) -> None:
    cells = more_images(tmp_path / "images", 64)
    root = tmp_path / "images"
    slow = helpers.slow_vit(0.4, engine="ray")
    local = embed_cells(cells, root, helpers.small_vit(), cache_dir=tmp_path / "a", jobs=0)
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not killed:
            written = len(list((tmp_path / "b").rglob("[0-9]*.safetensors")))
            alive = workers()
            if written >= 2 and alive:
                killed.append(written)
                alive[0].kill()
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    shared = embed_cells(cells, root, slow, cache_dir=tmp_path / "b")
    thread.join()
    assert killed, "no worker was killed"
    assert killed[0] < 16, "the run was over before the kill"
    np.testing.assert_array_equal(shared.X, local.X)


@pytest.mark.slow
def test_a_bad_image_is_one_line_as_it_is_locally(cluster, more_images, tmp_path: Path) -> None:
    cells = more_images(tmp_path / "images", 8)
    (tmp_path / "images" / cells["path"][5]).write_bytes(b"no image")
    with pytest.raises(BloomDiffError, match=r"s0_005\.png") as error:
        embed_cells(
            cells, tmp_path / "images", helpers.small_vit(engine="ray"), cache_dir=tmp_path / "c"
        )
    assert "\n" not in str(error.value)


def test_the_engine_is_no_part_of_the_cache_key() -> None:
    assert EncoderParams(engine="ray").engine == "ray"
    assert helpers.small_vit(engine="ray").key == helpers.small_vit().key
