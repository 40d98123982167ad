"""Figures and pages: equal input gives equal bytes, and what is drawn is what the table says."""

import pandas as pd
from PIL import Image

from bloomdiff.report.figures import confusion_figure, ratio_curves
from bloomdiff.report.tables import markdown_table


def table():
    rows = [
        ("none", "0", 0.7, 0.68, 0.72),
        ("smote", "1", 0.71, 0.69, 0.73),
        ("smote", "inf", 0.6, 0.5, 0.7),
    ]
    return pd.DataFrame(rows, columns=["generator", "ratio", "mean", "low", "high"])


def test_equal_tables_give_equal_pictures(tmp_path):
    for name in ("a.png", "b.png"):
        ratio_curves(table(), tmp_path / name, score="macro-F1", title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    other = table().assign(mean=[0.7, 0.72, 0.6])
    ratio_curves(other, tmp_path / "c.png", score="macro-F1", title="t")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 600


def test_confusion_picture(tmp_path):
    counts = pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"])
    confusion_figure(counts, tmp_path / "c.png", title="t")
    with Image.open(tmp_path / "c.png") as image:
        assert image.width > 200


def test_class_names_are_no_formulas(tmp_path):
    names = ["$x^$", "a$\\frac$", "</script>"]
    counts = pd.DataFrame([[3, 1, 0], [0, 2, 0], [1, 0, 5]], index=names, columns=names)
    confusion_figure(counts, tmp_path / "c.png", title="t")
    assert (tmp_path / "c.png").stat().st_size > 0


def test_markdown_escapes_html():
    told = markdown_table(["class"], [["</script>"], ["<b>bold"], ["a > b"]]).splitlines()
    assert told[2:] == ["| &lt;/script> |", "| &lt;b>bold |", "| a > b |"]


def test_markdown_escapes_bars():
    assert markdown_table(["a"], [["x|y"]]).splitlines() == ["| a |", "| --- |", "| x\\|y |"]
