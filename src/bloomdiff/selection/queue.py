"""The annotation queue: a table of cells to label, and a header that says how it came about."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file

QUEUE_COLUMNS = ("rank", "cell_id", "path", "group", "predicted", "confidence", "code", "reason")
BOX = ("box_x", "box_y", "box_width", "box_height")
PLACE = ("cell_id", "path", "source", "field", *BOX)
"""Where a cell is: on its crop, or in a box of a field of view."""
_METADATA_KEY = b"bloomdiff.queue"


@dataclass(frozen=True)
class Queue:
    """Cells in the order in which to label them.

    Attributes
    ----------
    table
        One row a cell: `QUEUE_COLUMNS`, the place in a field of view where there is one, and one
        column ``part:<name>`` for each part of the score. Cells that are unfit for labelling come
        last, with the reason.
    review
        Labels to look at again: `cell_id, label, rather, confidence, reason`.
    header
        Fingerprints of pool and labelled cells, strategy, seed, limits, counts; plain data.
    earlier
        `PLACE` of the cells that earlier queues asked for, that have no label yet and that this
        one does not ask for: an annotator may still have them.
    """

    table: pd.DataFrame
    review: pd.DataFrame
    header: dict[str, Any]
    earlier: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PLACE)))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def classes(self) -> list[str]:
        """Class names that the annotator may choose from, the known ones first."""
        return list(self.header["classes"])

    @property
    def unverified(self) -> list[str]:
        """Sources whose labels counted as a detector's."""
        return list(self.header.get("unverified", ()))

    def after(self, before: Queue, still_open: Collection[str]) -> Queue:
        """The same, knowing what the one `before` it had asked for and is `still_open`."""
        asked = pd.concat([before.table.reindex(columns=list(PLACE)), before.earlier])
        asked = asked[asked["cell_id"].isin(still_open)]
        asked = asked[~asked["cell_id"].isin(self.table["cell_id"])]
        return replace(self, earlier=asked.astype(object).reset_index(drop=True))

    def save(self, path: str | Path) -> None:
        """Write one Parquet file, atomically; equal queues give equal bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.table, preserve_index=False)
        earlier = self.earlier.where(self.earlier.notna(), None)
        meta = {"header": self.header, "review": self.review.to_dict(orient="list")}
        meta["earlier"] = earlier.to_dict(orient="list")
        content = json.dumps(meta, sort_keys=True)
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), _METADATA_KEY: content}
        )
        with atomic_file(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    @classmethod
    def load(cls, path: str | Path) -> Queue:
        """Read a file written by `save`; a file that is none is an `InputError`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            meta = json.loads(table.schema.metadata[_METADATA_KEY])
        except FileNotFoundError:
            raise InputError(str(path), "no such file", "run `bloomdiff select`") from None
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [""])[0][:120]
            raise InputError(
                str(path), f"is no queue ({reason})", "run `bloomdiff select --fresh`"
            ) from None
        earlier = pd.DataFrame(meta.get("earlier", {}), columns=list(PLACE), dtype=object)
        return cls(table.to_pandas(), pd.DataFrame(meta["review"]), meta["header"], earlier)
