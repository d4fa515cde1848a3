"""The parts of the page: what each table is made of. Parts are independent, and can run at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import itslive_core as itslive
from benchmarks.validation.blocks import blocks_table
from benchmarks.validation.early_decades import early_table
from benchmarks.validation.families import families_table
from benchmarks.validation.fast_rise import rise_table
from benchmarks.validation.held_out import held_out_table
from benchmarks.validation.invariances import interval_table, invariance_table
from benchmarks.validation.locked_table import locked_tables
from benchmarks.validation.page import Table
from benchmarks.validation.peers_simulated import NO_TICOI, available, peer_tables
from benchmarks.validation.pixels import acquisitions_of, off_ice, since
from benchmarks.validation.presets import presets_table
from benchmarks.validation.rock import rock_tables
from benchmarks.validation.rolling_origin import origin_table
from benchmarks.validation.season_truths import season_table
from benchmarks.validation.simulated import (
    baseline_table,
    criteria_table,
    hard_table,
    shapes_table,
    sparse_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truths import Acquisitions

__all__ = ["PARTS", "Site", "run_part"]

HELD_OUT = ("busiest", "fastest", "half as fast")
_PROCESS = "benchmarks.validation.gp_truths"
NO_PROCESS = "*The truths of the Gaussian process were not there when this page was made.*"


@dataclass(frozen=True, eq=False)
class Site:
    """What all tables are made from.

    Parameters
    ----------
    url : str
        Of the cube.
    pixels : dict of str to ImagePairs
        Those of `choose_pixels`.
    truths : int, optional
        Most truths of a row, for a quick look.
    """

    url: str
    pixels: Mapping[str, itslive.ImagePairs]
    truths: int | None = None

    @property
    def recent(self) -> dict[str, itslive.ImagePairs]:
        """Pairs since 2013."""
        return {name: since(pairs) for name, pairs in self.pixels.items()}

    @property
    def all_dates(self) -> list[Acquisitions]:
        """Dates and missions of all pixels, the busiest first."""
        return acquisitions_of(self.pixels)

    @property
    def dense(self) -> Acquisitions:
        """Dates and missions of the busiest pixel since 2013."""
        return self.all_dates[0].between(2013, 2030)

    def number(self, usual: int) -> int:
        """Give the number of truths of a row."""
        return usual if self.truths is None else min(usual, self.truths)


def _rock(site: Site) -> dict[str, Table]:
    cube = itslive.open_cube(site.url)
    return rock_tables(off_ice(cube, site.url), site.all_dates, site.number(10))


def _invariances(site: Site) -> dict[str, Table]:
    return {
        "invariances": invariance_table(site.all_dates),
        "interval": interval_table(site.all_dates, site.number(10)),
    }


def _peers(site: Site) -> dict[str, Table]:
    if not available(site.recent["busiest"]):
        return dict.fromkeys(("windows", "times"), Table((), (), NO_TICOI))
    return peer_tables(site.dense, site.recent, itslive.open_cube(site.url))


def _held_out(site: Site) -> dict[str, Table]:
    recent = site.recent
    ticoi = available(recent["busiest"])
    pixels = {name: recent[name] for name in HELD_OUT}
    return {"held_out": held_out_table(itslive.open_cube(site.url), pixels, ticoi=ticoi)}


def _process(site: Site) -> dict[str, Table]:
    """Take the tables of the Gaussian process where that module is there, as one text."""
    if find_spec(_PROCESS) is None:
        return {"process": Table((), (), NO_PROCESS)}
    tables: dict[str, Table] = import_module(_PROCESS).gp_tables(site.all_dates[0], site.number(10))
    text = "\n\n".join(
        f"**{name.removeprefix('gp_').replace('_', ' ').capitalize()}**\n\n{table.markdown()}"
        for name, table in tables.items()
    )
    return {"process": Table((), (), text)}


PARTS: dict[str, Callable[[Site], dict[str, Table]]] = {
    "process": _process,
    "shapes": lambda site: {"shapes": shapes_table(site.dense, site.truths)},
    "criteria": lambda site: {"criteria": criteria_table(site.dense, site.truths)},
    "families": lambda site: {"families": families_table(site.all_dates, site.number(10))},
    "sparse": lambda site: {"sparse": sparse_table(site.all_dates[0], site.truths)},
    "rise": lambda site: {"rise": rise_table(site.all_dates, site.number(50))},
    "rock": _rock,
    "blocks": lambda site: {"blocks": blocks_table(itslive.open_cube(site.url), site.number(3))},
    "early": lambda site: {"early": early_table(site.all_dates, site.number(10))},
    "locked": lambda site: locked_tables(site.all_dates[0], 4 * site.number(50), site.number(40)),
    "origin": lambda site: {"origin": origin_table(site.all_dates, site.number(3))},
    "presets": lambda site: {"presets": presets_table(site.all_dates, site.number(10))},
    "invariances": _invariances,
    "season": lambda site: {"season": season_table(site.all_dates, site.number(24))},
    "baseline": lambda site: {"baseline": baseline_table(site.dense, site.truths)},
    "hard": lambda site: {"hard": hard_table(site.dense, site.truths)},
    "held out": _held_out,
    "peers": _peers,
}
"""By name: the tables of each part. Those that take longest stand first."""


def run_part(name: str, site: Site) -> dict[str, Table]:
    """Make the tables of a part."""
    return PARTS[name](site)
