"""The inversion: regularised least squares from mean velocities over spans to a regular series.

Minimised at each pixel, both components with one matrix, velocities in m/yr and the interval h in days:

    sum_j w_j u_j (sum_k A_jk v_k - d_j)^2 + (lambda / h^k)^2 ||D_k v||^2

A averages cells over spans (`itslive_core.observations.time_grid`), w weights the pairs
(`itslive_core.observations.weights`), u is the robust weight of the vector residual for noise of Student's t
(`itslive_core.support.student`), lambda is given or chosen (`itslive_core.inversion.smoothing`), D_k
takes k-th differences. With N = A'WA + (lambda / h^k)^2 D'D, edf = trace(N^-1 A'WA) and
s_c^2 = sum_j w_j u_j r_jc^2 / (sum_j u_j - edf), the variance of component c is s_c^2 diag(N^-1): a Bayesian
band under independent noise.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.filters.rejections import reject
from itslive_core.inversion.judged_pairs import pair_flags
from itslive_core.inversion.prepare import solve_pixels
from itslive_core.inversion.regions import solve_with_neighbours
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import FAILED, NO_FREEDOM, SOLVED, TOO_FEW, needed_pairs
from itslive_core.observations.batches import Observations
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.series import common_attributes, filter_attributes, point_dataset, speed_and_std
from itslive_core.series.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = [
    "PointSolution",
    "attributes_of",
    "invert",
    "reason_for",
    "season_amplitude",
    "series_of",
    "solve_point",
    "use_pairs",
]


def use_pairs(pairs: ImagePairs, settings: Settings, selection: PairSelection | None = None) -> ImagePairs:
    """Apply all filters: on copies, on metadata, then on values.

    Parameters
    ----------
    pairs : ImagePairs
    settings : Settings
        Of an estimator: give the filters on values.
    selection : PairSelection, optional
        Filters on metadata; a series of `ImagePairs.select` does the same.

    Returns
    -------
    ImagePairs
        In the order in which they were given.
    """
    pairs = pairs.distinct() if selection is None else pairs.select(selection)
    return reject(pairs, settings)


def reason_for(status: int, used: int, derivative: int) -> str:
    """Say why a pixel has no estimate, or no error bars; empty where all is well."""
    if status == SOLVED:
        return ""
    if status == TOO_FEW:
        return (
            f"too few pairs: {used} used, at least {needed_pairs(derivative)} with distinct dates are needed"
        )
    if status == FAILED:
        return "the normal equations cannot be solved: try a larger smoothing"
    if status == NO_FREEDOM:
        return "no error bars: the fit leaves no residuals; try a larger smoothing or a longer interval"
    raise ValueError(f"unknown status {status}")


def learnt_attributes(result: BatchResult) -> dict[str, Any]:
    """Describe what was learnt at the one pixel of a result: attributes of a series.

    ``noise_scale``, ``noise_floor`` [m/yr], ``noise_jitter`` [m], ``mission_offset_vx``,
    ``mission_offset_vy`` and their standard deviations [m/yr] are JSON objects with one number for each
    mission; so is ``mission_season``, the amplitude of its seasonal displacement [m]. ``image_correlation``
    is the correlation of the noise of pairs that share an image, ``smoothing_yearly`` lambda of what changes
    from year to year (the geometric mean; NaN where that is not looked at).
    """
    learnt = result.learnt
    if learnt is None:
        return {}

    def by_mission(values: NDArray[np.float64]) -> str:
        known = zip(MISSIONS, values.tolist(), strict=True)
        return json.dumps({name: round(value, 3) for name, value in known if np.isfinite(value)})

    active = np.where(np.isfinite(learnt.offset_std[0]), learnt.offset[0], np.nan)
    return {
        "image_correlation": round(float(learnt.correlation[0]), 4),
        "noise_scale": by_mission(learnt.scale[0]),
        "noise_floor": by_mission(learnt.floor[0]),
        "noise_jitter": by_mission(learnt.jitter[0]),
        "mission_offset_vx": by_mission(active[0]),
        "mission_offset_vy": by_mission(active[1]),
        "mission_offset_vx_std": by_mission(learnt.offset_std[0, 0]),
        "mission_offset_vy_std": by_mission(learnt.offset_std[0, 1]),
        "mission_season": by_mission(season_amplitude(learnt.season[0])),
        "smoothing_yearly": _geometric_mean(learnt.yearly[0]),
    }


def season_amplitude(season: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how far each mission sees the surface swing with the season.

    Parameters
    ----------
    season : ndarray, shape (2, missions, 4)
        As in `itslive_core.inversion.solver.Learnt`.

    Returns
    -------
    ndarray, shape (missions,)
        Root of twice the mean square distance from its mean place [m], which is the amplitude of a plain
        wave; NaN where it is not estimated.
    """
    amplitude: NDArray[np.float64] = np.sqrt((season**2).sum(axis=(0, 2)))
    return np.where(amplitude > 0.0, amplitude, np.nan)


def _geometric_mean(values: NDArray[np.float64]) -> float:
    known = values[values > 0.0]
    return float(np.exp(np.log(known).mean())) if known.size else math.nan


