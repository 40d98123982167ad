"""The table of the runs behind the present outputs, for reports: sorted, without ids or times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.errors import InputError
from bloomdiff.experiments.lineage import known_digests, stage_names
from bloomdiff.experiments.parents import CURVE, FINISHED, PARENT, RESTORED, TRIAL, search
from bloomdiff.experiments.scores import is_score

if TYPE_CHECKING:
    import pandas as pd

HOW_TO_HAVE_ONE = "run `dvc repro`, or `bloomdiff runs sync` where DVC restored the sweep"


def runs_table(client: Any, experiment_id: str, root: Path, *, without: str) -> pd.DataFrame:
    """One row per stage and per child run, from the execution that last ran each stage.

    DVC runs only the stages whose inputs changed, so the runs behind the present outputs may stem
    from several executions: for each stage, the latest that finished it on the inputs and
    parameters of today.

    Parameters
    ----------
    client, experiment_id
        The open store.
    root
        The project.
    without
        The stage that writes the table: it has not finished yet.

    Returns
    -------
    pd.DataFrame
        `stage`, `run` (empty for the stage itself), then `params.*` and `metrics.*`; sorted.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for stage in stage_names(root):
        if stage == without:
            continue
        parent = behind(client, experiment_id, root, stage)
        if parent is None:
            continue
        rows.append({"stage": stage, "run": "", **_columns(parent, f"{stage}.")})
        children = search(
            client,
            experiment_id,
            f"tags.`{PARENT}` = '{parent.info.run_id}' and tags.stage = '{stage}'",
        )
        for child in children:
            # A study that resumes spreads its trials over executions; a curve repeats other runs.
            if child.data.tags.get("kind") in {TRIAL, CURVE}:
                continue
            name = child.info.run_name
            rows.append({"stage": stage, "run": name, **_columns(child, "")})
    table = pd.DataFrame(rows, columns=None if rows else ["stage", "run"])
    columns = ["stage", "run", *sorted(set(table.columns) - {"stage", "run"})]
    return table[columns].sort_values(["stage", "run"], kind="stable", ignore_index=True)


def behind(client: Any, experiment_id: str, root: Path, stage: str) -> Any:
    """The latest parent run that finished `stage` on today's inputs, or found it restored."""
    digests = known_digests(root, stage)
    wanted = [f" and tags.`inputs.{stage}` = '{digest}'" for digest in digests]
    return _latest(client, experiment_id, stage, wanted)


def _latest(client: Any, experiment_id: str, stage: str, conditions: Sequence[str] = ("",)) -> Any:
    """The newest parent run with the outputs of `stage`, made or restored; None without any."""
    parents = [
        run
        for how in (RESTORED, FINISHED)
        for condition in conditions
        for run in search(client, experiment_id, f"tags.`stage.{stage}` = '{how}'{condition}")
    ]
    return max(parents, key=lambda run: run.info.start_time, default=None)


def sweep_scores(client: Any, experiment_id: str, root: Path, metric: str) -> pd.DataFrame:
    """The scores of the sweep behind today's outputs, one row a run.

    Where the store does not know that one, the scores of the newest sweep that it knows.

    Parameters
    ----------
    client, experiment_id
        The open store.
    root
        The project.
    metric
        Of the runs, such as `macro_f1`, or `macro_f1_knn` for another classifier.

    Returns
    -------
    DataFrame
        `fold, generator, ratio, seed, n_train, n, allocation, classifier` and `metric`.

    Raises
    ------
    InputError
        No sweep in the store, or none with this metric.
    """
    import pandas as pd

    parent = behind(client, experiment_id, root, "classify")
    parent = parent or _latest(client, experiment_id, "classify")
    if parent is None:
        raise InputError("the tracker", "holds no finished sweep", HOW_TO_HAVE_ONE)
    query = f"tags.`{PARENT}` = '{parent.info.run_id}' and tags.kind = 'sweep'"
    runs = search(client, experiment_id, query)
    known = sorted({name for run in runs for name in run.data.metrics if is_score(name)})
    if metric not in known:
        raise InputError(f"metric {metric!r}", "is in no run", f"name one of: {', '.join(known)}")
    rows = [{**run.data.params, metric: run.data.metrics.get(metric)} for run in runs]
    columns = {"seed": int, "n_train": int, "n": int}
    return pd.DataFrame(rows).astype(columns)


def _columns(run: Any, prefix: str) -> dict[str, Any]:
    """Params and metrics whose name begins with `prefix`, without it."""
    found: dict[str, Any] = {}
    for kind, values in (("params", run.data.params), ("metrics", run.data.metrics)):
        for key, value in values.items():
            if key.startswith(prefix):
                found[f"{kind}.{key.removeprefix(prefix)}"] = value
    return found
