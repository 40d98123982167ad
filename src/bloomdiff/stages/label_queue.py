"""What the explorer shows of the cells that nobody has labelled yet."""

from __future__ import annotations

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_manifest
from bloomdiff.report.explorer.queue_section import NONE, queue_section
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.stages.project import Project

SHOWN = 24  # cells of the queue


def queue_html(project: Project) -> str:
    """The head of the queue that `bloomdiff select` makes by default, as HTML.

    All labelled cells guide the choice, those of test folds too: nothing is measured by it.
    """
    cells = read_manifest(project.cells)
    pool = int((cells["label"] == "").sum())
    if not pool:
        return NONE
    # As many as by default, whatever is shown: what a cell stands for hangs on the others.
    plan = Plan(seed=project.params.seed, limits=Limits(objects=min(Limits().objects, pool)))
    queue = build_queue(
        cells,
        EmbeddingSet.load(project.embeddings),
        plan,
        images=project.data,
        manifest=project.cells,
        jobs=project.params.jobs,
    )
    return queue_section(queue.table.head(SHOWN), project.data, pool)
