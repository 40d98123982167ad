"""The annotation queue: a table of cells to label, and a header that says how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file

QUEUE_COLUMNS = ("rank", "cell_id", "path", "group", "predicted", "confidence", "code", "reason")
UNLABELLED = "unlabelled"
"""Class of a cell that nobody has labelled yet, in formats where each box needs one."""
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
    """

    table: pd.DataFrame
    review: pd.DataFrame
    header: dict[str, Any]

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

    def save(self, path: str | Path) -> None:
        """Write one Parquet file, atomically; equal queues give equal bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.table, preserve_index=False)
        meta = {"header": self.header, "review": self.review.to_dict(orient="list")}
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
        return cls(table.to_pandas(), pd.DataFrame(meta["review"]), meta["header"])
