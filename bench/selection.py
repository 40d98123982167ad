"""Replay annotation by our strategies and their peers.

    python bench/selection.py CELLS --seeds 10

Cells are imported and embedded once, under `--build`, by the augmenters' benchmark where it has
them too. Every replay is kept there as it ends, so that a second call takes up where a first one
stopped, and published ones are put back where the folder lacks them; one whose cells, encoder,
division, budgets or strategy's module have changed since is thrown away (`selection_renew.py` keeps
those that a change of code has left as they were).
`--jobs 2` replays two at a time. `--judge diffusion` scores the diffusion's Bayes classifier, which
learns from the unlabelled rest of the pool too, instead of the linear probe, and `--judge
"diffusion, own shares"` the same with `pool_shares: 1`. Figures go to
bench/results/selection.{parquet,md}, tables of docs/selection.md among them.
The defaults of `expected-gain` were chosen on the sets of `CHOSEN_ON`, the others were not looked
at.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.classifiers import CLASSIFIERS
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.files import atomic_file, read_json, write_json
from bloomdiff.parallel import map_chunks
from bloomdiff.selection import STRATEGIES
from bloomdiff.selection.curves import area, outcome, summarise, to_markdown
from bloomdiff.selection.simulation import Chooser, Judge, by_strategy, full_score, replay
from pages import write_page
from selection_data import (
    CHOSEN_ON,
    FEWEST,
    IMBALANCE,
    PARTS,
    SETS,
    VIEW_SETS,
    cells_of,
    divide,
)
from selection_goals import BASELINE, goals, scale, with_pool, with_views
from selection_pages import PAGES, TABLES
from selection_peers import peers

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
SCORE = "macro_f1"
BUDGETS = (5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 450, 600)
AREA_TO = 200  # labels: beyond them curves are all but one, and would hide the differences
PROBE = "logistic"
JUDGES = {
    PROBE: Judge(PROBE),
    "diffusion": Judge("diffusion"),
    "diffusion, own shares": Judge("diffusion", {"pool_shares": 1.0}),
}
"""Classifiers that score the labels asked for, as the tables spell them."""
JUDGED_BY = ("pool", "domains", "shares", "prior", "whitening", "centres")
"""Modules of the diffusion's classifier."""
ASKED_BY = {"expected-gain": ("prior", "whitening", "centres")}
"""Modules of the diffusion that a strategy asks."""
ALL_SETS = (*SETS, *VIEW_SETS, *CHOSEN_ON)


Unit = tuple[str, int, str]  # set, seed, strategy


@cache
def cells(name: str, build: Path, real: Path) -> EmbeddingSet:
    """A set's cells, read once by each process."""
    return cells_of(name, build, real)


@cache
def full(name: str, seed: int, build: Path, real: Path) -> float:
    """The probe's score with every label of the pool, computed once by each process."""
    pool, test = divide(cells(name, build, real), name, seed)
    return full_score(pool, test, seed=seed)[SCORE]


def chooser(who: str) -> Chooser:
    """A strategy of ours, or of a peer."""
    return peers()[who] if ":" in who else by_strategy(who)


@cache
def division(name: str, seed: int, build: Path, real: Path) -> str:
    """Digest of the cells of pool and test part (labels, images), the encoder, and the budgets.

    Not of the vectors: their last bits are the processor's.
    """
    found = cells(name, build, real)
    header = dict(found.header)
    header["preprocessing"] = {
        key: value for key, value in header.get("preprocessing", {}).items() if key != "runtime"
    }
    told = hashlib.sha256(f"{BUDGETS}{json.dumps(header, sort_keys=True)}".encode())
    for part in divide(found, name, seed):
        told.update(part.rows.to_csv(index=False).encode())
    return told.hexdigest()


