"""A CSV table with thumbnails: labels are written into its column `label`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bloomdiff.data.images import encode_png, read_rgb
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_dir
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, Sheet, is_empty, read_text
from bloomdiff.selection.exchange.contact import thumbnail

TABLE = "queue.csv"


@FORMATS.register("csv")
class Table(Format):
    """A folder with `TABLE` and a thumbnail of each cell."""

    name = "csv"
    file = "table"

    def write(self, sheet: Sheet, path: Path) -> None:
        """Write table and thumbnails."""
        with atomic_dir(path) as folder:
            (folder / "thumbnails").mkdir()
            rows = []
            for cell in sheet.cells:
                name = f"thumbnails/{cell.rank:05d}.png"
                (folder / name).write_bytes(
                    encode_png(thumbnail(read_rgb(sheet.crops / cell.crop)))
                )
                rows.append(
                    {
                        "rank": cell.rank,
                        "cell_id": cell.cell_id,
                        "label": "",
                        "predicted": cell.predicted,
                        "confidence": round(cell.confidence, 3),
                        "reason": cell.reason,
                        "thumbnail": name,
                    }
                )
            pd.DataFrame(rows).to_csv(folder / TABLE, index=False, lineterminator="\n")

    def read(self, path: Path) -> list[Answer]:
        """Read the rows whose `label` is filled in."""
        import io

        file = path / TABLE if path.is_dir() else path
        try:
            table = pd.read_csv(io.StringIO(read_text(file)), dtype=str, keep_default_na=False)
        except ValueError as error:  # pandas' parser errors are ValueErrors
            reason = str(error).splitlines()[0]
            raise InputError(str(file), f"is no table ({reason})", "give a CSV file") from None
        for column in ("cell_id", "label"):
            if column not in table.columns:
                raise InputError(str(file), f"has no column {column}", "restore its header")
        return [
            Answer(f"{file} row {row + 2}", label.strip(), cell_id)
            for row, (cell_id, label) in enumerate(
                zip(table["cell_id"], table["label"], strict=True)
            )
            if not is_empty(label.strip())
        ]
