"""One Parquet file: a table, vectors beside its rows, and a header of plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Floats = npt.NDArray[np.float32]
METADATA_KEY = b"bloomdiff"
READ_BYTES = 1 << 25
"""Of vectors that are read together."""


def to_table(path: str | Path, rows: pd.DataFrame, reserved: Sequence[str]) -> pa.Table:
    """Rows as the file `path` will hold them.

    Raises
    ------
    InputError
        A column of values of two kinds, one name twice, or a name that the vectors have.
    """
    import pandas as pd
    import pyarrow as pa

    names = [str(name) for name in rows.columns]
    for at, name in enumerate(names):
        if name in reserved or name in names[:at]:
            what = "is the vectors' own" if name in reserved else "is there twice"
            raise InputError(f"{path} column {name!r}", what, "rename the column")
    # Categories that are numbers are read back as numbers.
    numbers = {
        name: object
        for name, of in rows.dtypes.items()
        if isinstance(of, pd.CategoricalDtype) and of.categories.dtype.kind not in "OTU"
    }
    rows = rows.astype(numbers)
    try:
        return pa.Table.from_pandas(rows, preserve_index=False)
    except (pa.ArrowException, ValueError) as error:
        reason = "; ".join(str(part) for part in error.args)[:200]
        raise InputError(
            str(path), f"would hold what no table can ({reason})", "write that column as text"
        ) from None


def write_vectors(
    path: str | Path, table: pa.Table, vectors: Mapping[str, Floats], meta: dict[str, Any]
) -> None:
    """Write the file, atomically; equal content gives equal bytes.

    Parameters
    ----------
    path
        Target.
    table
        Its rows, as `to_table` makes them.
    vectors
        Float32 `(n, ...)` by column, each written as a list of fixed length a row.
    meta
        Plain data.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    text = [of.name for of in table.schema if not any(is_one(of.type) for is_one in plain)]
    for key, values in vectors.items():
        flat = pa.array(values.reshape(-1), type=pa.float32())
        width = math.prod(values.shape[1:])
        table = table.append_column(key, pa.FixedSizeListArray.from_arrays(flat, width))
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), METADATA_KEY: json.dumps(meta, sort_keys=True)}
    )
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=text)


def read_vectors(
    path: str | Path, names: Sequence[str]
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Floats]]:
    """Read the plain data, the table, and those of the columns `names` that there are.

    Raises
    ------
    InputError
        The file is missing, or none that `write_vectors` wrote.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Batch by batch, nothing read ahead: the vectors would be held twice.
        with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
            meta = json.loads(file.schema_arrow.metadata[METADATA_KEY])
            found = _vectors(file, names)
            others = [name for name in file.schema_arrow.names if name not in found]
            rows = file.read(others).to_pandas()
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "run the stage that writes it") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(
            str(path), f"not a set of embeddings ({reason})", "run the stage that writes it"
        ) from None
    return meta, rows, found


def _vectors(file: Any, names: Sequence[str]) -> dict[str, Floats]:
    """Those columns of lists that a Parquet file has, each as float32 `(n, size)`."""
    import pyarrow as pa

    n, schema = file.metadata.num_rows, file.schema_arrow
    for name in names:
        if name in schema.names and not pa.types.is_fixed_size_list(schema.field(name).type):
            raise TypeError(f"column {name!r} is {schema.field(name).type}, no vectors")
    sizes = {name: schema.field(name).type.list_size for name in names if name in schema.names}
    found = {name: np.empty((n, size), dtype=np.float32) for name, size in sizes.items()}
    at, step = 0, max(1, READ_BYTES // (4 * max(sum(sizes.values()), 1)))
    for batch in file.iter_batches(step, columns=list(sizes)):
        for name, values in found.items():
            flat = batch.column(name).flatten().to_numpy(zero_copy_only=False)
            values[at : at + len(batch)] = flat.reshape(len(batch), -1)
        at += len(batch)
    return found