def version(unit: Unit, build: Path, real: Path, judge: str = PROBE) -> str:
    """What the figures of a replay hang on: its division, and the modules that choose and judge."""
    name, seed, who = unit
    modules = ["selection_peers" if ":" in who else STRATEGIES[who].__module__]
    values = JUDGES[judge].params
    asked = set(ASKED_BY.get(who, ()))
    if judge != PROBE:
        modules.append(CLASSIFIERS[JUDGES[judge].classifier].__module__)
        asked |= set(JUDGED_BY)
    modules += [f"bloomdiff.diffusion.{part}" for part in sorted(asked)]
    if cells(name, build, real).views is not None:
        modules.append(ViewWhitening.__module__)
    source = division(name, seed, build, real) + (json.dumps(dict(values)) if values else "")
    source += "".join(inspect.getsource(sys.modules[module]) for module in modules)
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def restore(build: Path) -> None:
    """Put published replays back where the folder of replays lacks them."""
    path = RESULTS / "selection.parquet"
    if not path.exists():
        return
    for row in pd.read_parquet(path).to_dict("records"):
        told = {str(key): value for key, value in row.items()}
        kept = file_of(build, told["set"], told["seed"], told["strategy"], told["judge"])
        if not kept.exists():
            # A figure that its set does not have is NaN, a budget that was never enough infinite.
            given = {k: v for k, v in told.items() if not (isinstance(v, float) and np.isnan(v))}
            write_json(kept, {k: None if v == np.inf else v for k, v in given.items()})


def stale(name: str, build: Path, real: Path, judge: str) -> dict[Path, str | None]:
    """A set's kept replays of other cells or another version, with their strategy if it exists."""
    found: dict[Path, str | None] = {}
    for path in sorted(file_of(build, name, 0, BASELINE, judge).parent.glob("*.json")):
        made = read_json(path)
        who = made["strategy"]
        known = who in peers() or who in STRATEGIES.names()
        unit = (name, made["seed"], who)
        if not known or made.get("version") != version(unit, build, real, judge):
            found[path] = who if known else None
    return found


def drop_stale(name: str, build: Path, real: Path) -> int:
    """Throw away the replays of a set that were made of other cells or by another strategy."""
    paths = [path for judge in JUDGES for path in stale(name, build, real, judge)]
    for path in paths:
        path.unlink()
    return len(paths)


def play(units: list[Unit], *, build: Path, real: Path, judge: str = PROBE) -> None:
    """Replay strategies on divisions and keep their figures."""
    for name, seed, who in units:
        pool, test = divide(cells(name, build, real), name, seed)
        budgets = [b for b in BUDGETS if b < len(pool)]
        begin = time.process_time()
        played = replay(
            pool,
            test,
            chooser(who),
            budgets=budgets,
            seed=seed,
            judge=JUDGES[judge],
        )
        seconds = round(time.process_time() - begin, 2)
        figures = outcome(pool, played, full(name, seed, build, real), SCORE)
        early = [s for s in played.steps if s.budget <= AREA_TO]
        figures |= {
            "area": area(
                np.array([s.budget for s in early], dtype=np.float64),
                np.array([s.scores[SCORE] for s in early]),
            )
        }
        figures |= {f"score_{s.budget}": s.scores[SCORE] for s in played.steps}
        figures["classes"] = len(np.unique(pool.label))
        made = version((name, seed, who), build, real, judge)
        told = {"set": name, "judge": judge, "strategy": who, "seed": seed}
        told |= {"seconds": seconds, "version": made}
        told |= {"order": hashlib.sha256(played.order.astype("<i8").tobytes()).hexdigest()[:16]}
        finite = {k: v if np.isfinite(v) else None for k, v in figures.items()}
        write_json(file_of(build, name, seed, who, judge), told | finite)


def file_of(build: Path, name: str, seed: int, who: str, judge: str = PROBE) -> Path:
    """Where a replay is kept."""
    kept = "replays" if judge == PROBE else f"replays-{judge}".replace(",", "").replace(" ", "-")
    folder = build / kept / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{who.replace(':', '_')}-{seed}.json"


