"""A U-Net that learns coloured discs in seconds."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_images import SIDE, discs

from bloomdiff.data.fingerprint import Fingerprint


@pytest.fixture(scope="session")
def tiny():
    pytest.importorskip("diffusers", reason="needs the extra image-space")
    from bloomdiff.imaging import ImageDiffusionConfig

    return ImageDiffusionConfig(
        image_size=SIDE,
        patch=1,
        widths=(16, 32),
        n_steps=100,
        batch_size=16,
        learning_rate=3e-3,
        ema_decay=0.9,
        sampling_steps=8,
    )


@pytest.fixture(scope="session")
def fitted(tiny):
    from bloomdiff.imaging import ImageDiffusion

    images, vectors = discs(64)
    return ImageDiffusion(tiny).fit(images, vectors, fingerprint=Fingerprint.of(["a"]), seed=0)
