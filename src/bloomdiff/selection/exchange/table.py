"""A CSV table with thumbnails: labels are written into its column `label`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bloomdiff.data.images import encode_png, read_rgb
from bloomdiff.data.manifest import read_csv
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, is_empty, read_text
from bloomdiff.selection.exchange.contact import thumbnail
from bloomdiff.selection.exchange.sheet import Sheet
from bloomdiff.selection.pool import class_key

TABLE, THUMBNAILS = "queue.csv", "thumbnails"
COLUMNS = ("rank", "cell_id", "label", "predicted", "confidence", "reason", "thumbnail")


@FORMATS.register("csv")
class Table(Format):
    """A folder with `TABLE` and a thumbnail of each cell.

    The expert works in the very file that the next queue replaces: labels of cells that are still
    asked for go with it.
    """

    name = "csv"
    file = "table"
    folder = True
    stale = f"{THUMBNAILS}/[0-9]*.png"  # the queue before may have been longer

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write table and thumbnails."""
        labels = self._filled_in(sheet, path)
        (temporary / THUMBNAILS).mkdir()
        rows = []
        for cell in sheet.cells:
            name = f"{THUMBNAILS}/{cell.rank:05d}.png"
            small = thumbnail(read_rgb(sheet.crops / cell.crop))
            (temporary / name).write_bytes(encode_png(small))
            label, confidence = labels.get(cell.cell_id, ""), round(cell.confidence, 3)
            told = (label, cell.predicted, confidence, cell.reason)
            rows.append((cell.rank, cell.cell_id, *told, name))
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table.to_csv(temporary / TABLE, index=False, lineterminator="\n")

    def _filled_in(self, sheet: Sheet, path: Path) -> dict[str, str]:
        """Labels by cell in an older table, refused where the new one and the manifest lack it."""
        if not (path / TABLE).exists():
            return {}
        asked, settled = {cell.cell_id for cell in sheet.cells}, sheet.settled
        labels: dict[str, str] = {}
        problems: list[BloomDiffError] = []
        for answer in self.read(path):
            cell, label = answer.cell_id, answer.label
            if labels.get(cell, label) != label:
                told = f"cell {cell!r} is labelled {label}, and {labels[cell]} above"
                problems.append(InputError(answer.where, told, "keep one of them"))
            elif cell not in asked and class_key(settled.get(cell, "")) != class_key(label):
                told = f"label {label!r} of cell {cell!r} would be lost"
                problems.append(InputError(answer.where, told, "import it first, or clear it"))
            labels[cell] = label
        raise_all(problems)
        return labels

    def read(self, path: Path) -> list[Answer]:
        """Read the rows whose `label` is filled in."""
        file = path / TABLE if path.is_dir() else path
        read_text(file)  # tells what cannot be read
        try:
            table, numbers = read_csv(file)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise InputError(str(file), f"is no table ({reason})", "give a CSV file") from None
        for column in ("cell_id", "label"):
            if column not in table.columns:
                raise InputError(str(file), f"has no column {column}", "restore its header")
        return [
            Answer(f"{file} row {row}", label.strip(), cell_id)
            for row, cell_id, label in zip(numbers, table["cell_id"], table["label"], strict=True)
            if not is_empty(label.strip())
        ]
