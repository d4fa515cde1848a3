"""Choice of the smoothing: the criteria as curves over lambda, for looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from itslive_core.bands.algebra import blank_band
from itslive_core.bands.assembly import assemble
from itslive_core.bands.spans import Spans
from itslive_core.errors import SelectionError
from itslive_core.inversion.learnt_prior import LearntPrior
from itslive_core.inversion.point import PointSolution, solve_point
from itslive_core.inversion.prepare import entered_weights, solve_options
from itslive_core.inversion.search import EVIDENCE, GCV, Problem, SmoothingRule, criterion
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED, needed_pairs, smoothing_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from itslive_core.observations.pairs import ImagePairs

__all__ = ["criteria_at", "final_weights", "smoothing_curve"]


def smoothing_curve(
    pairs: ImagePairs, settings: InversionSettings | None = None, *, smoothing: ArrayLike | None = None
) -> xr.Dataset:
    """Evaluate evidence and generalised cross-validation over a range of lambda.

    All else is held as the estimate with these settings leaves it: weights, noise, what missions add, the
    shape of a smoothing that changes in time, and the part that repeats every year.

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


def criteria_at(solution: PointSolution, smoothing: ArrayLike | None = None) -> xr.Dataset:
    """Evaluate both criteria at a solved pixel; see `smoothing_curve`."""
    settings = solution.settings
    if smoothing is None:
        smoothing = np.geomspace(*smoothing_limits(settings.derivative, settings.interval), 40)
    candidates = np.atleast_1d(np.asarray(smoothing, dtype=np.float64))
    if solution.result.learnt is None:
        evidence, gcv = _plain_criteria(solution, candidates)
    else:
        prior = LearntPrior.of(solution)
        evidence = [prior.evidence_at(float(x)) for x in candidates]
        gcv = [prior.gcv_at(float(x)) for x in candidates]
    return xr.Dataset(
        {
            "evidence": ("smoothing", evidence, {"long_name": "-2 log evidence + constant"}),
            "gcv": ("smoothing", gcv, {"long_name": "n log generalised cross-validation + constant"}),
        },
        coords={"smoothing": ("smoothing", candidates, {"long_name": "lambda"})},
        attrs={"smoothing_used": float(solution.result.smoothing[0])},
    )


def _plain_criteria(
    solution: PointSolution, candidates: NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """Evaluate both criteria of the plain penalty."""
    settings, pairs, a = solution.settings, solution.pairs, solution.shared.operator
    order, size = settings.derivative, a.grid.size
    w = final_weights(solution)
    normal, rhs = blank_band(size, max(order, a.bandwidth)), np.empty((2, size))
    assemble(Spans(*a.columns), w, pairs.vx, pairs.vy, normal, rhs)
    squares = float(np.sum(w * pairs.vx**2)), float(np.sum(w * pairs.vy**2))
    rule = SmoothingRule.of(solve_options(settings), settings.interval)
    problem = Problem.of(rule, normal, rhs, np.ones(size - order))
    problem = problem._replace(squares=squares, n=float(solution.result.robust_weights.sum()))
    evidence, gcv = (
        [criterion(problem._replace(kind=kind), float(x)) for x in np.log10(candidates)]
        for kind in (EVIDENCE, GCV)
    )
    return evidence, gcv
