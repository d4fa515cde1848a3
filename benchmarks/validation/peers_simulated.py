"""TICOI beside ours: four simulated truths over the same 30-day windows, and time on real pixels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from peers.ticoi import COEFS, Patch, TicoiError, run_ticoi, run_ticoi_coefs, window_means
from truths import Acquisitions, Simulation, simulate

import itslive_core as itslive
from benchmarks.validation.page import Table
from benchmarks.validation.scores import edges_of, inside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["NO_TICOI", "available", "peer_tables"]

TRUTHS = (("mixed", 0), ("mixed", 1), ("seasonal", 2), ("surging", 3))
DEFAULT = 100.0
"""TICOI's coefficient, unless its user changes it."""
NO_TICOI = "*TICOI's environment was not there when this page was made.*"


def available(pairs: itslive.ImagePairs) -> bool:
    """Tell whether TICOI can be run."""
    try:
        run_ticoi(pairs)
    except TicoiError:
        return False
    return True


def peer_tables(
    at: Acquisitions, pixels: Mapping[str, itslive.ImagePairs], cube: itslive.Datacube
) -> dict[str, Table]:
    """Compare accuracy on simulated truths and CPU seconds on real pixels.

    Parameters
    ----------
    at : Acquisitions
    pixels : mapping of str to ImagePairs
        Real ones.
    cube : Datacube
        That they are from.
    """
    return {"windows": _windows(at), "times": _times(cube, pixels)}


def _windows(at: Acquisitions) -> Table:
    rows = []
    for family, seed in TRUTHS:
        simulation = simulate(at, family, seed)
        ours = itslive.invert(simulation.pairs)
        found = {}
        for whole in (False, True):
            series = run_ticoi_coefs(simulation.pairs, COEFS, whole_days=whole)
            rmse = [_rmse(x.time_start, np.stack([x.vx, x.vy]), simulation, at) for x in series]
            best = int(np.nanargmin(rmse))
            found[whole] = (rmse[COEFS.index(DEFAULT)], rmse[best], COEFS[best])
            starts = series[0].time_start
        cells = edges_of(ours)
        means = window_means(
            np.append(cells[:, 0], cells[-1, 1]), np.stack([ours["vx"].values, ours["vy"].values]), starts
        )
        own = _rmse(starts, means, simulation, at)
        (usual, least, coef), (usual_days, least_days, coef_days) = found[False], found[True]
        rows.append(
            (
                f"{family} {seed}", f"{own:.1f}", f"{usual:.1f}", f"{own / usual:.2f}",
                f"{least:.1f} ({coef:g})", f"{own / least:.2f}",
                f"{usual_days:.1f}", f"{least_days:.1f} ({coef_days:g})", f"{own / least_days:.2f}",
            )
        )  # fmt: skip
    header = (
        "truth", "ours", "TICOI, 100", "ratio", "TICOI, best (coefficient)", "ratio",
        "TICOI, 100, whole days", "best, whole days", "ratio",
    )  # fmt: skip
    return Table(header, rows)


def _rmse(
    starts: NDArray[np.float64], v: NDArray[np.float64], simulation: Simulation, at: Acquisitions
) -> float:
    """Hold means over 30-day windows against the truth."""
    along = simulation.direction @ v
    keep = inside(starts + 15, at) & np.isfinite(along)
    return float(np.sqrt(np.mean((along - simulation.mean(starts, starts + 30))[keep] ** 2)))


def _times(cube: itslive.Datacube, pixels: Mapping[str, itslive.ImagePairs]) -> Table:
    rows = []
    for name, pairs in pixels.items():
        itslive.invert(pairs)
        begin = time.process_time()
        itslive.invert(pairs)
        ours = time.process_time() - begin
        theirs = run_ticoi(pairs, patch=Patch.around(cube, pairs)).pixel_cpu_seconds
        rows.append((name, f"{len(pairs):,}", f"{ours:.3f}", f"{theirs:.2f}", f"{theirs / ours:.0f}"))
    return Table(("pixel", "pairs", "ours, CPU s", "TICOI, CPU s", "ratio"), rows)