def gather(build: Path) -> None:
    """Every replay that is kept, as a table and in words."""
    kept = [read_json(path) for path in sorted(build.glob("replays*/*/*.json"))]
    table = pd.DataFrame([{"judge": PROBE} | replayed for replayed in kept])
    never = [c for c in map(str, table) if c.startswith(("labels_", "all_found_"))]
    table[never] = table[never].astype(float).fillna(np.inf)
    with atomic_file(RESULTS / "selection.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    order = {name: rank for rank, name in enumerate((*SETS, *VIEW_SETS))}
    judged = table[table["set"].isin(order)]
    judged = judged.sort_values("set", key=lambda name: name.map(order), kind="stable")
    table = table[table["judge"] == PROBE].drop(columns=["judge", "order"], errors="ignore")
    text, parts = [], {}
    for name in ALL_SETS:
        part = table[table["set"] == name]
        seeds = set(part.loc[part["strategy"] == "random", "seed"])
        if not seeds:
            continue
        # Who has not been replayed on all of random's seeds is left out until then.
        part = part[part["seed"].isin(seeds)]
        done = part.groupby("strategy")["seed"].transform("nunique") == len(seeds)
        parts[name] = part[done].dropna(axis=1, how="all").drop(columns="set")
        summary = summarise(parts[name], confidence=0.95, test_fraction=1 / PARTS)
        chosen = " (chosen on: no evidence)" if name in CHOSEN_ON else ""
        text += [f"## {name}{chosen}\n", to_markdown(summary, score="macro-F1", confidence=0.95)]
    head = [
        "# Selection: replayed annotation\n",
        "DINOv2-S embeddings; the same classifier is judged for every strategy, a linear probe but "
        f"where told, on cells apart by group, one part of {PARTS}; budgets "
        f"{', '.join(map(str, BUDGETS))}, areas to {AREA_TO}. `skactiveml:` "
        "and `modal:` are peers' own implementations with their defaults, random while fewer than "
        "two classes are known. The pool of a tail falls from class to class, in random order, by "
        f"{IMBALANCE:g} to 1 and to no fewer than {FEWEST} cells; its full score is that of the "
        "thinned pool.\n",
        goals({name: part for name, part in parts.items() if name in SETS}, BUDGETS[-1]),
        with_pool(judged, PROBE, BUDGETS[-1]),
        with_views(parts, BUDGETS[-1]),
        goals(
            {
                name: part
                for name, part in parts.items()
                if name in VIEW_SETS and part["strategy"].str.contains(":").any()  # with peers
            },
            BUDGETS[-1],
            title="Goals, all in the units of the views",
        ),
    ]
    with atomic_file(RESULTS / "selection.md") as temporary:
        temporary.write_text("\n".join([*head, *text, scale()]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cells", type=Path, help="folder of the real cells")
    parser.add_argument("--sets", nargs="+", choices=ALL_SETS, default=list(SETS))
    parser.add_argument("--strategies", nargs="+", default=[*STRATEGIES.names(), *peers()])
    parser.add_argument("--judge", choices=list(JUDGES), default=PROBE)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "augmenters")
    options = parser.parse_args()
    real = options.cells.resolve()
    restore(options.build)
    for name in ALL_SETS:  # the page shows all that is kept, whatever is asked for
        if dropped := drop_stale(name, options.build, real):
            print(f"{name}: {dropped} replays of other cells or strategies dropped", flush=True)
    for name in options.sets:
        cells(name, options.build, real)  # imported and embedded before it is shared out
        units = [
            (name, seed, who)
            for seed in range(options.seeds)
            for who in options.strategies
            if not file_of(options.build, name, seed, who, options.judge).exists()
        ]
        work = partial(play, build=options.build, real=real, judge=options.judge)
        for _ in map_chunks(work, units, jobs=options.jobs, chunk=1, describe=name, unit="replay"):
            pass
        gather(options.build)
    replays = pd.read_parquet(RESULTS / "selection.parquet")
    for page in PAGES:
        write_page(ROOT / page, TABLES, replays)


if __name__ == "__main__":
    # Workers look the cached functions up by their module's name, which this one has not got.
    import selection

    selection.main()
