from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter

from bloomdiff.data.images import pixel_digest, read_rgb


def draw_field(seed: int, size: int = 180) -> Image.Image:
    """A field of view: slices of discs in many sizes and colours, each with a few spots."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), (236, 228, 232))
    draw = ImageDraw.Draw(image)
    for _ in range(45):
        x, y, r = rng.integers(0, size), rng.integers(0, size), rng.integers(4, 22)
        colour = tuple(int(c) for c in rng.integers((150, 60, 100), (240, 200, 220)))
        draw.pieslice((x - r, y - r, x + r, y + r), *rng.integers(0, 400, 2), fill=colour)
        for _ in range(3):
            u, v = x + rng.integers(-r, r), y + rng.integers(-r, r)
            draw.ellipse((u - 2, v - 2, u + 2, v + 2), fill=(90, 40, 120))
    return image.filter(ImageFilter.GaussianBlur(0.7))


def table(root: Path, labels: dict[str, str]) -> pd.DataFrame:
    """Manifest of the PNG and JPEG files below `root`; labels by name, '' where not given."""
    rows = []
    for path in sorted([*root.glob("*.png"), *root.glob("*.jpg")]):
        rgb = read_rgb(path)
        name = path.stem
        rows.append((name, path.name, labels.get(name, ""), name, pixel_digest(rgb)))
    cells = pd.DataFrame(
        rows, columns=["cell_id", "path", "label", "group", "blake3"], dtype=object
    )
    return cells.assign(split="", source="drawn", width=180, height=180)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """Eight fields; of field 0 a copy of each kind that augmentation makes, by its name."""
    root = tmp_path_factory.mktemp("drawn")
    for seed in range(8):
        draw_field(seed).save(root / f"field{seed}.png")
    first = draw_field(0)
    first.save(root / "same.png")
    first.save(root / "jpeg.jpg", quality=70)
    first.resize((90, 90), Image.Resampling.BICUBIC).save(root / "small.png")
    first.rotate(33, resample=Image.Resampling.BICUBIC).save(root / "turned.png")
    first.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "flipped.png")
    first.transpose(Image.Transpose.TRANSPOSE).rotate(
        -20, resample=Image.Resampling.BICUBIC, translate=(14, -11)
    ).save(root / "all.png")
    sheared = (1, 0.15, -12, 0, 1, 8)
    first.transform((180, 180), Image.Transform.AFFINE, sheared, Image.Resampling.BICUBIC).save(
        root / "sheared.png"
    )
    return root


COPIES = ("same", "jpeg", "small", "turned", "flipped", "all", "sheared")
