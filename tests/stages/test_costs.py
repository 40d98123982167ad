"""A class that costs name is looked for before the first stage, not in the last."""

import pytest
from altered import set_params

from bloomdiff.data.manifest import write_manifest
from bloomdiff.errors import ParameterError
from bloomdiff.stages import prepare, run_stage


def test_a_cost_of_a_class_that_no_cell_has_stops_the_first_stage(project, monkeypatch):
    ran = []
    monkeypatch.setattr(prepare, "run", lambda project, run: ran.append("prepare"))
    rows = project.root / "data" / "manifest.csv"
    cells = [("a", "basophil"), ("b", "monocyte"), ("c", "")]
    write_manifest(manifest(cells), rows)
    for other, told in (("monocyte", None), ("unicorn", r"costs\.pairs\.0: .*'unicorn'")):
        set_params(project, report={"costs": {"pairs": [["basophil", other, 2.0]]}})
        if told is None:
            run_stage("prepare", project.root)
        else:
            with pytest.raises(ParameterError, match=told):
                run_stage("prepare", project.root)
    assert ran == ["prepare"]


def manifest(cells):
    import pandas as pd

    table = pd.DataFrame(cells, columns=["cell_id", "label"])
    table = table.assign(path=table["cell_id"] + ".png", group="", split="", source="drawn")
    return table.assign(width=1, height=1, blake3="")
