"""The decoder knows embeddings, images and groups; of labels it knows nothing."""

import numpy as np
import pandas as pd
import pytest
from toy_images import SIDE, discs

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.errors import LeakageError, ParameterError
from bloomdiff.imaging.decoder import DecoderParams, fit_decoder
from bloomdiff.validation import validated

PARAMS = {
    "image_size": SIDE,
    "width": 16,
    "n_steps": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "condition_noise": 0.1,
    "sampling_steps": 2,
    "guidance": 2.0,
}


def cells(label):
    images, vectors = discs(6)
    table = {"cell_id": [f"c{i}" for i in range(6)], "label": label, "group": list("aabbcc")}
    return EmbeddingSet(vectors, pd.DataFrame(table)), images


def test_it_carries_its_groups_and_looks_at_no_label():
    pytest.importorskip("diffusers", reason="needs the extra image-space")
    params = DecoderParams(**PARAMS)
    labelled, images = cells(["blast", "monocyte"] * 3)
    model = fit_decoder(labelled, images, params, seed=0)
    with pytest.raises(LeakageError):
        assert_disjoint(["c", "d"], model)
    assert_disjoint(["d"], model)
    other = fit_decoder(cells([""] * 6)[0], images, params, seed=0)
    drawn = (m.sample(labelled.X, seed=1) for m in (model, other))
    np.testing.assert_array_equal(*drawn)


def test_its_parameters_are_those_of_the_model():
    config = DecoderParams(**PARAMS).config
    assert config.widths == (16, 32, 48)
    shared = [name for name in PARAMS if name != "width"]
    assert {name: getattr(config, name) for name in shared} == {n: PARAMS[n] for n in shared}


@pytest.mark.parametrize(
    "wrong", [{"image_size": 60}, {"width": 20}, {"n_steps": 0}, {"guidance": -1}, {"widht": 32}]
)
def test_wrong_parameters_are_one_line(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))) as error:
        validated(DecoderParams, PARAMS | wrong, "params.yaml: render")
    assert "\n" not in str(error.value)
