"""The page's HTML: templates of this folder, filled with escaped text and one block of data."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from bloomdiff.report.explorer.charts import PALETTE, Chart
from bloomdiff.report.page import Section

SCRIPTS = ("charts.js", "map.js", "panel.js", "explorer.js")


@dataclass(frozen=True)
class Page:
    """What the page says.

    Attributes
    ----------
    sentence
        The answer.
    warnings
        One line each: what may mislead.
    legend
        What the curves show.
    classes
        Gains by class, with the number of real cells.
    metrics
        The synthetic sets' own metrics.
    calibration
        Calibration's table.
    others
        The other tables.
    facts
        One line each: what was run.
    parameters
        The parameters, as text.
    scene
        Of `bloomdiff.report.explorer.build_scene`.
    generator, ratio
        The comparison that was named beforehand, the ratio in words.
    curves, reliability
        Charts of the same names.
    confusions
        Method to its confusion matrix's chart; real cells only comes first.
    queue
        HTML of the cells that the expert should label next, of `queue_section`.
    """

    sentence: str
    warnings: Sequence[str]
    legend: str
    classes: Section
    metrics: Section
    calibration: Section
    others: Sequence[Section]
    facts: Sequence[str]
    parameters: str
    scene: Mapping[str, Any]
    generator: str
    ratio: str
    curves: Chart
    reliability: Chart
    confusions: Mapping[str, Chart]
    queue: str


def render(page: Page) -> str:
    """The whole page, with Plotly inside it; equal pages give equal text."""
    from plotly.offline import get_plotlyjs

    data = {
        "palette": PALETTE,
        "scene": page.scene,
        "generator": page.generator,
        "charts": {"curves": page.curves, "reliability": page.reliability},
        "confusions": page.confusions,
    }
    own = files("bloomdiff.report.explorer")
    return Template((own / "page.html").read_text(encoding="utf-8")).substitute(
        style=(own / "explorer.css").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        script="\n".join((own / name).read_text(encoding="utf-8") for name in SCRIPTS),
        data=embedded_json(data),
        sentence=prose(page.sentence),
        warnings="".join(f'<p class="warning">{prose(line)}</p>' for line in page.warnings),
        legend=prose(page.legend),
        ratio=prose(page.ratio),
        fold=prose(str(page.scene["fold"])),
        classes=section_html(page.classes),
        metrics=section_html(page.metrics),
        calibration=section_html(page.calibration),
        queue=page.queue,
        others="".join(folded(section) for section in page.others),
        facts="".join(f"<li>{prose(line)}</li>" for line in page.facts),
        parameters=html.escape(page.parameters),
    )


def embedded_json(value: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def prose(text: str) -> str:
    """Escaped text; Markdown's bold and code, which the report's sections use, are kept."""
    escaped = html.escape(text)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", bold)


def section_html(section: Section) -> str:
    """Heading, lead and table of a section."""
    title = html.escape(section.title)
    return f"<h3>{title}</h3><p>{prose(section.lead)}</p>{_table(section)}"


def folded(section: Section) -> str:
    """A section that opens on demand."""
    title = html.escape(section.title)
    body = f"<p>{prose(section.lead)}</p>{_table(section)}"
    return f"<details><summary>{title}</summary>{body}</details>"


def _table(section: Section) -> str:
    if not section.rows:
        return ""
    head = "".join(f'<th scope="col">{prose(cell)}</th>' for cell in section.head)
    rows = "".join(_row(row) for row in section.rows)
    label = html.escape(f"Table: {section.title}", quote=True)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(row: Sequence[str]) -> str:
    doubted = any("not trustworthy" in cell for cell in row)
    first, *rest = row
    cells = f'<th scope="row">{prose(first)}</th>' + "".join(f"<td>{prose(c)}</td>" for c in rest)
    return f'<tr class="doubted">{cells}</tr>' if doubted else f"<tr>{cells}</tr>"
