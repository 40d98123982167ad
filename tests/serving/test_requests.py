"""What a request may hold, and what is said about one that does not."""

import base64
import importlib.metadata
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.images import encode_png
from bloomdiff.errors import InputError
from bloomdiff.serving.package import requirements
from bloomdiff.serving.requests import embeddings_of, images_of


def picture(size=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def only_image(value):
    (found,) = images_of(pd.DataFrame({"image": [value]}))
    return found


def error_of(value):
    with pytest.raises(InputError) as refused:
        only_image(value)
    return str(refused.value)


def test_every_spelling_of_base64_is_the_image():
    pixels = picture()
    data = encode_png(pixels)
    plain = base64.b64encode(data).decode()
    wrapped = "\n".join(textwrap.wrap(plain, 76)) + "\n"
    url_safe = base64.urlsafe_b64encode(data).decode()
    assert url_safe != plain
    for text in (
        plain,
        wrapped,
        url_safe,
        url_safe.rstrip("="),
        f"data:image/png;base64,{wrapped}",
    ):
        np.testing.assert_array_equal(only_image(text), pixels)


def test_an_image_of_a_hundred_letters_is_no_path():
    text = base64.b64encode(encode_png(np.zeros((1, 1, 3), np.uint8))).decode()
    assert len(text) < 255
    np.testing.assert_array_equal(only_image(text), np.zeros((1, 1, 3), np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "JPEG"])
def test_every_format_is_known_by_its_first_bytes(kind, tmp_path):
    file = tmp_path / "cell"
    Image.fromarray(picture()).save(file, format=kind)
    text = base64.b64encode(file.read_bytes()).decode()
    np.testing.assert_array_equal(only_image(text), only_image(file.read_bytes()))


def test_a_path_of_base64_letters_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = picture()
    for name in ("cell", "Qk00", "a b.png"):
        Path(name).write_bytes(encode_png(pixels))
        np.testing.assert_array_equal(only_image(name), pixels)
        np.testing.assert_array_equal(only_image(tmp_path / name), pixels)


def test_errors_name_the_row_and_quote_little():
    for value in ("R0lGODlh" * 3500, "x" * 300, "no\0file", "data:image/png;base64,?", "gone.png"):
        told = error_of(value)
        assert told.startswith("image 0: is neither an image in base64 nor a file (")
        assert len(told) < 300
    assert "(28,000 characters)" in error_of("R0lGODlh" * 3500)
    assert "no such image): 'gone.png'" in error_of("gone.png")
    for value in (None, 3.5, "  ", np.zeros(10_000)):
        assert len(error_of(value)) < 200
    table = pd.DataFrame({"image": [encode_png(picture()), b"\x89PNG\r\n\x1a\nbroken"]})
    with pytest.raises(InputError, match=r"^image 1: "):
        images_of(table)


def test_a_missing_column_is_named():
    wanted = "has no column image or embedding.*; give one column: image .* or embedding"
    with pytest.raises(InputError, match=wanted):
        embeddings_of(pd.DataFrame(index=range(2)), 3)
    with pytest.raises(InputError, match=r"its columns: 'picture, 0'"):
        embeddings_of(pd.DataFrame({"picture": ["a"], 0: [1.0]}), 3)


def test_no_rows_are_no_rows():
    assert images_of(pd.DataFrame({"image": []})) == []
    empty = embeddings_of(pd.DataFrame({"embedding": []}), 384)
    assert (empty.shape, empty.dtype) == ((0, 384), np.float32)


def test_rows_that_are_no_embeddings_are_named():
    table = pd.DataFrame({"embedding": [[1.0, 2.0], np.array([3.0, 4.0])]})
    np.testing.assert_array_equal(embeddings_of(table, 2), [[1, 2], [3, 4]])
    for odd in (None, "abc", 2.0, [["a"]], [[1.0]]):
        with pytest.raises(InputError, match=r"^embedding 1: is no list of numbers"):
            embeddings_of(pd.DataFrame({"embedding": [[1.0], odd]}), 1)
    with pytest.raises(InputError, match="embedding 1: has 3 numbers, embedding 0 has 2"):
        embeddings_of(pd.DataFrame({"embedding": [[1.0, 2.0], [1.0, 2.0, 3.0]]}), 2)


def test_what_requests_import_is_required():
    code = (
        "import sys, json, bloomdiff.serving.requests, bloomdiff.serving.cell_typer; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    providers = importlib.metadata.packages_distributions()
    direct = {
        name for name in importlib.metadata.requires("bloomdiff") or [] if "extra" not in name
    }
    ours = {name.partition(">")[0].partition("=")[0].partition("[")[0].lower() for name in direct}
    loaded = {
        provider.lower() for name in json.loads(done.stdout) for provider in providers.get(name, [])
    }
    required = {line.partition("==")[0].lower() for line in requirements()}
    assert "simplejpeg" in loaded & ours
    assert (loaded & ours) - required - {"bloomdiff"} == set()
