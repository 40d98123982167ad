"""The explorer: one HTML file, readable without a network, for those who know the cells."""

from bloomdiff.report.explorer.charts import confusion_chart, ratio_chart, reliability_chart
from bloomdiff.report.explorer.document import Page, render
from bloomdiff.report.explorer.scene import build_scene

__all__ = [
    "Page",
    "build_scene",
    "confusion_chart",
    "ratio_chart",
    "reliability_chart",
    "render",
]
