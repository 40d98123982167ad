"""Class names on their way in and out: those offered to the expert, and those of a detector."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lab import make

from bloomdiff.data.vocabulary import VOCABULARY
from bloomdiff.errors import ParameterError
from bloomdiff.selection.base import STRATEGIES
from bloomdiff.selection.exchange import FORMATS, Sheet, read_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.selection.pool import offered

KNOWN = ["basophil", "lymphocyte", "monocyte"]


def plan(strategy="margin", **more):
    return Plan(strategy=strategy, limits=Limits(objects=5), **more)


def test_the_vocabulary_is_offered_after_the_known_classes():
    names = offered(["monocyte", "NGS", "our_own"], ["fern_cell"])
    assert names[:4] == ["NGS", "monocyte", "our_own", "fern_cell"]
    assert {"artefact", "other_cell", "eosinophil"} <= set(names)
    assert "neutrophil_segmented" not in names  # it is called NGS here
    assert len(names) == len(set(names)) == len(VOCABULARY) + 2


@pytest.mark.parametrize(("name", "file"), [("coco", ""), ("cvat", ""), ("label-studio", "/*.xml")])
def test_a_class_that_nobody_has_found_can_be_chosen(name, file, tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    queue = build_queue(cells, embeddings, plan(classes=("fern_cell",)))
    path = tmp_path / FORMATS[name].file
    FORMATS[name]().write(Sheet.of(queue, tmp_path), path)
    text = next(path.glob("*.xml")).read_text() if file else path.read_text()
    at = [text.find(f'"{c}"') + text.find(f">{c}<") for c in ("monocyte", "fern_cell", "artefact")]
    assert -1 <= at[0] < at[1] < at[2]
    assert -2 not in at
    answers = tmp_path / "answers.csv"
    asked = queue.table["cell_id"][:2]
    pd.DataFrame({"cell_id": asked, "label": ["fern_cell", "ART"]}).to_csv(answers, index=False)
    labels = read_answers(answers, "csv", queue)
    assert list(labels.values()) == ["fern_cell", "artefact"]


def test_a_name_of_the_vocabulary_becomes_what_the_manifest_calls_it(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    cells["label"] = cells["label"].replace("monocyte", "MON")
    embeddings = replace(embeddings, rows=embeddings.rows.assign(label=cells["label"]))
    queue = build_queue(cells, embeddings, plan())
    assert "monocyte" not in queue.classes  # else this could not fail
    answers = tmp_path / "answers.csv"
    asked = queue.table["cell_id"][:3]
    typed = ["monocyte", "MO", "basophil"]
    pd.DataFrame({"cell_id": asked, "label": typed}).to_csv(answers, index=False)
    assert list(read_answers(answers, "csv", queue).values()) == ["MON", "MON", "basophil"]


def test_a_label_becomes_what_the_manifest_calls_its_class_by_now(tmp_path):
    cells, embeddings = make(tmp_path, n_labelled=2, images=False)  # no monocyte among them
    queue = build_queue(cells, embeddings, plan(classes=("Fern cell",)))
    answers = tmp_path / "answers.csv"
    asked = queue.table["cell_id"][:4]
    typed = ["monocyte", "MO", "Fern cell", "basophil"]
    pd.DataFrame({"cell_id": asked, "label": typed}).to_csv(answers, index=False)
    assert list(read_answers(answers, "csv", queue).values()) == [
        "monocyte",
        *typed[:1],
        *typed[2:],
    ]
    now = [*cells["label"], "MON", "fern_cell"]
    told = read_answers(answers, "csv", queue, present=now)
    assert list(told.values()) == ["MON", "MON", "fern_cell", "basophil"]


@pytest.mark.parametrize("name", ["Fern cell", "FERN_CELL", "fern__cell"])
def test_another_spelling_is_no_new_class(name, tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    ours = cells.assign(label=cells["label"].replace("monocyte", "fern_cell"))
    with pytest.raises(ParameterError, match=f"class '{name}': is 'fern_cell' by another name"):
        build_queue(ours, embeddings, plan(classes=(name,)))


@pytest.mark.parametrize("name", ["", " blast", "unlabelled"])
def test_a_class_needs_a_name(name):
    with pytest.raises(ParameterError, match="is no name of a class"):
        plan(classes=(name,))


def scored(cells, path, **columns):
    pool = cells.loc[cells["label"] == "", "cell_id"]
    pd.DataFrame({"cell_id": pool, **columns}).to_csv(path, index=False)
    return path


def test_a_detectors_codes_are_the_classes_that_they_stand_for(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    file = scored(cells, tmp_path / "s.csv", MO=0.3, LYT=0.4, MON=0.2, BA=0.1)
    queue = build_queue(cells, embeddings, plan(), scores_file=file)
    assert queue.classes[:3] == KNOWN
    assert queue.table["reason"][0] == "disputed: monocyte 0.50, lymphocyte 0.40"

    ours = cells.assign(label=cells["label"].replace("monocyte", "MON"))
    queue = build_queue(ours, embeddings, plan(), scores_file=file)
    assert queue.classes[:3] == ["MON", "basophil", "lymphocyte"]
    assert queue.table["reason"][0] == "disputed: MON 0.50, lymphocyte 0.40"


def test_imported_probabilities_are_named_likewise(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    told = cells.assign(**{"p.MO": 0.6, "p.LY": 0.3, "p.other stain": 0.1})
    queue = build_queue(told, embeddings, plan())
    assert queue.classes[:4] == [*KNOWN, "other stain"]
    assert queue.table["reason"][0] == "disputed: monocyte 0.60, lymphocyte 0.30"


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("n_labelled", [0, 6])
def test_probabilities_of_one_class_rank_nothing(strategy, n_labelled, tmp_path):
    cells, embeddings = make(tmp_path, n_labelled=n_labelled, images=False)
    cells["label"] = np.where(cells["label"] != "", "monocyte", "")
    file = scored(cells, tmp_path / "s.csv", score=0.9, monocyte=1.0)
    queue = build_queue(cells, embeddings, plan(strategy), scores_file=file)
    assert len(queue) == 5
    assert set(queue.table["predicted"]) == {""}
    assert set(queue.table["detector_score"]) == {0.9}
