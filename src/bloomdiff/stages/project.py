"""Where everything of a project lies: the one place that knows the file names of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bloomdiff.encoders import EncoderParams
from bloomdiff.params import Params, load_params


@dataclass(frozen=True)
class Project:
    """A checkout with `params.yaml`, and the paths of all that its stages read and write."""

    root: Path

    @cached_property
    def params(self) -> Params:
        """The validated `params.yaml`."""
        return load_params(self.root / "params.yaml")

    @property
    def encoder_params(self) -> EncoderParams:
        """The encoder and its knobs, to load it by: a relative path begins at the project."""
        given, root, paths = self.params.encoder_params, self.root.absolute(), {}
        if given.checkpoint:
            paths["checkpoint"] = str(root / given.checkpoint)
        file = given.name.removeprefix("file:")
        if file not in (given.name, ""):
            paths["name"] = f"file:{root / file}"
        return given.model_copy(update=paths)

    @property
    def data(self) -> Path:
        """Folder of the images and their manifest, versioned by `data.dvc`."""
        return self.root / "data"

    @property
    def cells(self) -> Path:
        """Validated manifest, one row a cell."""
        return self.root / "manifest" / "cells.parquet"

    @property
    def folds(self) -> Path:
        """Role of each cell in each outer fold."""
        return self.root / "manifest" / "folds.parquet"

    @property
    def prepare_report(self) -> Path:
        """Counts, duplicate families and warnings."""
        return self.root / "manifest" / "prepare.json"

    @property
    def embeddings(self) -> Path:
        """EmbeddingSet of all cells."""
        return self.root / "embeddings" / "cells.parquet"

    @property
    def generator_params(self) -> Path:
        """Tuned hyper-parameters of every generator in every outer fold."""
        return self.root / "models" / "generator_params.yaml"

    @property
    def classifier_params(self) -> Path:
        """Tuned hyper-parameters of every classifier in every outer fold."""
        return self.root / "models" / "classifier_params.yaml"

    @property
    def generators(self) -> Path:
        """Folder of the fitted generators."""
        return self.root / "models" / "generators"

    def generator(self, fold: str, name: str) -> Path:
        """Folder of one fitted generator."""
        return self.generators / fold / name

    @property
    def synthetic(self) -> Path:
        """Folder of the synthetic sets."""
        return self.root / "synthetic"

    def synthetic_set(self, fold: str, name: str) -> Path:
        """SyntheticSet of one generator in one fold, all seeds."""
        return self.synthetic / fold / f"{name}.parquet"

    @property
    def fidelity(self) -> Path:
        """Metrics of every synthetic set, its floor and its controls."""
        return self.root / "reports" / "fidelity.parquet"

    @property
    def traits(self) -> Path:
        """True morphological parameters of the cells, where the data are the phantom."""
        return self.data / "morphology.parquet"

    @property
    def morphology(self) -> Path:
        """Errors of the synthetic sets' morphological parameters; no row without true ones."""
        return self.root / "reports" / "morphology.parquet"

    @property
    def scores(self) -> Path:
        """Folder of the ratio sweep's scores."""
        return self.root / "reports" / "scores"

    @property
    def caution(self) -> Path:
        """What a leaking protocol would claim; no row under the honest one."""
        return self.root / "reports" / "caution.parquet"

    @property
    def renders(self) -> Path:
        """Folder of the synthetic cells' images; empty where none were asked for."""
        return self.root / "reports" / "renders"

    @property
    def render_report(self) -> Path:
        """How well the images show what was asked for."""
        return self.root / "reports" / "render.json"

    @property
    def report(self) -> Path:
        """Folder of what people read."""
        return self.root / "reports" / "report"

    @property
    def selection(self) -> Path:
        """Folder of the replayed annotation."""
        return self.root / "reports" / "selection"

    @property
    def metrics(self) -> Path:
        """DVC metrics."""
        return self.root / "reports" / "metrics.json"

    @property
    def runs(self) -> Path:
        """Sorted table of the tracked runs of this execution."""
        return self.root / "reports" / "runs.csv"

    @property
    def working(self) -> Path:
        """Locks, partial results and caches; never an output."""
        return self.root / ".bloomdiff"
