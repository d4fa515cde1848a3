"""Validate the estimates, and write the page that tells of it.

    python -m benchmarks.validation CUBE [--page docs/how-we-know-it-is-right.md] [--truths 2] [--only rock]
        [--keep FOLDER]

With TICOI's interpreter in TICOI_PYTHON (see benchmarks/peers/README.md) it is run beside; without, the page
says that it was not. With --keep a run that was broken off goes on where it was, and parts may be made one
by one.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import itslive_core as itslive
from benchmarks.validation.page import KeptTables, write_page
from benchmarks.validation.parts import PARTS, Site, run_part
from benchmarks.validation.pixels import choose_pixels

_FEW = (
    "Of each row at most {0} truths were made (`--truths {0}`), fewer than the text names; the tables say how"
    " many."
)


def main() -> None:
    """Run all parts, or some."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.validation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cube", help="a cube of ITS_LIVE image pairs")
    parser.add_argument("--page", type=Path, default=Path("docs/how-we-know-it-is-right.md"))
    parser.add_argument("--truths", type=int, help="most truths of a row, for a quick look")
    parser.add_argument(
        "--only", help=f"parts, with commas; the page is then not written: {', '.join(PARTS)}"
    )
    parser.add_argument("--jobs", type=int, default=2, help="parts at once")
    parser.add_argument("--keep", type=Path, help="folder of tables that were made; they are not made again")
    options = parser.parse_args()
    names = list(PARTS) if options.only is None else options.only.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no part: choose from {', '.join(PARTS)}")
    begin = time.monotonic()
    pixels = choose_pixels(itslive.open_cube(options.cube))
    site = Site(options.cube, pixels, options.truths)
    kept = KeptTables(options.keep)
    tables = {table: made for name in names for table, made in kept.load(name).items()}
    names = [name for name in names if not kept.load(name)]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_part, name, site): name for name in names}
        for done in as_completed(running):
            print(f"--- {running[done]}, after {time.monotonic() - begin:.0f} s")
            for table in done.result().values():
                print(table.markdown(), end="\n\n", flush=True)
            tables.update(done.result())
            kept.save(running[done], done.result())
    if options.only is not None:
        return
    recent = site.recent
    few = "" if site.truths is None else _FEW.format(site.truths)
    facts = {
        "few": few,
        "cube": Path(options.cube).name,
        "n_dense": f"{len(recent['busiest']):,}",
        "places": "; ".join(
            f"{name}: x {pairs.x:.1f}, y {pairs.y:.1f}, {len(pairs):,} pairs"
            for name, pairs in recent.items()
        ),
    }
    write_page(options.page, tables, facts)
    print(f"{options.page} written after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
