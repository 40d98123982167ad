import numpy as np
import pytest
from PIL import Image

from bloomdiff.encoders.transform import Transform

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(300, 260), (224, 224), (100, 333), (5, 7)])
@pytest.mark.parametrize("fraction", [1.0, 0.95, 0.875])
def test_crop_is_torchvisions(shape: tuple[int, int], fraction: float) -> None:
    from bloomdiff.encoders.timm_import import import_torchvision

    import_torchvision()
    from torchvision import transforms

    image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = transforms.Compose(
        [
            transforms.Resize(int(224 / fraction), transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
        ]
    )(Image.fromarray(image))
    ours = Transform(224, "crop", crop_fraction=fraction)(image)
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_squash_keeps_the_whole_image() -> None:
    image = np.zeros((40, 90, 3), np.uint8)
    image[:, 45:] = 200
    out = Transform(20)(image)
    assert out.shape == (20, 20, 3)
    assert out[:, :9].max() == 0
    assert out[:, 11:].min() == 200


def test_an_image_that_fits_is_not_touched() -> None:
    image = RNG.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    assert Transform(28)(image) is image
    assert Transform(None)(image) is image
