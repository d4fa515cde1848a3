"""The inversion against simulated truths on real acquisitions.

Every table is that of acquisitions since 2013 but the last, which needs all; fewer truths can be asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from truths import FAMILIES, OTHER_SHAPES, Acquisitions, Simulation, simulate

import itslive_core as itslive
from benchmarks.validation.page import Table
from benchmarks.validation.scores import Score, edges_of, inside, score
from itslive_core.inversion.settings import InversionSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["baseline_table", "criteria_table", "hard_table", "shapes_table", "sparse_table"]

SEEDS = {"mixed": 12} | dict.fromkeys(FAMILIES[1:], 6) | dict.fromkeys(OTHER_SHAPES, 3)
"""Truths of each shape."""
OFFSETS = {"S1": -0.08, "L8_9": 0.02, "L7": -0.03}
"""Added along the flow, as shares of the speed."""

_TOOL = replace(InversionSettings.preset("itslive-tool"), uncertainty=False)
_TOOL_LAMBDAS = np.logspace(0, 6, 25)
_CONSTANT = InversionSettings(
    noise="learnt", offsets="mission", smoothing_in_time="constant", uncertainty=False
)
_ORACLE_LAMBDAS = np.logspace(0, 6, 13)
_HARD: dict[str, tuple[InversionSettings, dict]] = {
    "clean": (InversionSettings(), {}),
    "40 % of long pairs locked, missions offset": (
        InversionSettings(),
        {"locked": 0.4, "offsets": OFFSETS},
    ),
    "the same, offsets switched off": (
        InversionSettings(offsets="none"),
        {"locked": 0.4, "offsets": OFFSETS},
    ),
    "noise of shared images correlated by 0.15": (InversionSettings(), {"shared": 0.15}),
    "the same, noise as the formal errors say": (
        InversionSettings(noise="formal", offsets="mission", smoothing_in_time="varying"),
        {"shared": 0.15},
    ),
    "formal errors all the same": (InversionSettings(), {"formal": "flat"}),
    "noise heavy-tailed (Student t, 4)": (InversionSettings(), {"heavy": 4.0}),
}


def shapes_table(at: Acquisitions, truths: int | None = None) -> Table:
    """Compare with ITS_LIVE_TOOL, with its best lambda, and with the best constant lambda of ours."""
    rows = []
    for shape, usual in SEEDS.items():
        seeds = _number(usual, truths)
        ours, tool, best, oracle = [], [], [], []
        for seed in range(seeds):
            simulation = simulate(at, shape, seed)
            ours.append(_try(simulation, at, InversionSettings()))
            tool.append(_try(simulation, at, _TOOL).rmse)
            best.append(_least(simulation, at, _TOOL, _TOOL_LAMBDAS))
            oracle.append(_least(simulation, at, _CONSTANT, _ORACLE_LAMBDAS))
        rmse = np.array([s.rmse for s in ours])
        ratios = rmse / np.array([tool, best, oracle])
        rows.append(
            (
                shape, str(seeds), f"{rmse.mean():.1f}", *_coverages(ours), f"{ratios[0].mean():.3f}",
                f"{ratios[1].mean():.2f}", f"{ratios[2].mean():.2f}", f"{ratios[2].max():.2f}",
            )
        )  # fmt: skip
    header = (
        "truth", "n", "RMSE", "coverage", "along flow", "over ITS_LIVE_TOOL", "over its best lambda",
        "over oracle", "worst",
    )  # fmt: skip
    return Table(header, rows)


def baseline_table(at: Acquisitions, truths: int | None = None) -> Table:
    """Compare with the moving median, over the cells in whose window enough pairs lie."""
    rows = []
    for shape, usual in SEEDS.items():
        seeds = _number(usual, truths)
        median, ours, known = [], [], []
        for seed in range(seeds):
            simulation = simulate(at, shape, seed)
            series = itslive.fit_moving_median(simulation.pairs)
            inverted = itslive.invert(simulation.pairs).reindex(time=series["time"])
            there = series["v"].notnull() & inverted["v"].notnull()
            cells = edges_of(series).mean(axis=1)
            known.append(float(there.values[inside(cells, at)].mean()))
            median.append(score(series.where(there), simulation, at))
            ours.append(score(inverted.assign(time_bnds=series["time_bnds"]).where(there), simulation, at))
        theirs, own = (np.array([s.rmse for s in scores]) for scores in (median, ours))
        rows.append(
            (
                shape,
                str(seeds),
                f"{theirs.mean():.1f}",
                *_coverages(median),
                f"{100 * np.mean(known):.0f} %",
                f"{own.mean():.1f}",
                f"{(own / theirs).mean():.2f}",
            )
        )
    header = (
        "truth",
        "n",
        "RMSE of the median",
        "coverage",
        "along flow",
        "cells known",
        "RMSE of the inversion there",
        "over the median",
    )
    return Table(header, rows)


def hard_table(at: Acquisitions, truths: int | None = None) -> Table:
    """Lock pairs, offset missions, correlate noise."""
    rows = []
    clean = np.ones(_number(6, truths))
    for name, (settings, options) in _HARD.items():
        scores = [_try(simulate(at, "mixed", seed, **options), at, settings) for seed in range(len(clean))]
        rmse = np.array([s.rmse for s in scores])
        if name == "clean":
            clean = rmse
        rows.append((name, f"{rmse.mean():.1f}", f"{(rmse / clean).mean():.2f}", *_coverages(scores)))
    return Table(("mixed truths", "RMSE", "over clean", "coverage", "along flow"), rows)


def criteria_table(at: Acquisitions, truths: int | None = None) -> Table:
    """Compare the ways to choose one lambda with the best of it."""
    choices = {f"{c}, constant": replace(_CONSTANT, smoothing=c) for c in ("evidence", "gcv", "auto")}
    choices["auto, changing in time"] = InversionSettings(uncertainty=False)
    rows = []
    for family in FAMILIES:
        simulations = [simulate(at, family, seed) for seed in range(_number(6, truths))]
        oracle = np.array([_least(s, at, _CONSTANT, _ORACLE_LAMBDAS) for s in simulations])
        ratios = [
            np.array([_try(s, at, settings).rmse for s in simulations]) / oracle
            for settings in choices.values()
        ]
        rows.append((family, *(f"{r.mean():.2f} ({r.max():.2f})" for r in ratios)))
    return Table(("RMSE over oracle: mean (worst)", *choices), rows)


def sparse_table(at: Acquisitions, truths: int | None = None) -> Table:
    """Try few pairs: real ones before 2013, and a random draw since."""
    dense = at.between(2013, 2030)

    def drawn(number: int) -> Acquisitions:
        draw = np.zeros(len(dense.start), dtype=bool)
        draw[np.random.default_rng(0).choice(len(draw), min(number, len(draw)), replace=False)] = True
        return dense.take(draw)

    networks: Mapping[str, tuple[Acquisitions, tuple[str, ...]]] = {
        "before 2013": (at.between(1980, 2013), FAMILIES),
        "300 drawn, since 2013": (drawn(300), FAMILIES),
        "600 drawn, since 2013": (drawn(600), ("slow",)),
    }
    rows = []
    for name, (few, families) in networks.items():
        for family in families:
            scores, oracle = [], []
            for seed in range(_number(6, truths)):
                simulation = simulate(few, family, seed)
                scores.append(_try(simulation, few, InversionSettings()))
                oracle.append(_least(simulation, few, _CONSTANT, _ORACLE_LAMBDAS))
            rmse = np.array([s.rmse for s in scores])
            rows.append(
                (
                    name, f"{len(few.start):,}", family, f"{rmse.mean():.1f}",
                    f"{np.mean([s.band for s in scores]):.1f}", *_coverages(scores),
                    f"{(rmse / oracle).mean():.2f}",
                )
            )  # fmt: skip
    header = ("network", "pairs", "truth", "RMSE", "median std", "coverage", "along flow", "over oracle")
    return Table(header, rows)


def _number(usual: int, truths: int | None) -> int:
    """Give the number of truths, where fewer may be asked for."""
    return usual if truths is None else min(usual, truths)


def _try(simulation: Simulation, at: Acquisitions, settings: InversionSettings) -> Score:
    return score(itslive.invert(simulation.pairs, settings), simulation, at)


def _least(
    simulation: Simulation, at: Acquisitions, settings: InversionSettings, lambdas: Iterable[float]
) -> float:
    """Give the RMSE of the lambda that suits the truth best."""
    return min(_try(simulation, at, replace(settings, smoothing=float(x))).rmse for x in lambdas)


def _coverages(scores: list[Score]) -> tuple[str, str]:
    return (
        f"{np.mean([s.coverage for s in scores]):.3f}",
        f"{np.mean([s.coverage_along for s in scores]):.3f}",
    )
