"""What the rooms say about the names in `params.yaml`: each is known, and its options are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.errors import BloomDiffError, ParameterError, raise_all
from bloomdiff.validation import validated

if TYPE_CHECKING:
    from bloomdiff.params import Params


def check_names(path: str | Path, params: Params) -> None:
    """Ask the rooms about the blocks that are theirs, before any stage begins.

    Raises
    ------
    ParameterError
        A name that no room knows, options that it does not take, or a choice of what is not run;
        each names file and key.
    """
    from bloomdiff.classifiers import make_classifier
    from bloomdiff.encoders import ENCODERS, EncoderParams
    from bloomdiff.generators import make_generator
    from bloomdiff.selection import make_strategy

    if "name" in params.embed:  # the model has that key, but it is not written there
        raise ParameterError(f"{path}: embed.name", "is not a known key", "set `encoder`")
    validated(EncoderParams, {"name": params.encoder, **params.embed}, f"{path}: embed")
    problems = _choices(path, params)
    try:
        head, colon, _ = params.encoder.partition(":")
        ENCODERS[head + colon]
    except ParameterError as error:
        where = f"{path}: encoder {params.encoder!r}"
        problems.append(ParameterError(where, error.problem, error.mend))
    judge = params.simulate.classifier
    for block, make, entries in (
        ("generators", partial(make_generator, seed=0), params.generators),
        ("sweep.classifiers", make_classifier, params.sweep.classifiers),
        ("simulate.classifier", make_classifier, {judge: {}} if judge else {}),
        ("simulate.strategies", make_strategy, params.simulate.strategies),
    ):
        problems += _unknown(f"{path}: {block}", make, entries)
    raise_all(problems)


def _choices(path: str | Path, params: Params) -> list[BloomDiffError]:
    """What is named of a list in the same file but does not stand in it."""
    # `none` is real cells only, with which the generator named beforehand is compared.
    generators = [name for name in params.generators if name != "none"]
    ratios = [ratio for ratio in params.sweep.ratios if ratio > 0]
    choices: tuple[tuple[str, Any, list[Any], str], ...] = (
        ("sweep.primary", params.sweep.primary, list(params.sweep.classifiers), ""),
        ("report.generator", params.report.generator, generators, "generators"),
        ("report.ratio", params.report.ratio, ratios, "sweep.ratios"),
    )
    problems: list[BloomDiffError] = []
    for key, value, known, block in choices:
        if value not in known:
            one = f"name one of: {', '.join(map(str, known))}"
            mend = one if known else f"add one that makes synthetic rows to {block}, and name it"
            what = "is not a generator of rows" if value == "none" else "is not run"
            problems.append(ParameterError(f"{path}: {key}", f"{value} {what}", mend))
    return problems


def _unknown(
    where: str, make: Callable[..., Any], entries: Mapping[str, Mapping[str, Any]]
) -> list[BloomDiffError]:
    """What `make` does not know among names and their options."""
    problems: list[BloomDiffError] = []
    for name, values in entries.items():
        try:
            make(name, values)
        except ParameterError as error:
            told = f"{error.where}: {error.problem}"
            problems.append(ParameterError(f"{where}.{name}", told, error.mend))
    return problems
