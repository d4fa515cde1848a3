"""Validate the estimates, and write the page that tells of it.

    python -m benchmarks.validation CUBE [--page docs/how-we-know-it-is-right.md]

Takes 6 to 8 minutes on one core. With TICOI's interpreter in TICOI_PYTHON (see benchmarks/peers/README.md) it
is run beside; without, the page says that it was not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from truths import Acquisitions

import itslive_core as itslive
from benchmarks.validation.held_out import held_out_table
from benchmarks.validation.page import Table, write_page
from benchmarks.validation.peers_simulated import NO_TICOI, available, peer_tables
from benchmarks.validation.pixels import choose_pixels, since
from benchmarks.validation.simulated import simulated_tables

HELD_OUT = ("busiest", "fastest", "half as fast")


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.validation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cube", help="a cube of ITS_LIVE image pairs")
    parser.add_argument("--page", type=Path, default=Path("docs/how-we-know-it-is-right.md"))
    options = parser.parse_args()
    begin = time.monotonic()

    def report(what: str, tables: dict[str, Table]) -> None:
        print(f"--- {what}, after {time.monotonic() - begin:.0f} s")
        for table in tables.values():
            print(table.markdown(), end="\n\n", flush=True)

    cube = itslive.open_cube(options.cube)
    pixels = choose_pixels(cube)
    recent = {name: since(pairs) for name, pairs in pixels.items()}
    busiest = pixels["busiest"]
    at = Acquisitions(busiest.start, busiest.end, busiest.mission)
    tables = simulated_tables(at)
    report("simulated truths", tables)
    ticoi = available(recent["busiest"])
    missing = dict.fromkeys(("windows", "times"), Table((), (), NO_TICOI))
    peers = peer_tables(at.between(2013, 2030), recent, cube) if ticoi else missing
    report("TICOI", peers)
    held_out = {"held_out": held_out_table(cube, {name: recent[name] for name in HELD_OUT}, ticoi=ticoi)}
    report("held-out pairs", held_out)
    facts = {
        "cube": Path(options.cube).name,
        "n_dense": f"{len(recent['busiest']):,}",
        "places": "; ".join(
            f"{name}: x {pairs.x:.1f}, y {pairs.y:.1f}, {len(pairs):,} pairs"
            for name, pairs in recent.items()
        ),
    }
    write_page(options.page, {**tables, **peers, **held_out}, facts)
    print(f"{options.page} written after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
