"""What the estimates cost beside other tools, and how that grows: the tables of docs/how-fast.md.

    python benchmarks/anchors.py [--only rows,years] [--rounds 5] [--keep FOLDER] [--page docs/how-fast.md]

Parts: ``rows`` (the rows of TemporalDisaggregations.jl's benchmark, 1,000 to a million pairs: ours, and
celerite2, scikit-learn and TICOI where they are there), ``memory`` (a million pairs), ``years``, ``pixels``
(a block in one job), ``workers`` (one and two), ``area`` (100,000 pixels over four cubes). ``--most``,
``--side`` and ``--pixels`` make them smaller.

Seconds are CPU seconds with one BLAS thread, but where it says wall; contestants take turns, and medians
count. Interpreters with other tools are named by TICOI_PYTHON and CELERITE_PYTHON, see peers/README.md. With
--keep the raw figures of each part are kept as JSON; a part that is kept is not measured again, so that a run
that was broken off goes on, and the page can be written from several runs.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import datetime as dt
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costs import jobs, others, ours
from costs.clock import grow
from costs.memory import in_a_process
from costs.rows import synthetic_pairs
from costs.tables import TABLES, fill

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (10**3, 10**4, 10**5, 10**6)
YEARS = (5, 10, 20, 40)
PAIRS_OF_YEARS = 10_000
SIDES = (4, 8, 16)
MEMORY_OF = (
    "inversion, λ given, with std", "inversion, every default", "Gaussian process, learnt", "moving median",
    "season",
)  # fmt: skip


def rows(options: argparse.Namespace) -> dict[str, Any]:
    """Time all contestants on the same rows."""
    drawn = {size: synthetic_pairs(size) for size in SIZES if size <= options.most}
    found, missing = others.peers()
    ours.load()

    def mine(name: str, size: int) -> Callable[[], float]:
        return ours.contestant(name, drawn[size])

    def theirs(name: str, size: int) -> Callable[[], float]:
        return partial(found[name], drawn[size])

    contestants = {name: partial(mine, name) for name in ours.OURS}
    contestants |= {name: partial(theirs, name) for name in found}
    return {"costs": grow(contestants, drawn, options.rounds, options.patience), "missing": missing}


def years(options: argparse.Namespace) -> dict[str, Any]:
    """Time our estimators on as many pairs over more years."""
    pairs = {length: synthetic_pairs(min(PAIRS_OF_YEARS, options.most), length) for length in YEARS}
    ours.load()

    def mine(name: str, size: int) -> Callable[[], float]:
        return ours.contestant(name, pairs[size])

    contestants = {name: partial(mine, name) for name in ours.OURS}
    return {"costs": grow(contestants, pairs, options.rounds, options.patience)}


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Run estimators once on many pairs, each in a process of its own."""
    taken = {}
    for name in MEMORY_OF:
        taken[name] = in_a_process(ours.prepared, name, options.most)
        print(f"{options.most:,} pairs, {name}: peak {taken[name]['peak']:.0f} MB", flush=True)
    return {"jobs": taken, "pairs": options.most}


def pixels(options: argparse.Namespace) -> dict[str, Any]:
    """Time jobs of one block."""
    sides = [side for side in SIDES if side <= options.side]
    return {"costs": jobs.pixels(sides, options.rounds, options.patience)}


def workers(options: argparse.Namespace) -> dict[str, Any]:
    """Time jobs with one worker and with two."""
    return {"jobs": jobs.workers(options.rounds)}


def area(options: argparse.Namespace) -> dict[str, Any]:
    """Run jobs of many pixels over four cubes: cheap ones, and default ones of a twentieth of the pixels."""
    most = {"cheap": options.pixels, "every default": options.pixels // 20}
    return {"jobs": {name: jobs.area([n // 4, n // 2, n], name) for name, n in most.items()}}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "rows": rows,
    "memory": memory,
    "years": years,
    "pixels": pixels,
    "workers": workers,
    "area": area,
}


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Give the figures of a part: kept ones, or new ones, which say when and under which load they arose."""
    kept = None if options.keep is None else options.keep / f"{name}.json"
    if kept is not None and kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    begin, load = dt.datetime.now(dt.UTC), os.getloadavg()[0]
    found = PARTS[name](options)
    minutes = (dt.datetime.now(dt.UTC) - begin).total_seconds() / 60
    found["when"] = (
        f"{begin:%-d %B %Y}, {minutes:.1f} minutes; load average {load:.1f} when it began,"
        f" {os.getloadavg()[0]:.1f} when it ended; rounds: {options.rounds}."
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def main() -> None:
    """Measure parts and put their tables into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="most CPU seconds of a run to expect")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="most pairs")
    parser.add_argument("--side", type=int, default=SIDES[-1], help="most pixels along the side of a block")
    parser.add_argument("--pixels", type=int, default=100_000, help="pixels of the area")
    parser.add_argument("--keep", type=Path, help="folder of raw figures, kept and used again")
    parser.add_argument("--page", type=Path, help="where the tables go; by default they are printed only")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no part: choose from {', '.join(PARTS)}")
    tables = {}
    for name in names:
        print(f"--- {name}", flush=True)
        tables[name] = TABLES[name](measured(name, options))
        print(tables[name].markdown(), end="\n\n", flush=True)
    if options.page is not None:
        fill(options.page, tables)


if __name__ == "__main__":
    main()