def invert(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Invert the image pairs of one pixel into a regular series.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : InversionSettings, optional
        Default: the recommended ones.
    selection : PairSelection, optional
        Filters on metadata to apply first.

    Returns
    -------
    xarray.Dataset
        Dimension ``time`` (M cell centres) with ``time_bnds``; float64 ``vx, vy, v, vx_std, vy_std, v_std``
        [m/yr], ``n_pairs``, ``coverage``, ``v_lower, v_upper`` [m/yr], ``azimuth, azimuth_std`` [degree from
        true north] and ``quality`` (flags, see `itslive_core.series.quality`); scalar x, y, lon, lat; a grid
        mapping. Cells that no used pair overlaps are NaN. Attributes hold every setting, what each filter
        left, ``smoothing_used``, ``effective_degrees_of_freedom`` (NaN without uncertainty) and, where there
        is no estimate or no error bars, the ``reason``; ``warnings`` are sentences, one a line. Without any
        used pair the axis is empty.

    Raises
    ------
    SettingsError
        If the device asked for is not available, or neighbouring pixels were to be coupled.
    """
    settings = InversionSettings() if settings is None else settings
    return series_of(solve_point(pairs, settings, selection), selection)


@dataclass(frozen=True, eq=False)
class PointSolution:
    """One pixel, solved: what was used, and what came out.

    Parameters
    ----------
    pairs : ImagePairs
        n used pairs, in the order of `ImagePairs.order`, so that the solution does not depend on how they
        were listed; their history tells what the filters took.
    settings : InversionSettings
    shared : SharedPairs
        The pairs on their time grid.
    result : BatchResult
        Of the one pixel.
    """

    pairs: ImagePairs
    settings: InversionSettings
    shared: SharedPairs
    result: BatchResult


def solve_point(
    pairs: ImagePairs,
    settings: InversionSettings,
    selection: PairSelection | None = None,
    *,
    windows: NDArray[np.float64] | None = None,
) -> PointSolution:
    """Filter and solve the pairs of one pixel; parameters as for `invert`, and edges of windows [days]."""
    if settings.couples_pixels:
        raise SettingsError(
            f"spatial_smoothing is {settings.spatial_smoothing!r}, but a point has no neighbours:"
            " leave it at 0, or estimate an area"
        )
    used = use_pairs(pairs, settings, selection).in_order()
    grid = TimeGrid.covering(used.start, used.end, settings.interval)
    n = len(used)
    shared = SharedPairs.make(used, np.ones(n, dtype=bool), grid)
    own = Observations.at_point(used.vx, used.vy)
    if used.around is not None and settings.learns_together:
        result = solve_with_neighbours(shared, own, used.around, settings, windows)
    else:
        result = solve_pixels(shared, own, settings, windows=windows)
    return PointSolution(used, settings, shared, result)


def attributes_of(solution: PointSolution, selection: PairSelection | None = None) -> dict[str, Any]:
    """Describe a solution: attributes of a series."""
    used, settings, result = solution.pairs, solution.settings, solution.result
    n, status = len(used), int(result.status[0])
    return {
        **common_attributes(
            {"method": "inversion", **settings.to_dict()},
            {} if selection is None else selection.to_dict(),
            [used.cube_url or ""],
            [used.date_updated or ""],
        ),
        "smoothing_used": float(result.smoothing[0]),
        "effective_degrees_of_freedom": float(result.edf[0]),
        "robust_passes": int(result.passes[0]),
        **learnt_attributes(result),
        "reason": used.describe_empty() if n == 0 else reason_for(status, n, settings.derivative),
        **filter_attributes(used.history, n),
    }


def series_of(solution: PointSolution, selection: PairSelection | None = None) -> xr.Dataset:
    """Write a solution as a series; see `invert` for what it holds."""
    used, result = solution.pairs, solution.result
    attributes = attributes_of(solution, selection)
    observed = Observations.at_point(used.vx, used.vy)
    flags = pair_flags(result, solution.shared, observed)
    return point_series(solution.shared.grid, result, flags[0], used, attributes)


def point_series(
    grid: TimeGrid,
    result: BatchResult,
    flags: NDArray[np.int16],
    pairs: ImagePairs,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Put the estimate of one pixel into a dataset.

    Parameters
    ----------
    grid : TimeGrid
        M cells.
    result : BatchResult
        Of one pixel.
    flags : ndarray of int16, shape (M,)
        What is known of its pairs.
    pairs : ImagePairs
        Gives the place.
    attributes : mapping
        Of the dataset.

    Returns
    -------
    xarray.Dataset
        Dimension ``time``; see the package documentation for the variables.
    """
    nothing = np.full(grid.size, np.nan)
    with_std = result.std.shape[2] == grid.size
    vx, vy = result.values[0]
    vx_std, vy_std = result.std[0] if with_std else (nothing, nothing)
    v, v_std = speed_and_std(vx, vy, vx_std, vy_std)
    assert v_std is not None
    series = {"vx": vx, "vy": vy, "v": v, "vx_std": vx_std, "vy_std": vy_std, "v_std": v_std}
    columns = {
        **series,
        "n_pairs": result.count[0],
        "coverage": result.covered[0],
        "quality": quality_of(flags, series, result.covered[0]),
    }
    return point_dataset(grid, columns, pairs, attributes)
