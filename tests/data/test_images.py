import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from bloomdiff.data import images
from bloomdiff.data.images import decode_rgb, encode_png, is_image, pixel_digest, read_rgb
from bloomdiff.errors import InputError

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (12, 9, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]
GREY16 = RNG.integers(0, 65536, (12, 9), dtype=np.uint16)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_colour_files_give_their_pixels(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cell.any"
    path.write_bytes(encoded(Image.fromarray(RGB), kind))
    found = read_rgb(path)
    np.testing.assert_array_equal(found, RGB)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert found.flags.c_contiguous


def test_lossless_webp_and_jpeg_agree_with_pillow() -> None:
    webp = encoded(Image.fromarray(RGB), "WEBP", lossless=True)
    np.testing.assert_array_equal(decode_rgb(webp, "x"), RGB)
    jpeg = encoded(Image.fromarray(RGB), "JPEG")
    np.testing.assert_array_equal(decode_rgb(jpeg, "x"), np.asarray(Image.open(io.BytesIO(jpeg))))


def test_grey_fills_three_channels() -> None:
    found = decode_rgb(encoded(Image.fromarray(GREY), "PNG"), "x")
    for channel in range(3):
        np.testing.assert_array_equal(found[:, :, channel], GREY)


def test_bilevel_is_black_and_white() -> None:
    found = decode_rgb(encoded(Image.fromarray(GREY > 127), "PNG"), "x")
    np.testing.assert_array_equal(found[:, :, 1], np.where(GREY > 127, 255, 0))


def test_alpha_is_blended_on_white() -> None:
    alpha = RNG.integers(0, 256, GREY.shape, dtype=np.uint8)
    image = Image.fromarray(np.dstack([RGB, alpha]), "RGBA")
    weight = alpha[:, :, None] / 255
    np.testing.assert_allclose(
        decode_rgb(encoded(image, "PNG"), "x"), RGB * weight + 255 * (1 - weight), atol=1.01
    )
    grey = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha)))
    np.testing.assert_allclose(
        decode_rgb(encoded(grey, "PNG"), "x")[:, :, 2],
        GREY * (alpha / 255) + 255 * (1 - alpha / 255),
        atol=1.01,
    )


