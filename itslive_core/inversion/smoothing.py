"""Choice of the smoothing: the criteria as curves over lambda, for looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from itslive_core.bands.algebra import blank_band, blank_inverse
from itslive_core.bands.assembly import assemble
from itslive_core.bands.spans import Spans
from itslive_core.errors import SelectionError
from itslive_core.inversion.point import PointSolution, solve_point
from itslive_core.inversion.prepare import entered_weights
from itslive_core.inversion.search import EVIDENCE, GCV, Problem, criterion
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED, needed_pairs, smoothing_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from itslive_core.observations.pairs import ImagePairs

__all__ = ["criteria_at", "final_weights", "penalty_shape", "smoothing_curve"]


def smoothing_curve(
    pairs: ImagePairs, settings: InversionSettings | None = None, *, smoothing: ArrayLike | None = None
) -> xr.Dataset:
    """Evaluate evidence and generalised cross-validation over a range of lambda.

    All else is held as the estimate with these settings leaves it: robust weights, noise, offsets, and the
    shape of a smoothing that changes in time.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : InversionSettings, optional
        Default: the recommended ones. Outliers are rejected as it says.
    smoothing : array_like, shape (L,), optional
        Values of lambda; by default 40 over the range that ``"auto"`` searches.

    Returns
    -------
    xarray.Dataset
        Dimension ``smoothing``: ``evidence`` (-2 log of it) and ``gcv`` (n log of it), both up to a constant
        and lower where better. Attribute ``smoothing_used``: lambda of the estimate.

    Raises
    ------
    SelectionError
        If there are too few pairs.
    """
    settings = InversionSettings() if settings is None else settings
    solution = solve_point(pairs, settings)
    n = len(solution.pairs)
    if int(solution.result.status[0]) not in (SOLVED, NO_FREEDOM):
        raise SelectionError(
            f"too few pairs to compare smoothing: {n} used, {needed_pairs(settings.derivative)} are needed"
        )
    return criteria_at(solution, smoothing)


def final_weights(solution: PointSolution) -> NDArray[np.float64]:
    """Give the weight with which each pair entered the last solution, robust and credit included.

    Shape (n,); of mean 1 before both.
    """
    n = len(solution.pairs)
    return entered_weights(
        solution.settings.weights, solution.result, solution.shared, np.array([0, n]),
        np.arange(n, dtype=np.int32),
    )  # fmt: skip


def penalty_shape(solution: PointSolution) -> NDArray[np.float64]:
    """Give the factor of the penalty at each difference, shape (M - k,), of geometric mean 1."""
    size, order = solution.shared.grid.size, solution.settings.derivative
    learnt = solution.result.learnt
    if learnt is None:
        return np.ones(size - order)
    return (learnt.profile[0, 1 : size - order + 1] / solution.result.smoothing[0]) ** 2


def criteria_at(solution: PointSolution, smoothing: ArrayLike | None = None) -> xr.Dataset:
    """Evaluate both criteria at a solved pixel; see `smoothing_curve`."""
    settings, pairs, result = solution.settings, solution.pairs, solution.result
    order, grid, a = settings.derivative, solution.shared.grid, solution.shared.operator
    vx, vy = pairs.vx, pairs.vy
    count = result.robust_weights.sum()
    if result.learnt is not None:
        offset = result.learnt.offset[0][:, solution.shared.mission]
        vx, vy = vx - offset[0], vy - offset[1]
        count = (result.robust_weights * result.learnt.credit).sum()
    w = final_weights(solution)
    size, width = grid.size, max(order, a.bandwidth)
    normal, work, inverse = blank_band(size, width), blank_band(size, width), blank_inverse(size, width)
    rhs, solved = np.empty((2, size)), np.empty((2, size))
    assemble(Spans(*a.columns), w, vx, vy, normal, rhs)
    squares = float(np.sum(w * vx**2)), float(np.sum(w * vy**2))
    if smoothing is None:
        smoothing = np.geomspace(*smoothing_limits(order, settings.interval), 40)
    candidates = np.atleast_1d(np.asarray(smoothing, dtype=np.float64))
    shape = np.ascontiguousarray(penalty_shape(solution))
    curves: dict[str, list[float]] = {}
    for name, kind in (("evidence", EVIDENCE), ("gcv", GCV)):
        problem = Problem(
            kind, normal, work, inverse, rhs, solved, squares, float(count), order, settings.interval**order,
            shape,
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
        attrs={"smoothing_used": float(result.smoothing[0])},
    )
