"""The `Importer` contract: knows one layout on disk and yields the cells in it.

To add an importer is to add one module: a subclass with its name, its `Params` and `records`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from bloomdiff.data.records import Record
from bloomdiff.registry import Registry
from bloomdiff.validation import validated

logger = logging.getLogger(__name__)


class ImporterParams(BaseModel):
    """Options of an importer; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Importer(ABC):
    """Knows one layout on disk and yields the cells in it.

    Attributes
    ----------
    name
        The KIND of ``bloomdiff data import KIND PATH``.
    summary
        What the layout is, in a line.
    streams
        Whether the records carry pixels, so that they cannot be gathered before the work begins.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    streams: ClassVar[bool] = False
    Params: ClassVar[type[ImporterParams]] = ImporterParams
    params: Any  # an instance of `Params`; subclasses narrow it

    def __init__(self, params: ImporterParams | None = None) -> None:
        self.params = self.Params() if params is None else params

    @property
    def source(self) -> str:
        """Name of the one data set that the importer reads; '' takes that of the path."""
        return ""

    @abstractmethod
    def records(self, path: Path) -> Iterator[Record]:
        """Yield the cells below `path`, in an order that depends on nothing but the files.

        Records of one field of view follow one another, so that it is decoded once. Images are
        not opened here: that is done by the worker processes.

        Raises
        ------
        InputError
            The layout is not the expected one. Several problems are raised together, by
            `bloomdiff.errors.raise_all`, before the first record where that is possible.
        """

    def remark(self, text: str) -> None:
        """Tell the user of something that was left out or changed, in one line."""
        logger.warning("%s", text)


IMPORTERS: Registry[type[Importer]] = Registry("importer")


def make_importer(kind: str, params: dict[str, Any] | None = None) -> Importer:
    """Make an importer by name; an unknown name or option is a `ParameterError`."""
    importer = IMPORTERS[kind]
    checked = validated(importer.Params, params or {}, f"importer {kind!r}")
    return importer(checked)
