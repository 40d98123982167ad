"""What the selection benchmark was to reach, set beside what it reached."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from augmenters_data import WITH_VIEWS
from bloomdiff.files import read_json
from bloomdiff.selection.curves import interval, labels_needed
from selection_data import PARTS
from selection_scale import FILE

OURS, BASELINE = "expected-gain", "random"


def goals(parts: Mapping[str, pd.DataFrame], last: int, *, title: str = "Goals") -> str:
    """A line a set: ours against the best other strategy and against random.

    Parameters
    ----------
    parts
        Set to its replays, the same seeds for every strategy.
    last
        Largest budget: what random has not reached by then counts as this many labels, so that
        the ratio is a bound from above.
    title
        Heading of the table.

    Returns
    -------
    A table in Markdown; '' without replays.
    """
    if not parts:
        return ""
    head = ["set", "seeds", "best other", "area: ours less the best other", "ours less random"]
    head += ["labels to 95 %: ours / random", "every class found: ours / random"]
    lines = [f"## {title}\n", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for label, part in parts.items():
        by = part.set_index(["strategy", "seed"]).sort_index()
        if OURS not in by.index or BASELINE not in by.index:
            continue
        area = by["area"].unstack("strategy")
        others = area.drop(columns=[OURS, BASELINE]).mean()
        best = str(others.idxmax()) if len(others) else BASELINE
        cells = [label, str(len(area)), f"{best} {area[best].mean():.3f}"]
        cells += [_gain(area[OURS] - area[other]) for other in (best, BASELINE)]
        cells += [_share(by[name].unstack(0), last) for name in ("labels_95%", "all_found_1")]
        third = float(by["all_found_1"].unstack(0)[BASELINE].median()) / 3
        classes = int(part["classes"].max())
        cells[-1] += f" ({classes} classes{'; *' if third < classes else ''})"
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "The best other strategy is picked on these very figures, which favours it; intervals are "
        "paired by seed, and corrected for the cells that the seeds share. Medians; `<` where "
        f"random did not get there within {last} labels; `*` where a third of random's budget is "
        "less than a label a class, so that nobody can do with it.\n",
    ]
    return "\n".join(lines)


def _share(values: pd.DataFrame, last: int) -> str:
    ours, random = (float(values[who].median()) for who in (OURS, BASELINE))
    return _ratio(ours, random, last)


def _gain(values: pd.Series) -> str:
    """Mean of the seeds that both sides have, with its corrected interval."""
    mean, low, high = interval(values.dropna().to_numpy(), 0.95, 1 / PARTS)
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _ratio(ours: float, random: float, last: int) -> str:
    if np.isinf(ours):
        return f"never / {'never' if np.isinf(random) else f'{random:.0f}'}"
    bound = "<" if np.isinf(random) else ""
    random = min(random, last)
    return f"{ours:.0f} / {random:.0f} = {bound}{ours / random:.2f}"


def with_pool(table: pd.DataFrame, probe: str, last: int) -> str:
    """What a classifier that learns from the unlabelled rest makes of the same labels.

    Parameters
    ----------
    table
        Replays with their `set`, `judge`, `strategy` and `seed`.
    probe
        Name of the judge that the share of 95 % is of, and that random is set beside.
    last
        Largest budget, as for `goals`.

    Returns
    -------
    A table in Markdown; '' where only the probe has judged.
    """
    others = [judge for judge in dict.fromkeys(table["judge"]) if judge != probe]
    if not others:
        return ""
    head = ["set", "judge", "strategy", "seeds", "area", "ours less it"]
    head += ["less the probe's, same strategy", "less random's with the probe"]
    head += ["labels to 95 %: against random with the probe"]
    lines = ["## The labels with the rest of the pool\n"]
    lines += ["Shares are of what the probe reaches with all labels; it also judges random.\n"]
    lines += [
        "The probe judged the same queues, but for as many divisions as an asterisk tells: "
        "replayed apart, with other last bits of the embeddings, they came to other labels.\n"
    ]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    by = {key: part.set_index("seed") for key, part in table.groupby(["set", "judge", "strategy"])}
    for label, judge in itertools.product(dict.fromkeys(table["set"]), others):
        ours, plain = by.get((label, judge, OURS)), by.get((label, probe, BASELINE))
        if ours is None or plain is None:
            continue
        judged = {
            who: part
            for (of, whose, who), part in by.items()
            if (of, whose) == (label, judge) and (label, probe, who) in by
        }
        for who, part in sorted(judged.items(), key=lambda item: -item[1]["area"].mean()):
            seeds, area = part.index, part["area"]
            row = [label, judge, who, str(len(seeds)), f"{area.mean():.3f}"]
            probed = by[label, probe, who]
            gains = (ours["area"] - area, area - probed["area"], area - plain["area"])
            row += [_gain(gain) for gain in gains]
            if apart := _other_queues(part, probed):
                row[6] += f" *{apart}"
            needed, random = (float(of["labels_95%"][seeds].median()) for of in (part, plain))
            lines.append("| " + " | ".join([*row, _ratio(needed, random, last)]) + " |")
    return "\n".join([*lines, ""])


def _other_queues(judged: pd.DataFrame, probed: pd.DataFrame) -> int:
    """On how many divisions two judges saw other labels, by the digest of their order.

    Replays from before there was one are told apart by when each class was found, which other
    queues may share.
    """
    one, two = judged, probed.loc[judged.index]
    apart = pd.Series(False, index=judged.index)
    for column in ("all_found_1", "all_found_5", "order"):
        if column in one:
            known = one[column].notna() & two[column].notna()
            apart |= known & (one[column] != two[column])
    return int(apart.sum())


def with_views(parts: Mapping[str, pd.DataFrame], last: int) -> str:
    """What the units of the cells' views change: queues and probe in them, against those without.

    Parameters
    ----------
    parts
        Set to its replays, the same seeds for every strategy; those with views by their own name.
    last
        Largest budget, as for `goals`.

    Returns
    -------
    A table in Markdown; '' where no set has views.
    """
    head = ["set", "strategy", "seeds", "area", "less the same without views"]
    head += ["less random without views", "labels to 95 %: against random without views"]
    head += ["every class found: against random without views"]
    lines = ["## In the units of the cells' views\n"]
    lines += ["Shares are of what the probe without views reaches with all labels.\n"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    pairs = {
        label: (part, parts[label.replace(WITH_VIEWS, "")])
        for label, part in parts.items()
        if WITH_VIEWS in label and label.replace(WITH_VIEWS, "") in parts
    }
    for label, (part, plain) in pairs.items():
        by = {who: of.set_index("seed") for who, of in part.groupby("strategy")}
        without = {who: of.set_index("seed") for who, of in plain.groupby("strategy")}
        random = without[BASELINE]
        for who, of in sorted(by.items(), key=lambda item: -item[1]["area"].mean()):
            seeds = of.index.intersection(random.index)
            row = [label, str(who), str(len(seeds)), f"{of['area'].mean():.3f}"]
            row += [
                "–" if other is None else _gain(of["area"] - other["area"])
                for other in (without.get(who), random)
            ]
            needed = float(np.median([labels_to(of.loc[s], random.loc[s]) for s in seeds]))
            row.append(_ratio(needed, float(random["labels_95%"][seeds].median()), last))
            ours, base = (float(t["all_found_1"][seeds].median()) for t in (of, random))
            row.append(_ratio(ours, base, last))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join([*lines, ""]) if pairs else ""


def labels_to(replayed: pd.Series, plain: pd.Series) -> float:
    """Labels until a replay reaches 95 % of another's score with all labels."""
    scores = replayed.filter(regex=r"^score_\d+$").dropna().astype(float)
    budgets = np.array([float(str(name).removeprefix("score_")) for name in scores.index])
    order = np.argsort(budgets)
    goal = 0.95 * float(plain["full"])
    return labels_needed(budgets[order], np.array(scores.to_list(), dtype=np.float64)[order], goal)


def scale() -> str:
    """The timed queues, as a table; '' where none was timed."""
    if not FILE.exists():
        return ""
    lines = [
        "## Scale\n",
        "| strategy | cells | chosen | seconds | peak GiB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['strategy']} | {r['cells']:,} | {r['chosen']} | {r['seconds']:.0f} "
        f"| {r['peak_gib']:.1f} |"
        for r in read_json(FILE)
    ]
    return "\n".join(lines)
