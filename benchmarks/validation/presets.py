"""Presets on the kinds of glacier that they are named after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from benchmarks.validation.kinds import simulate_kind
from benchmarks.validation.page import Table
from benchmarks.validation.scores import averaged, edges_of, geometric_mean, score
from itslive_core.inversion.settings import InversionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from truths import Acquisitions, Simulation

__all__ = ["NAMESAKES", "presets_table"]

NAMESAKES = {
    "slow glacier": ("slow", "quiet", "1-5 m/yr, seasonal", "1-5 m/yr, steady"),
    "ice sheet": ("quiet", "seasonal", "accelerating", "wandering", "1-5 m/yr, steady"),
}
"""Kinds of truth that each preset is for."""
_RECOMMENDED = "recommended"


def presets_table(pixels: Sequence[Acquisitions], truths: int = 10) -> Table:
    """Hold the presets that there are against the recommended settings.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Taken in turn.
    truths : int
        Of each kind.
    """
    rows = []
    for preset, kinds in NAMESAKES.items():
        if preset not in InversionSettings.presets:
            continue
        ratios = []
        for kind in kinds:
            simulations = [simulate_kind(pixels, kind, seed) for seed in range(truths)]
            usual, took_usual = _invert(simulations, _RECOMMENDED)
            own, took = _invert(simulations, preset)
            scores = [score(series, s) for series, s in zip(own, simulations, strict=True)]
            beside = [_beside(*three) for three in zip(usual, own, simulations, strict=True)]
            rmse = [s.rmse for s in scores]
            ratio = geometric_mean(np.divide(rmse, beside))
            ratios.append(ratio)
            rows.append(
                (
                    preset, kind, f"{np.mean(rmse):.2f}", f"{np.mean(beside):.2f}", f"{ratio:.2f}",
                    f"{np.mean([s.coverage for s in scores]):.3f}",
                    f"{np.mean([s.coverage_along for s in scores]):.3f}",
                    f"{1e3 * took:.0f}", f"{1e3 * took_usual:.0f}",
                )
            )  # fmt: skip
        rows.append((preset, "all", "", "", f"{geometric_mean(ratios):.2f}", "", "", "", ""))
    header = (
        "preset", "truth", "RMSE", "of the recommended", "ratio", "coverage", "along flow", "CPU ms a pixel",
        "of the recommended",
    )  # fmt: skip
    return Table(header, rows)


def _invert(simulations: Sequence[Simulation], preset: str) -> tuple[list[xr.Dataset], float]:
    """Return the series of a preset, and the mean time of one [s]."""
    settings = InversionSettings.preset(preset)
    begin = time.process_time()
    series = [itslive.invert(simulation.pairs, settings) for simulation in simulations]
    return series, (time.process_time() - begin) / len(simulations)


def _beside(usual: xr.Dataset, own: xr.Dataset, simulation: Simulation) -> float:
    """Give the error of the recommended settings over the cells of another series."""
    mean = averaged(usual, edges_of(own))
    return score(own.assign(vx=("time", mean[0]), vy=("time", mean[1])), simulation).rmse
