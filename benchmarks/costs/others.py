"""Other tools: as their publishers timed them, and run here where they are installed."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from peers.celerite import CeleriteError, celerite_seconds
from peers.sklearn_gp import fit_predict
from peers.ticoi import TicoiError, run_ticoi

import itslive_core as itslive
from costs.rows import INTERVAL, synthetic_pairs
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PUBLISHED", "peers"]

PUBLISHED: dict[str, tuple[str, str, str]] = {
    "`Spline`, smoothness given": ("14 ms", "135 ms", "1.08 s"),
    "`PiecewiseLinear`": ("~20 ms", "~100 ms", "~800 ms"),
    "`Sinusoid`": ("34 ms", "161 ms", "2.17 s"),
    "`GP` (sparse), kernel given": ("2.00 s", "15.2 s", "more than 8 GB"),
    "`GPKF` (state space), kernel given": ("24 ms", "241 ms", "2.3 s"),
}
"""TemporalDisaggregations.jl on 10^4, 10^5, 10^6 rows, from its README: wall seconds, best of two or three.

The first four stand there since 1 May 2026 (b6484f8). The fifth is from 31 March 2026 (0e0d353), the last
version that had it.
"""

_FEWEST = 10**3


def _cells(pairs: itslive.ImagePairs) -> TimeGrid:
    return TimeGrid.covering(pairs.start, pairs.end, INTERVAL)


def _celerite(pairs: itslive.ImagePairs, *, learn: bool) -> float:
    spread = pairs.vx.std()
    values = (pairs.vx - pairs.vx.mean()) / spread
    return celerite_seconds(pairs.mid, values, pairs.vx_error / spread, _cells(pairs).centres, learn=learn)


def _scikit_learn(pairs: itslive.ImagePairs) -> float:
    edges = _cells(pairs).edges
    still = np.zeros(len(edges) - 1)
    cells = itslive.ImagePairs.from_arrays(edges[:-1], edges[1:], still, still)
    run = fit_predict(pairs, cells, max_span=None, limit=len(pairs))
    return run.fit_cpu_seconds + run.predict_cpu_seconds


def peers() -> tuple[dict[str, Callable[[itslive.ImagePairs], float]], list[str]]:
    """Find the tools that can be run.

    Returns
    -------
    contestants : dict of callable
        By name; each tells the CPU seconds of one run, after compilation, without reading files.
    missing : list of str
        A sentence for each that is not there.
    """
    found: dict[str, Callable[[itslive.ImagePairs], float]] = {}
    missing = []
    few = synthetic_pairs(_FEWEST)
    try:
        _celerite(few, learn=True)
        found["celerite2, one component, mid-dates, learnt"] = partial(_celerite, learn=True)
        found["celerite2, one component, mid-dates, given"] = partial(_celerite, learn=False)
    except CeleriteError as error:
        missing.append(f"celerite2 was not run: {error}.")
    if importlib.util.find_spec("sklearn") is None:
        missing.append("scikit-learn was not run: it is not installed.")
    else:
        found["scikit-learn, one component, mid-dates, learnt"] = _scikit_learn
    try:
        run_ticoi(few)
        found["TICOI, coefficient given, without std"] = lambda pairs: run_ticoi(pairs).pixel_cpu_seconds
    except TicoiError as error:
        missing.append(f"TICOI was not run: {error}.")
    return found, missing
