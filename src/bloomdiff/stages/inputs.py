"""What several stages read alike: the rows of one outer fold, checked against the leak guard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.folds import Fold, read_folds
from bloomdiff.data.manifest import read_manifest
from bloomdiff.encoders import Encoder, EncoderParams, load_encoder
from bloomdiff.generators import GENERATORS
from bloomdiff.generators.cell_images import CellImages, check_encoder
from bloomdiff.stages.project import Project


@dataclass(frozen=True)
class FoldRows:
    """The embeddings of one outer fold.

    Attributes
    ----------
    train, test
        Labelled real cells.
    pool
        Cells whose label, if they have one, nobody may look at.
    """

    name: str
    train: EmbeddingSet
    test: EmbeddingSet
    pool: EmbeddingSet

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Groups that a fit on this fold may see: those of `train` and `pool`."""
        return self.train.fingerprint | self.pool.fingerprint

    @cached_property
    def classes(self) -> list[str]:
        """All class names of the fold, sorted."""
        return sorted({*self.train.label.tolist(), *self.test.label.tolist()})


def fold_names(project: Project) -> list[str]:
    """Names of the outer folds, in order."""
    return [fold.name for fold in read_folds(project.folds)]


def load_fold(project: Project, name: str) -> FoldRows:
    """Read one outer fold; groups on both sides of it are a `LeakageError`."""
    embeddings = _all_embeddings(project)
    fold = next(fold for fold in read_folds(project.folds) if fold.name == name)
    return split(embeddings, fold)


def images_for(project: Project, generator: str) -> CellImages | None:
    """`cell_images`, or None for a generator of embeddings."""
    return cell_images(project) if GENERATORS[generator].needs_images else None


def cell_images(project: Project) -> CellImages:
    """The cells' images, and the encoder that embedded them."""
    params = project.params
    encoder = _encoder(project.encoder_params, params.device, project.working / "encoders")
    check_encoder(encoder, _all_embeddings(project).header, str(project.embeddings))
    return CellImages(read_manifest(project.cells), project.data, encoder)


def encoder_digest(project: Project) -> str:
    """Digest of the encoder's weights and preprocessing; empty where the embeddings name none."""
    return str(_all_embeddings(project).header.get("digest", ""))


@lru_cache(maxsize=1)
def _encoder(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
    return load_encoder(params, device=device, cache_dir=cache_dir)


def _all_embeddings(project: Project) -> EmbeddingSet:
    stat = project.embeddings.stat() if project.embeddings.exists() else None
    stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat else ()
    return _embeddings(project.embeddings, stamp)


@lru_cache(maxsize=1)
def _embeddings(path: Path, stamp: tuple[int, ...]) -> EmbeddingSet:
    """Read the embeddings once a process, and again where the file is another (`stamp`)."""
    return EmbeddingSet.load(path)


def split(embeddings: EmbeddingSet, fold: Fold) -> FoldRows:
    """Take the rows of one fold; groups on both sides of it are a `LeakageError`."""
    rows = FoldRows(
        fold.name,
        embeddings.select(fold.train),
        embeddings.select(fold.test),
        embeddings.select(fold.pool),
    )
    assert_disjoint(rows.test.group, rows.fingerprint, what=f"the training part of {fold.name}")
    return rows
