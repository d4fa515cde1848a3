"""The end of a record: estimates from the pairs up to a date, beside the truth and beside later estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from truths import YEAR

import itslive_core as itslive
from benchmarks.validation.kinds import simulate_kind
from benchmarks.validation.page import Table
from benchmarks.validation.scores import REACH, along, edges_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from truths import Acquisitions, Simulation

__all__ = ["origin_table", "roll"]

KINDS = ("mixed", "seasonal", "surging", "accelerating", "wandering", "quiet", "few pairs, seasonal")
TAIL = 65.0
"""The end of a record [days]."""


def roll(
    simulation: Simulation, cuts: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Cut a record at some dates, and estimate each time anew.

    Parameters
    ----------
    simulation : Simulation
    cuts : int
        Number of dates, drawn from the years that have three years before them and one after.
    seed : int

    Returns
    -------
    error, standardised, revision : ndarray
        By cell of the last days of all cuts, along the flow: error [m/yr]; error, and change when all later
        pairs are added, in standard deviations of the estimate at the cut.
    """
    pairs = simulation.pairs
    final = itslive.invert(pairs)
    last_of_all, _ = along(final, simulation.direction)
    position = {time: k for k, time in enumerate(final["time"].values)}
    first = float(np.quantile(pairs.start, 0.01)) + 3 * YEAR
    errors, standardised, revisions = [], [], []
    for cut in np.sort(np.random.default_rng([seed, 81]).uniform(first, pairs.end.max() - YEAR, cuts)):
        series = itslive.invert(pairs.take(pairs.end <= cut))
        cells = edges_of(series)
        fitted, std = along(series, simulation.direction)
        keep = (cells[:, 1] > cells[-1, 1] - TAIL) & np.isfinite(fitted) & (series["n_pairs"].values > 0)
        error = (fitted - simulation.mean(*cells.T))[keep]
        errors.append(error)
        standardised.append(error / std[keep])
        later = last_of_all[[position[time] for time in series["time"].values[keep]]]
        revisions.append((later - fitted[keep]) / std[keep])
    return np.concatenate(errors), np.concatenate(standardised), np.concatenate(revisions)


def origin_table(pixels: Sequence[Acquisitions], truths: int = 3, cuts: int = 10) -> Table:
    """Measure the ends of records.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Taken in turn.
    truths : int
        Of each kind.
    cuts : int
        Of each truth.
    """
    rows, every = [], []
    for kind in KINDS:
        found = [roll(simulate_kind(pixels, kind, seed), cuts, seed) for seed in range(truths)]
        parts = tuple(np.concatenate(part) for part in zip(*found, strict=True))
        every.append(parts)
        rows.append((kind, str(truths * cuts), *_words(*parts)))
    parts = tuple(np.concatenate(part) for part in zip(*every, strict=True))
    rows.append(("all", str(truths * cuts * len(KINDS)), *_words(*parts)))
    header = (
        "truth", "cuts", "cells", "RMSE", "coverage along flow", "revisions above 3 std", "largest [std]",
    )  # fmt: skip
    return Table(header, rows)


def _words(
    error: NDArray[np.float64], standardised: NDArray[np.float64], revision: NDArray[np.float64]
) -> tuple[str, ...]:
    return (
        str(len(error)),
        f"{np.sqrt(np.mean(error**2)):.1f}",
        f"{np.mean(np.abs(standardised) < REACH):.3f}",
        str(int(np.sum(np.abs(revision) > 3.0))),
        f"{np.abs(revision).max():.1f}",
    )