def test_a_transparent_colour_becomes_white() -> None:
    image = Image.fromarray(np.array([[[10, 20, 30], [40, 50, 60]]], dtype=np.uint8))
    data = encoded(image, "PNG", transparency=(10, 20, 30))
    assert decode_rgb(data, "x").tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_palette_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 10, 30, 0, 90, 255])
    image.putdata([0, 1])
    assert decode_rgb(encoded(image, "PNG"), "x").tolist() == [[[200, 10, 30], [0, 90, 255]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_the_upper_byte(kind: str) -> None:
    found = decode_rgb(encoded(Image.fromarray(GREY16), kind), "x")
    np.testing.assert_array_equal(found[:, :, 0], GREY16 // 256)
    np.testing.assert_array_equal(found[:, :, 2], GREY16 // 256)


def test_big_endian_sixteen_bit_grey_keeps_the_upper_byte() -> None:
    tifffile = pytest.importorskip("tifffile")
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY16, byteorder=">", photometric="minisblack")
    np.testing.assert_array_equal(decode_rgb(stream.getvalue(), "x")[:, :, 0], GREY16 // 256)


def png(depth: int, rows: np.ndarray, transparent: int) -> bytes:
    """Grey PNG with a transparent value, which Pillow cannot write at 16 bits."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, 0, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in rows)
    chunks = [(b"IHDR", head), (b"tRNS", struct.pack(">H", transparent))]
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("transparent", [0, 7])
def test_a_transparent_grey_becomes_white_at_either_depth(transparent: int) -> None:
    rows = GREY.copy()
    rows[:3] = transparent
    expected = np.where(rows == transparent, 255, rows)
    shallow = decode_rgb(png(8, rows, transparent), "x")
    # The lower byte tells the transparent value apart from others of the same upper byte.
    deep = decode_rgb(png(16, rows.astype(np.uint16) * 256, transparent * 256), "x")
    near = decode_rgb(png(16, rows.astype(np.uint16) * 256 + 1, transparent * 256), "x")
    for channel in range(3):
        np.testing.assert_array_equal(shallow[:, :, channel], expected)
        np.testing.assert_array_equal(deep[:, :, channel], expected)
        np.testing.assert_array_equal(near[:, :, channel], rows)


@pytest.mark.parametrize("grey", [GREY, GREY16])
def test_zero_as_white_is_inverted_at_either_depth(grey: np.ndarray) -> None:
    data = encoded(Image.fromarray(grey), "TIFF")
    black, white = (struct.pack("<HHIH", 262, 3, 1, zero) for zero in (1, 0))
    assert data.count(black) == 1
    upper = grey >> 8 * (grey.dtype.itemsize - 1)
    found = decode_rgb(data.replace(black, white), "x")
    np.testing.assert_array_equal(found[:, :, 1], 255 - upper)
    np.testing.assert_array_equal(decode_rgb(data, "x")[:, :, 1], upper)


@pytest.mark.parametrize(("orientation", "turns"), [(6, -1), (3, 2), (8, 1)])
def test_exif_turns_sixteen_bit_grey(orientation: int, turns: int) -> None:
    data = encoded(Image.fromarray(GREY16), "TIFF", tiffinfo={274: orientation})
    expected = np.rot90(GREY16 // 256, turns)
    np.testing.assert_array_equal(decode_rgb(data, "x")[:, :, 0], expected)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(GREY16), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_rgb(data, "x")[:, :, 0], expected)


def test_sixteen_bit_colour_keeps_the_upper_byte() -> None:
    tifffile = pytest.importorskip("tifffile")
    colour = RNG.integers(0, 65536, (5, 4, 3), dtype=np.uint16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, colour, photometric="rgb")
    np.testing.assert_array_equal(decode_rgb(stream.getvalue(), "x"), colour // 256)


def test_cmyk_is_converted_by_the_plain_formula() -> None:
    cmyk = RNG.integers(0, 256, (4, 5, 4), dtype=np.uint8)
    found = decode_rgb(encoded(Image.fromarray(cmyk, "CMYK"), "TIFF"), "x")
    cyan_magenta_yellow, black = cmyk[:, :, :3].astype(float), cmyk[:, :, 3:].astype(float)
    expected = (255 - cyan_magenta_yellow) * (255 - black) / 255
    np.testing.assert_allclose(found, expected, atol=1.01)


@pytest.mark.parametrize(("orientation", "turns"), [(6, -1), (3, 2), (8, 1)])
def test_exif_orientation_is_applied(orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(RGB), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_rgb(data, "x"), np.rot90(RGB, turns))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused_by_number(kind: str) -> None:
    frames = [Image.fromarray(np.roll(RGB, shift, axis=0)) for shift in range(3)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"^f\.tif: holds 3 frames or pages;"):
        decode_rgb(data, "f.tif")


def test_a_phone_photograph_with_a_preview_is_its_first_frame() -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 10)]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode_rgb(data, "x").mean() == pytest.approx(200, abs=2)


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_pixels_without_a_stated_conversion_are_refused_by_mode(mode: str) -> None:
    with pytest.raises(InputError, match=f"pixels of mode {mode}"):
        decode_rgb(encoded(Image.new(mode, (4, 4)), "TIFF"), "x")


def test_other_formats_are_refused() -> None:
    with pytest.raises(InputError, match="is not a PNG, JPEG, TIFF, BMP or WebP"):
        decode_rgb(encoded(Image.fromarray(GREY), "GIF"), "x")


def test_a_bomb_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(RGB), "PNG")
    monkeypatch.setattr(images, "MAX_PIXELS", RGB.shape[0] * RGB.shape[1])
    decode_rgb(data, "x")
    monkeypatch.setattr(images, "MAX_PIXELS", RGB.shape[0] * RGB.shape[1] - 1)
    with pytest.raises(InputError, match="has more than 107 pixels"):
        decode_rgb(data, "x")


@pytest.mark.parametrize("side", [9_500, 60_000])
def test_a_real_bomb_is_refused_without_a_warning(side: int) -> None:
    data = bytearray(encoded(Image.new("1", (1, 1)), "PNG"))
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="more than 80,000,000 pixels"):
            decode_rgb(bytes(data), "x")


def test_threads_leave_the_filters_of_warnings_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(Image.fromarray(RGB), "PNG")
    opened = Image.open

    def slowly(*args: object, **options: object) -> Image.Image:
        time.sleep(0.002)  # lets another thread in
        return opened(*args, **options)

    monkeypatch.setattr(Image, "open", slowly)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode_rgb(data, "x"), range(40)))
    assert warnings.filters == before


COLOUR_JPEGS = [
    encoded(Image.fromarray(np.kron(RGB, np.ones((5, 7, 1), np.uint8))), "JPEG", **options)
    for options in (
        {},
        {"subsampling": 0, "quality": 95},
        {"subsampling": 1, "optimize": True},
        {"progressive": True},
        {"restart_marker_blocks": 2},
    )
]


@pytest.mark.parametrize("jpeg", COLOUR_JPEGS)
def test_sound_colour_jpeg_is_decoded_without_pillow_to_its_pixels(
    jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(io.BytesIO(jpeg)) as image:
        expected = np.asarray(image)
    monkeypatch.setattr(images, "_open", None)
    np.testing.assert_array_equal(decode_rgb(jpeg, "x"), expected)


@settings(max_examples=500)
@given(data=st.data(), jpeg=st.sampled_from(COLOUR_JPEGS))
def test_what_is_decoded_without_pillow_pillow_decodes_to_the_same(
    data: st.DataObject, jpeg: bytes
) -> None:
    start = data.draw(st.integers(0, len(jpeg) - 1))
    end = data.draw(st.integers(start, min(start + 20, len(jpeg))))
    damaged = jpeg[:start] + data.draw(st.binary(max_size=3)) + jpeg[end:]
    quick = images._plain_jpeg(damaged)
    if quick is not None:
        with Image.open(io.BytesIO(damaged)) as image:
            np.testing.assert_array_equal(quick, np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.6, 0.95])
def test_truncated_files_are_one_error_that_names_the_file(
    tmp_path: Path, kind: str, part: float
) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "cell.img"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such image"):
        read_rgb(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_rgb(tmp_path)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]))
def test_damaged_bytes_never_escape_as_another_error(data: st.DataObject, kind: str) -> None:
    whole = bytearray(encoded(Image.fromarray(RGB), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_rgb(bytes(whole), "x")
    except InputError:
        return
    assert found.ndim == 3
    assert found.dtype == np.uint8


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(3)),
        elements=st.integers(0, 255),
    )
)
def test_png_keeps_pixels_and_digest(rgb: np.ndarray) -> None:
    found = decode_rgb(encode_png(rgb), "x")
    np.testing.assert_array_equal(found, rgb)
    assert pixel_digest(found) == pixel_digest(rgb)


def test_the_digest_is_blake3_of_shape_and_pixels() -> None:
    expected = blake3(b"12x9x3:" + RGB.tobytes()).hexdigest()
    assert pixel_digest(RGB) == expected
    assert pixel_digest(np.asfortranarray(RGB)) == expected
    assert pixel_digest(RGB.reshape(9, 12, 3)) != expected
    changed = RGB.copy()
    changed[0, 0, 0] ^= 1
    assert pixel_digest(changed) != expected


def test_images_are_told_by_suffix() -> None:
    assert is_image(Path("a/B.TIFF"))
    assert not is_image(Path("a/._b.png"))
    assert not is_image(Path("a/b.gif"))


def test_twelve_bit_grey_keeps_the_upper_eight_bits() -> None:
    grey = RNG.integers(0, 4096, (4, 6))
    packed = b"".join(
        int("".join(f"{value:012b}" for value in row), 2).to_bytes(9, "big") for row in grey
    )
    tags = {256: 6, 257: 4, 258: 12, 259: 1, 262: 1, 273: 0, 277: 1, 278: 4, 279: len(packed)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4  # where the pixels begin
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    found = decode_rgb(head + entries + struct.pack("<I", 0) + packed, "x")
    np.testing.assert_array_equal(found[:, :, 0], grey // 16)
