from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bloomdiff.encoders.cache import EmbeddingCache, as_digests
from bloomdiff.files import read_json

RNG = np.random.default_rng(0)
HEX = [RNG.bytes(32).hex() for _ in range(50)]
X = RNG.standard_normal((50, 8)).astype(np.float32)


def filled(folder: Path, stub, *slices: slice) -> EmbeddingCache:
    cache = EmbeddingCache(folder, stub)
    for part in slices:
        cache.add(as_digests(HEX[part]), X[part])
    return EmbeddingCache(folder, stub)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 49), min_size=1, max_size=80))
def test_any_rows_in_any_order_come_back(tmp_path_factory, stub, wanted: list[int]) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = filled(folder, stub, slice(0, 20), slice(20, 23), slice(23, 50))
    digests = as_digests([HEX[i] for i in wanted])
    assert not cache.missing(digests).any()
    np.testing.assert_array_equal(cache.gather(digests), X[wanted])


def test_digests_that_end_in_zero_bytes_are_kept_apart(tmp_path: Path, stub) -> None:
    names = ["ab" + "00" * 31, "ab" + "00" * 30 + "01", "00" * 32]
    cache = EmbeddingCache(tmp_path, stub)
    cache.add(as_digests(names), X[:3])
    again = EmbeddingCache(tmp_path, stub)
    np.testing.assert_array_equal(again.gather(as_digests(names)), X[:3])


def test_missing_says_which(tmp_path: Path, stub) -> None:
    cache = filled(tmp_path, stub, slice(0, 5))
    assert cache.missing(as_digests(HEX[3:8])).tolist() == [False, False, True, True, True]
    assert len(cache) == 5


def test_a_damaged_chunk_is_dropped_and_the_others_stay(tmp_path: Path, stub) -> None:
    cache = filled(tmp_path, stub, slice(0, 5), slice(5, 9))
    first = sorted(cache.folder.glob("*.safetensors"))[0]
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    again = EmbeddingCache(tmp_path, stub)
    assert again.missing(as_digests(HEX[:9])).tolist() == [True] * 5 + [False] * 4
    assert not first.exists()


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path, stub) -> None:
    cache = filled(tmp_path, stub, slice(0, 5))
    unfinished = cache.folder / ".00000001-abc-xyz.safetensors"
    unfinished.write_bytes(b"half")
    assert len(EmbeddingCache(tmp_path, stub)) == 5
    assert unfinished.exists()


def test_two_writers_at_once_keep_both_chunks(tmp_path: Path, stub) -> None:
    one, two = EmbeddingCache(tmp_path, stub), EmbeddingCache(tmp_path, stub)
    one.add(as_digests(HEX[:5]), X[:5])
    two.add(as_digests(HEX[3:9]), X[3:9])
    both = EmbeddingCache(tmp_path, stub)
    np.testing.assert_array_equal(both.gather(as_digests(HEX[:9])), X[:9])


@pytest.mark.parametrize("field", ["digest", "name", "preprocessing"])
def test_another_encoder_has_another_cache(tmp_path: Path, stub, make_stub, field: str) -> None:
    filled(tmp_path, stub, slice(0, 5))
    other = make_stub()
    setattr(other, field, {"size": 1} if field == "preprocessing" else "other")
    assert len(EmbeddingCache(tmp_path, other)) == 0


def test_the_folder_says_whose_it_is(tmp_path: Path, stub) -> None:
    cache = filled(tmp_path, stub, slice(0, 5))
    assert read_json(cache.folder / "encoder.json") == stub.header
