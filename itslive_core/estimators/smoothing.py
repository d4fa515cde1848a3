"""Choice of the smoothing: the criteria as curves over lambda, for looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from itslive_core.errors import SelectionError
from itslive_core.estimators.inversion import use_pairs
from itslive_core.estimators.prepare import SharedPairs
from itslive_core.estimators.settings import InversionSettings
from itslive_core.estimators.weights import observation_weights
from itslive_core.solvers.band_algebra import PAD
from itslive_core.solvers.band_assembly import assemble
from itslive_core.solvers.base import needed_pairs, smoothing_limits
from itslive_core.solvers.smoothing_search import EVIDENCE, GCV, Problem, criterion
from itslive_core.time_grid import TimeGrid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from itslive_core.pairs import ImagePairs

__all__ = ["smoothing_curve"]


def smoothing_curve(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    smoothing: ArrayLike | None = None,
    robust_weights: NDArray[np.float64] | None = None,
) -> xr.Dataset:
    """Evaluate evidence and generalised cross-validation over a range of lambda.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : InversionSettings, optional
        Default: the recommended ones. Outliers are rejected as it says.
    smoothing : array_like, shape (L,), optional
        Values of lambda; by default 40 over the range that ``"auto"`` searches.
    robust_weights : ndarray, shape (used pairs,), optional
        u of each used pair; default 1.

    Returns
    -------
    xarray.Dataset
        Dimension ``smoothing``: ``evidence`` (-2 log of it) and ``gcv`` (n log of it), both up to a constant
        and lower where better.

    Raises
    ------
    SelectionError
        If there are too few pairs.
    """
    settings = InversionSettings() if settings is None else settings
    used = use_pairs(pairs, settings)
    n, order = len(used), settings.derivative
    if n < needed_pairs(order):
        raise SelectionError(
            f"too few pairs to compare smoothing: {n} used, {needed_pairs(order)} are needed"
        )
    grid = TimeGrid.covering(used.start, used.end, settings.interval)
    shared = SharedPairs.make(used, np.ones(n, dtype=bool), grid)
    weights = observation_weights(
        settings.weights, np.array([0, n]), np.arange(n, dtype=np.int32), used.span, used.vx_error,
        used.vy_error, shared.mission,
    )  # fmt: skip
    u = np.ones(n) if robust_weights is None else np.asarray(robust_weights, dtype=np.float64)
    w = weights * u
    a = shared.operator
    size, width = grid.size, max(order, a.bandwidth)
    normal = np.empty((size + 2) * (width + 1 + PAD))
    rhs = np.empty((2, size))
    assemble(a.first, a.last, a.head, a.tail, a.rate, w, used.vx, used.vy, size, width, normal, rhs)
    squares = np.array([np.sum(w * used.vx**2), np.sum(w * used.vy**2)])
    work, z, solution = np.empty_like(normal), np.empty((size + 2) * (2 * width + 1)), np.empty((2, size))
    if smoothing is None:
        smoothing = np.geomspace(*smoothing_limits(order, settings.interval), 40)
    candidates = np.atleast_1d(np.asarray(smoothing, dtype=np.float64))
    scale = settings.interval**order
    curves: dict[str, list[float]] = {}
    for name, kind in (("evidence", EVIDENCE), ("gcv", GCV)):
        problem = Problem(
            kind, normal, work, z, rhs, solution, squares, float(u.sum()), size, width, order, scale,
            np.ones(size),
        )  # fmt: skip
        curves[name] = [criterion(problem, float(x)) for x in np.log10(candidates)]
    return xr.Dataset(
        {
            "evidence": ("smoothing", curves["evidence"], {"long_name": "-2 log evidence + constant"}),
            "gcv": (
                "smoothing",
                curves["gcv"],
                {"long_name": "n log generalised cross-validation + constant"},
            ),
        },
        coords={"smoothing": ("smoothing", candidates, {"long_name": "lambda"})},
    )
