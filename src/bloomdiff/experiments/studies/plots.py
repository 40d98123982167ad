"""Studies as one page that needs no network: history, importance, slices, the Pareto front."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from bloomdiff.experiments.studies.storage import open_storage

_MIN_FOR_IMPORTANCE = 4
_LEAST_SPREAD = 1e-6  # scores that differ less are equal, and nothing is important then
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Studies</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}
figure{margin:0 0 1.5em}</style><h1>Studies</h1>
"""


def studies_page(storage: str, studies: Mapping[str, str]) -> str:
    """Draw studies as HTML; the plotting library stands in the page itself, once.

    Parameters
    ----------
    storage
        See `open_storage`.
    studies
        Title to the name of the study in the storage; one without a complete trial is told so.
    """
    import optuna
    from plotly.offline import get_plotlyjs

    opened = open_storage(storage)
    parts = [_HEAD, f"<script>{get_plotlyjs()}</script>\n"]
    for title, name in studies.items():
        study = optuna.load_study(study_name=name, storage=opened)
        states = [trial.state.name.lower() for trial in study.get_trials(deepcopy=False)]
        counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        parts.append(f"<h2>{html.escape(title)}</h2><p>{html.escape(name)}: {counts}</p>\n")
        for figure in _figures(study):
            drawn = figure.to_html(include_plotlyjs=False, full_html=False, default_height=380)
            parts.append(f"<figure>{drawn}</figure>\n")
    return "".join(parts) + "</html>\n"


def _figures(study: Any) -> Sequence[Any]:
    """What can be drawn of a study: the more trials and objectives, the more."""
    from optuna import visualization as draw
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete or not any(trial.params for trial in complete):
        return []
    names = study.metric_names or [f"objective {k}" for k in range(len(study.directions))]
    several = len(names) > 1
    figures = []
    for k, name in enumerate(names):

        def target(trial: Any, k: int = k) -> float:
            return float(trial.values[k])

        chosen = {"target": target if several else None, "target_name": name}
        figures += [
            draw.plot_optimization_history(study, **chosen),
            draw.plot_slice(study, **chosen),
        ]
        values = [trial.values[k] for trial in complete]
        spread = max(values) - min(values) > _LEAST_SPREAD
        if len(complete) >= _MIN_FOR_IMPORTANCE and spread:
            evaluator = FanovaImportanceEvaluator(seed=0)
            figures.append(draw.plot_param_importances(study, evaluator=evaluator, **chosen))
    if several and len(names) <= 3:
        figures.insert(0, draw.plot_pareto_front(study, target_names=names))
    return figures
