"""Embeddings with their rows' identity: one Parquet file with a header, checked when loaded.

`EmbeddingSet` holds real cells, `SyntheticSet` generated rows. They are different types on
purpose: whatever takes test data takes an `EmbeddingSet`, and its loader refuses a file whose
header says ``synthetic``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.rows import class_names
from bloomdiff.data.space import check_joinable
from bloomdiff.errors import InputError, IntegrityError, LeakageError
from bloomdiff.vector_file import read_vectors, to_table, write_vectors

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True)
class _Set:
    """Vectors `X` float32 `(n, d)`, a row-aligned table, and a header of plain data."""

    X: Floats
    rows: pd.DataFrame
    header: dict[str, Any] = field(default_factory=dict)

    required: ClassVar[tuple[str, ...]] = ()
    synthetic: ClassVar[bool] = False
    others: ClassVar[tuple[str, ...]] = ()
    """Fields that hold more vectors of each row, float32 `(n, v, d)`, or None."""

    def __post_init__(self) -> None:
        if self.X.dtype != np.float32 or self.X.ndim != 2:
            raise ValueError(f"X must be float32 (n, d), however: {self.X.dtype} {self.X.shape}")
        if len(self.X) != len(self.rows):
            raise ValueError(f"{len(self.X)} vectors but {len(self.rows)} rows")
        missing = [name for name in self.required if name not in self.rows.columns]
        if missing:
            raise ValueError(f"rows lack the columns {missing}")

    def __len__(self) -> int:
        return len(self.X)

    @property
    def dim(self) -> int:
        """Dimension d of the vectors."""
        return int(self.X.shape[1])

    @property
    def label(self) -> Labels:
        """Labels `(n,)`; an empty string is an unlabelled cell."""
        return class_names(self.rows["label"])

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | Sequence[int]) -> Self:
        """The rows at `index` (positions or mask), in that order."""
        positions = np.asarray(index)
        if positions.dtype == bool:
            positions = np.flatnonzero(positions)
        # An empty list would become an array of floats, which cannot index.
        positions = positions.astype(np.intp)
        more: dict[str, Any] = {
            key: np.ascontiguousarray(values[positions]) for key, values in self._more().items()
        }
        return replace(
            self,
            X=np.ascontiguousarray(self.X[positions]),
            rows=self.rows.iloc[positions].reset_index(drop=True),
            **more,
        )

    def save(self, path: str | Path) -> None:
        """Write one Parquet file, atomically; equal sets give equal bytes.

        Raises
        ------
        InputError
            A vector that is not finite, or a column that no table can hold.
        """
        for key, values in {"the embedding": self.X, **self._more()}.items():
            finite = np.isfinite(values)
            if not finite.all():
                row = int(np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1))[0])
                what = f"one of the {key}" if key in self.others else key
                raise InputError(f"{path} row {row}", f"{what} is not finite", "embed it again")
        table = to_table(path, self.rows, ["x", *self.others])
        read = replace(self, rows=table.to_pandas())  # integers with a gap come back as floats, say
        meta = {"synthetic": self.synthetic, "sha256": read._digest(), "header": self.header}
        write_vectors(path, table, {"x": self.X, **self._more()}, meta)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and verify a file written by `save`.

        Raises
        ------
        InputError
            The file is missing or not a set of embeddings.
        LeakageError
            Synthetic rows where real cells are asked for.
        IntegrityError
            The content does not match the SHA-256 in the header.
        """
        meta, rows, more = read_vectors(path, ["x", *cls.others])
        if meta["synthetic"] and not cls.synthetic:
            raise LeakageError(
                str(path), "holds synthetic rows where real cells are asked for", "name a real set"
            )
        if cls.synthetic and not meta["synthetic"]:
            raise InputError(str(path), "holds real cells, not synthetic rows", "name another set")
        if missing := [name for name in ("x", *cls.required) if name not in {*rows, *more}]:
            raise InputError(
                str(path), f"lacks the column {missing[0]!r}", "run the stage that writes it"
            )
        n, d = (X := more.pop("x")).shape
        # The number of views is counted, since no rows tell none.
        others: dict[str, Any] = {
            key: flat.reshape(n, flat.shape[1] // d, d) for key, flat in more.items()
        }
        loaded = cls(X, rows, meta["header"], **others)
        if loaded._digest() != meta["sha256"]:
            raise IntegrityError(
                str(path), "the content does not match its SHA-256", "delete it and run its stage"
            )
        return loaded

    def _more(self) -> dict[str, Floats]:
        """The `others` that this set has."""
        found = {key: getattr(self, key) for key in self.others}
        return {key: more for key, more in found.items() if more is not None}

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self.X.shape}".encode())
        for values in (self.X, *self._more().values()):
            digest.update(np.ascontiguousarray(values).reshape(-1).data)
        digest.update(self.rows.to_csv(index=False).encode())
        digest.update(json.dumps(self.header, sort_keys=True).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class EmbeddingSet(_Set):
    """Embeddings of real cells.

    Attributes
    ----------
    X
        float32 `(n, d)`.
    rows
        At least `cell_id, label, group`; row-aligned with `X`.
    header
        Encoder name, weight digest, preprocessing; plain data.
    views
        Vectors of random views of each cell (`bloomdiff.encoders.views`), float32 `(n, v, d)`, or
        None.
    """

    views: Floats | None = None

    required: ClassVar[tuple[str, ...]] = ("cell_id", "label", "group")
    others: ClassVar[tuple[str, ...]] = ("views",)

    def __post_init__(self) -> None:
        super().__post_init__()
        views = self.views
        if views is None:
            return
        if views.dtype != np.float32 or views.ndim != 3 or not views.shape[1]:
            raise ValueError(f"views must be float32 (n, v, d), however: {views.dtype}")
        if (len(views), views.shape[2]) != self.X.shape:
            raise ValueError(f"views {views.shape} do not fit X {self.X.shape}")

    @classmethod
    def concatenate(cls, sets: Sequence[Self]) -> Self:
        """Stack sets of one encoder, in order; without views where one of them has none.

        Raises
        ------
        InputError
            The sets' headers name two encoders, two files of weights or two ways to use them, or
            the sets have different numbers of views.
        """
        check_joinable(
            [s.header for s in sets], [0 if s.views is None else s.views.shape[1] for s in sets]
        )
        views = [s.views for s in sets if s.views is not None]
        header = sets[0].header
        if len(views) < len(sets):
            header = {name: told for name, told in header.items() if name != "views"}
        return cls(
            np.concatenate([s.X for s in sets]),
            pd.concat([s.rows for s in sets], ignore_index=True),
            header,
            np.concatenate(views) if len(views) == len(sets) else None,
        )

    @property
    def group(self) -> Labels:
        """Group (patient, slide, duplicate family) of each row, `(n,)`.

        Raises
        ------
        InputError
            Groups that are fractions or missing: 7 in one table would be 7.0 in another.
        """
        group = self.rows["group"]
        if len(group) and (group.dtype.kind == "f" or group.isna().any()):
            raise InputError(
                "column group", "holds numbers with a fraction or gaps", "write the groups as text"
            )
        return group.to_numpy(dtype=str)

    @property
    def cell_id(self) -> Labels:
        """Identity of each row, `(n,)`."""
        return self.rows["cell_id"].to_numpy(dtype=str)

    @property
    def fingerprint(self) -> Fingerprint:
        """Fingerprint of these rows: what anything fitted on them must carry."""
        return Fingerprint.of(self.group)

    def select(self, cell_ids: Sequence[str] | Labels) -> EmbeddingSet:
        """The rows with these ids, in that order; one unknown or twice is an `InputError`."""
        index, wanted = pd.Index(self.cell_id), pd.Index(np.asarray(cell_ids, dtype=str))
        for ids, what in ((index, "are there twice"), (wanted, "are asked for twice")):
            if not ids.is_unique:
                twice = str(ids[ids.duplicated()][0])
                raise InputError(f"embeddings of cell {twice!r}", what, "keep one row of each cell")
        positions = index.get_indexer(wanted)
        if (positions < 0).any():
            missing = str(wanted[positions < 0][0])
            raise InputError(
                f"embeddings of cell {missing!r}", "are missing", "run `dvc repro embed`"
            )
        return self.take(positions)


@dataclass(frozen=True)
class SyntheticSet(_Set):
    """Generated embeddings; every row says what made it and from which training rows.

    Attributes
    ----------
    rows
        At least `label, generator, seed, guidance, parent`, where `parent` is the digest of the
        fingerprint of the training rows and `guidance` is NaN where the notion does not apply.
    fingerprint
        The training fingerprint itself, kept in the header on disk.
    """

    required: ClassVar[tuple[str, ...]] = ("label", "generator", "seed", "guidance", "parent")
    synthetic: ClassVar[bool] = True

    @classmethod
    def make(
        cls,
        X: Floats,
        label: Labels,
        *,
        generator: str,
        seed: int,
        guidance: float,
        fingerprint: Fingerprint,
    ) -> SyntheticSet:
        """Bundle generated vectors with their provenance."""
        rows = pd.DataFrame(
            {
                "label": label.astype(object),
                "generator": generator,
                "seed": np.int64(seed),
                "guidance": np.float64(guidance),
                "parent": fingerprint.digest,
            }
        )
        return cls(X, rows, {"fingerprint": fingerprint.to_dict()})

    @property
    def fingerprint(self) -> Fingerprint:
        """Groups that the generator of these rows was fitted on."""
        return Fingerprint.from_dict(self.header["fingerprint"], where="synthetic set")

    @classmethod
    def concatenate(cls, sets: Sequence[SyntheticSet]) -> SyntheticSet:
        """Stack sets of one parent fingerprint, in order."""
        if len({s.fingerprint.digest for s in sets}) != 1:
            raise ValueError("only sets with the same training fingerprint can be stacked")
        rows = pd.concat([s.rows for s in sets], ignore_index=True)
        return cls(np.concatenate([s.X for s in sets]), rows, sets[0].header)
