"""Manifest to one EmbeddingSet, by a frozen encoder; what is in the cache is not computed again."""

from __future__ import annotations

from bloomdiff.data.manifest import read_manifest
from bloomdiff.encoders import embed_cells, load_encoder
from bloomdiff.encoders.views import with_views
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.stages.project import Project


def run(project: Project, run: StageRun) -> None:
    """Embed every cell of the manifest."""
    params = project.params
    cells = read_manifest(project.cells)
    encoder = load_encoder(
        project.encoder_params, device=params.device, cache_dir=project.working / "encoders"
    )
    embeddings = embed_cells(
        cells,
        project.data,
        encoder,
        cache_dir=project.working / "embeddings",
        jobs=params.jobs,
    )
    if project.encoder_params.views:
        embeddings = with_views(
            embeddings,
            cells,
            project.data,
            encoder,
            project.encoder_params.views,
            cache_dir=project.working / "embeddings",
            jobs=params.jobs,
        )
    embeddings.save(project.embeddings)
    run.log_params({"encoder": params.encoder, "dim": embeddings.dim, "cells": len(embeddings)})
    run.set_tags({"encoder_digest": encoder.digest})
