"""Tables in documents: only what is asked for, and only where it is asked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import augmenters_pages
import selection_pages
from augmenters import RESULTS, ROOT
from pages import BLOCK, filled_in, markdown, write_page

PAGE = "a\n<!-- scored: one -->\nold\n<!-- /scored -->\nb\n<!-- scored: two -->\n<!-- /scored -->\n"


def test_a_page_has_what_was_scored_and_keeps_the_rest(tmp_path: Path) -> None:
    tables = {"one": lambda scores: markdown(["n"], [[str(len(scores))]])}
    filled = filled_in(PAGE, tables, pd.DataFrame({"x": [1, 2]}))
    assert filled == PAGE.replace("old", "| n |\n| --- |\n| 2 |")
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    write_page(path, tables, pd.DataFrame({"x": [1, 2]}))
    assert path.read_text() == filled


@pytest.mark.parametrize("module", [augmenters_pages, selection_pages], ids=lambda m: m.__name__)
def test_every_table_stands_on_a_page(module) -> None:
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in module.PAGES]
    assert set(module.TABLES) <= {found[2] for page in pages for found in BLOCK.finditer(page)}


def test_every_block_of_a_page_is_some_table() -> None:
    known = {*augmenters_pages.TABLES, *selection_pages.TABLES}
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert {found[2] for found in BLOCK.finditer(text)} <= known
        assert text.count("<!-- scored: ") == len(BLOCK.findall(text))


def test_the_page_of_selection_tells_what_was_replayed() -> None:
    published = pd.read_parquet(RESULTS.parent / "selection.parquet")
    for page in selection_pages.PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert filled_in(text, selection_pages.TABLES, published) == text
    moved = published.assign(area=published["area"].where(published["seed"] > 0, 0.0))
    assert filled_in(text, selection_pages.TABLES, moved) != text


def test_sets_that_were_not_replayed_are_left_out() -> None:
    published = pd.read_parquet(RESULTS.parent / "selection.parquet")
    some = published[~published["set"].str.startswith("marrow-6")]
    for name, make in selection_pages.TABLES.items():
        whole, part = make(published), make(some)
        assert [line for line in whole if not line.startswith(("| bone", "| its"))] == part, name
