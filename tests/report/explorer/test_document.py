"""The page as text: what data say stays text, and equal pages are equal bytes."""

import json
import re

import numpy as np
import pytest

from bloomdiff.report.explorer import ratio_chart, reliability_chart, render
from bloomdiff.report.explorer.document import embedded_json, prose, section_html
from bloomdiff.report.page import Section

EVIL = "<script>alert(1)</script>"


def test_nothing_from_the_data_becomes_markup(html):
    own = re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)
    assert 'window.hacked = "yes"</script>' not in own
    assert "<img src=x" not in own
    assert "onerror=&quot;window.hacked=1&quot;" in own


def test_embedded_data_survive_and_cannot_end_their_element():
    value = {"a": f"</script>{EVIL}<!--", "b": "é\u2028&amp;"}
    text = embedded_json(value)
    assert "<" not in text
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json({"a": float("nan")})


def test_the_page_is_whole_small_and_equal_each_time(html, page):
    assert render(page) == html
    assert len(html.encode()) < 15e6
    assert "Plotly" in html
    assert "://cdn" not in html.split("</style>")[0]
    assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="(?!data:)', html)


def test_untrustworthy_metrics_are_marked():
    table = Section("M", "", ["metric", "v"], [["a", "trusted"], ["b", "**not trustworthy** (x)"]])
    rows = re.findall(r"<tr[^>]*>", section_html(table))
    assert rows == ["<tr>", "<tr>", '<tr class="doubted">']


def test_prose_keeps_bold_and_code_alone():
    assert prose("**a** `b` <i>") == "<strong>a</strong> <code>b</code> &lt;i&gt;"


def test_the_curves_are_the_table(summary):
    chart = ratio_chart(summary, beforehand="diffusion")
    lines = {t["name"]: t for t in chart["data"] if "name" in t}
    assert lines["diffusion"]["y"] == [65.0, 65.0]
    assert lines["real cells only"]["customdata"][0] == [55.0, 65.0]
    assert chart["layout"]["xaxis"]["ticktext"] == ["1", "synthetic only"]
    bare = ratio_chart(summary.assign(low=np.nan, high=np.nan), beforehand="diffusion")
    assert not any("fill" in trace for trace in bare["data"])


def test_confusion_is_in_shares_of_the_true_class_with_escaped_names(page):
    heat = page.confusions["none"]["data"][0]
    assert heat["z"][1] == [20.0, 70.0, 10.0]
    assert heat["z"][2] == [0.0, 0.0, 0.0]
    assert "<script" not in json.dumps(page.confusions)


def test_reliability_of_a_sure_but_wrong_classifier():
    sure = np.array([0.95, 0.95, 0.95, 0.95, 0.31])
    right = np.array([True, False, False, False, True])
    line = reliability_chart({"m": (right, sure)})["data"][1]
    assert (line["x"], line["y"], line["customdata"]) == ([31.0, 95.0], [100.0, 25.0], [1, 4])
