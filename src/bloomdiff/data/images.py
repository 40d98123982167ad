"""Image files to 8-bit RGB: the one place where pixels are read, and the rules they are read by.

==========================  =====================================================================
stored as                   read as
==========================  =====================================================================
greyscale, bilevel          the grey value in all three channels
palette                     its colours
alpha or transparent colour blended on white, the background of a bright-field slide
16 bits a channel           the upper eight bits
zero as white (TIFF)        inverted
CMYK, YCbCr                 RGB by Pillow's formula; embedded colour profiles are not applied
EXIF orientation            turned upright
several frames or pages     refused
32-bit, float, Lab          refused
more than `MAX_PIXELS`      refused before any pixel is decoded
==========================  =====================================================================
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from blake3 import blake3
from PIL import Image, ImageOps, UnidentifiedImageError

from bloomdiff.errors import InputError

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MAX_PIXELS = 80_000_000
# Pillow also takes MPO for JPEG: what many phones write; its first frame is the photograph.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_JPEG, _APP1 = b"\xff\xd8\xff", b"\xff\xe1"
_BITS_PER_SAMPLE = 258  # TIFF's tag
_PHOTOMETRIC = 262  # TIFF's tag; 0: zero is white
_filters = threading.Lock()  # the filters of warnings are the process's, not the thread's
_CONVERTED = frozenset({"1", "L", "P", "RGB", "LA", "PA", "RGBA", "CMYK", "YCbCr"})


def is_image(path: Path) -> bool:
    """Whether the name is that of a visible image file, by its suffix."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_rgb(path: str | Path) -> Pixels:
    """Read an image file as RGB.

    Parameters
    ----------
    path
        PNG, JPEG, TIFF, BMP or WebP.

    Returns
    -------
    numpy.ndarray
        uint8 `(height, width, 3)`, upright, converted by the rules at the top of this module.

    Raises
    ------
    InputError
        The file is missing, damaged, truncated, too large, or of a kind that is refused.
    """
    rgb = decode_rgb(read_bytes(path), str(path))
    return rgb if rgb.flags.writeable else rgb.copy()


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an image file; a missing or unreadable one is an `InputError` naming it."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(str(path), "no such image", "restore the file or drop its row") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(str(path), f"cannot be read ({reason})", "mend the file") from None


def decode_rgb(data: bytes, where: str) -> Pixels:
    """Decode an image file that is in memory, as `read_rgb` does; `where` names it in errors.

    The array may be read-only: it shares Pillow's bytes.
    """
    rgb = _plain_jpeg(data)
    if rgb is not None:
        return rgb
    try:
        image = _open(data)
        _refuse(image, where)
        return _to_rgb(image, where)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            where, "is not a PNG, JPEG, TIFF, BMP or WebP image", "convert it or leave it out"
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(where) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        reason = str(error) or type(error).__name__
        raise InputError(
            where, f"the image is damaged ({reason})", "restore the file or leave it out"
        ) from None


def _plain_jpeg(data: bytes) -> Pixels | None:
    """Decode a sound colour JPEG without metadata in two thirds of Pillow's time.

    Both use libjpeg-turbo and give the same pixels; Pillow unpacks them into four bytes each and
    back. None is what Pillow shall decide on: other formats, other colour spaces, EXIF or XMP,
    which may turn the image, and whatever libjpeg as much as warns of.
    """
    if not data.startswith(_JPEG) or _APP1 in data:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if space != "YCbCr" or int(height) * int(width) > MAX_PIXELS:
            return None
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, KeyError):  # the second where a damaged header names no subsampling
        return None


def _open(data: bytes) -> Image.Image:
    """Read the file's header; the pixels are decoded later."""
    with _filters, warnings.catch_warnings():
        # Our own limit is stricter than Pillow's, which would warn besides.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=_FORMATS)


def pixel_digest(rgb: Pixels) -> str:
    """BLAKE3 of the shape and the pixels of uint8 `(h, w, 3)`, hexadecimal.

    Two files with equal pixels have equal digests, whatever their formats. BLAKE3 is as hard to
    deceive as SHA-256 and takes a fifth of its time, which is a third of a JPEG's decoding.
    """
    digest = blake3(f"{rgb.shape[0]}x{rgb.shape[1]}x{rgb.shape[2]}:".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


Seen = tuple[int, int, str] | InputError  # width, height, digest; or what is wrong


def look_at(root: Path, paths: list[str]) -> list[Seen]:
    """Size and pixel digest of each image, or the error that reading it raised."""
    seen: list[Seen] = []
    for path in paths:
        try:
            rgb = decode_rgb(read_bytes(root / path), str(root / path))
        except InputError as error:
            seen.append(error)
        else:
            seen.append((rgb.shape[1], rgb.shape[0], pixel_digest(rgb)))
    return seen


def encode_png(rgb: Pixels) -> bytes:
    """Lossless PNG bytes of uint8 `(h, w, 3)`."""
    stream = io.BytesIO()
    # Level 1: a fifth of the default level's time for crops a tenth larger.
    Image.fromarray(rgb).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def _refuse(image: Image.Image, where: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(where)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise InputError(
            where, f"holds {frames} frames or pages", "save the one that is meant as one image"
        )


def _too_large(where: str) -> InputError:
    return InputError(
        where,
        f"has more than {MAX_PIXELS:,} pixels",
        "cut the cells or fields out of it first",
    )


def _to_rgb(image: Image.Image, where: str) -> Pixels:
    mode = image.mode
    if mode.startswith("I;16"):
        return _grey_of_sixteen_bits(image)
    if mode not in _CONVERTED:
        raise InputError(where, f"has pixels of mode {mode}", "save it with 8 or 16 bits a channel")
    image.load()
    if image.getexif():
        image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.asarray(image)


def _grey_of_sixteen_bits(image: Image.Image) -> Pixels:
    """The upper eight bits, by the rules that Pillow keeps for eight bits only."""
    # TIFF tells of 12 bits, which Pillow unpacks without scaling them up.
    bits = int(np.max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 16)))
    image.load()
    transparent = image.info.get("transparency")
    white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
    image = ImageOps.exif_transpose(image)
    deep = np.asarray(image).astype(np.uint16)
    grey = (deep >> (bits - 8)).astype(np.uint8)
    if white_is_zero:
        grey = 255 - grey
    if transparent is not None:
        grey[deep == transparent] = 255
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
