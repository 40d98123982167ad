"""Keep replays of an earlier version of a module where the change has left them as they were.

    python bench/selection_renew.py CELLS --jobs 2

`selection.py` throws away a replay when the text of a module that it hangs on has changed, whatever
the change was. For one that should leave replays alone, this makes one of each set, judge and
strategy again, of a division that the stamp picks. Where order, scores and labels needed come out
equal to the last digit, the group's others get the present stamp; where not, nothing is renewed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import selection
from bloomdiff.files import read_json, write_json
from bloomdiff.parallel import map_chunks

Group = tuple[str, str, str]  # judge, set, strategy
ASIDE = ("version", "seconds")


def stale(build: Path, real: Path) -> dict[Group, list[Path]]:
    """Kept replays whose stamp is another than the present one, by what makes them."""
    found: dict[Group, list[Path]] = defaultdict(list)
    for judge in selection.JUDGES:
        for name in selection.ALL_SETS:
            for path, who in selection.stale(name, build, real, judge).items():
                if who is not None:  # one that is no more cannot be replayed
                    found[judge, name, who].append(path)
    return found


def renew(items: list[tuple[Group, list[Path]]], *, build: Path, real: Path) -> list[int]:
    """Replay one of each group; number of the replays that it vouched for, 0 where it differs."""
    vouched = []
    for (judge, name, who), paths in items:
        kept = {path: read_json(path) for path in paths}
        picked = min(paths, key=lambda path: kept[path]["version"])
        unit = (name, kept[picked]["seed"], who)
        selection.play([unit], build=build, real=real, judge=judge)
        again = read_json(picked)
        if _told(again) != _told(kept[picked]):
            write_json(picked, kept[picked])
            vouched.append(0)
            continue
        for path, made in kept.items():
            unit = (name, made["seed"], who)
            write_json(path, made | {"version": selection.version(unit, build, real, judge)})
        vouched.append(len(paths))
    return vouched


def _told(made: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in made.items() if key not in ASIDE and value is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    root = selection.ROOT
    parser.add_argument("cells", type=Path, help="folder of the real cells")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--build", type=Path, default=root / "build" / "augmenters")
    options = parser.parse_args()
    real = options.cells.resolve()
    selection.restore(options.build)
    groups = list(stale(options.build, real).items())
    work = partial(renew, build=options.build, real=real)
    vouched: list[int] = []
    for part in map_chunks(
        work, groups, jobs=options.jobs, chunk=1, describe="renew", unit="group"
    ):
        vouched += part
    differing = [group for (group, _), n in zip(groups, vouched, strict=True) if not n]
    print(f"{sum(vouched)} replays of {len(groups) - len(differing)} groups are as they were")
    for judge, name, who in differing:
        print(f"another result now: {name}, {who}, judged by {judge}")
    selection.gather(options.build)


if __name__ == "__main__":
    # Workers look functions up by their module's name, which this one has not got.
    import selection_renew

    selection_renew.main()
