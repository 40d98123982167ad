"""The queue on the page: order, reason and score parts of each cell, and no markup from data."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.errors import InputError
from bloomdiff.report.explorer.queue_section import queue_section

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def table(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "white").save(tmp_path / name)
    return pd.DataFrame(
        {
            "rank": [1, 2],
            "cell_id": [f'x" onerror="{EVIL}', "b"],
            "path": ["a.png", "b.png"],
            "predicted": [EVIL, ""],
            "confidence": [0.5, np.nan],
            "reason": [f"rare: nearest labelled class ({EVIL}) has 1 cell", "typical: of many"],
            "part:doubt": [0.25, np.nan],
            "part:stands_for": [12.0, 3.0],
        }
    )


def test_each_cell_says_rank_guess_reason_and_parts(table, tmp_path):
    html = queue_section(table, tmp_path, 1234)
    assert "The first 2 of 1,234 cells" in html
    first, second = re.findall(r"<li>.*?</li>", html)
    assert first.index("<strong>1.</strong>") < first.index("rare: nearest labelled class")
    assert "doubt 0.25, stands for 12" in first
    assert "<strong>2.</strong> no prediction" in second
    assert "doubt" not in second
    assert first.count('src="data:image/') == second.count('src="data:image/') == 1


def test_data_stay_text(table, tmp_path):
    html = queue_section(table, tmp_path, 2)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert 'x" onerror' not in html


def test_a_missing_picture_is_told(table, tmp_path):
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png"):
        queue_section(table, tmp_path, 2)
