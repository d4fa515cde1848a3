"""What an estimate rests on at one pixel: which pairs it used, how well they fit, and what it resolves.

The residual of pair j is d_j - sum_k A_jk v_k, turned into the direction in which the estimate flows over the
span of that pair (positive: the pair reads faster than the estimate) and the direction across it.

The resolution matrix R = N^-1 A'WA, with N = A'WA + (lambda / h^k)^2 D'D or what was learnt instead of the
latter, along the axis along which the series changes most, says what the estimate sees of a
true series v: its expectation is R v. R_ii is the weight that cell i gets in its own estimate, so h / R_ii is
the time over which the estimate there averages: h where the data tell each cell from its neighbours, more
where the smoothness fills in; its trace is the effective number of parameters (Hastie and Tibshirani, 1990,
Generalized Additive Models, chapter 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.outliers import SPAN_CLASSES
from itslive_core.filters.rejections import explain_rejections
from itslive_core.inversion.judged_pairs import judged_pairs
from itslive_core.inversion.learnt_prior import LearntPrior
from itslive_core.inversion.point import PointSolution, season_amplitude, series_of, solve_point
from itslive_core.inversion.resolution import effective_resolution
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.smoothing import criteria_at, final_weights
from itslive_core.inversion.solver import smoothing_limits
from itslive_core.observations.batches import Observations
from itslive_core.observations.missions import MISSIONS
from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = ["Diagnosis", "diagnose"]

_CURVE_POINTS = (12, 40)
"""Fewest and most values of lambda at which the criteria are evaluated."""
_CURVE_COST = 1e9
"""Cells times squared half-bandwidth, over all values of lambda: half a second or so."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the estimate at one pixel rests on.

    Parameters
    ----------
    series : xarray.Dataset
        The estimate, as `itslive_core.invert` returns it.
    smoothing : xarray.Dataset
        The criteria over lambda at the final robust weights, as `itslive_core.smoothing_curve` returns them;
        attributes ``smoothing_used``, and ``criterion``, which chose it: auto or
        evidence, gcv, or given. Without values where there is no estimate.
    pairs : pandas.DataFrame
        One row for every pair, kept or not: ``start, end, mid`` (datetime64, UTC), ``span`` [d], ``mission``,
        ``vx, vy`` [m/yr]; ``rejected_by``, the filter that took it, empty where it is used; and for used
        pairs, else NaN: ``weight`` (u of the robust fit, 0 to 1; to 1.25 of Student's t), ``sigma`` (assumed
        standard error of a component [m/yr]), ``residual`` along the local flow and ``residual_across``
        [m/yr], ``normalised`` (length of the residual over sigma; its median is 1.18 where the noise is as
        assumed, and 1.23 where that is Student's: `smoothing` "auto", or anything learnt).
    missions : pandas.DataFrame
        By mission: ``n_used, n_rejected``; ``noise_scale``, ``floor`` [m/yr] and ``jitter`` [m] of its noise;
        ``offset, offset_std`` along the flow [m/yr],
        NaN for the reference and where not estimated; ``median_residual`` and
        ``spread`` of the residuals along the flow [m/yr]; ``season``, the amplitude of its seasonal
        displacement [m], NaN where not estimated.
    span_classes : pandas.DataFrame
        By class of span, ``low`` to ``high`` [d]: ``n`` used pairs, ``median_residual`` along the flow and
        ``mad``, the median absolute deviation from it [m/yr].
    steps : pandas.DataFrame
        By filter, in order: ``name, kept, removed, note``.
    resolution : xarray.DataArray
        Time over which the estimate of each cell averages, h / R_ii [d], shape (time,); NaN without pairs.
    """

    series: xr.Dataset
    smoothing: xr.Dataset
    pairs: pd.DataFrame
    missions: pd.DataFrame
    span_classes: pd.DataFrame
    steps: pd.DataFrame
    resolution: xr.DataArray


@dataclass(frozen=True, eq=False)
class _Fit:
    """How the used pairs fit: arrays of shape (n,), resolution of shape (M,)."""

    weight: NDArray[np.float64]
    sigma: NDArray[np.float64]
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    resolution: NDArray[np.float64]

    @classmethod
    def unknown(cls, pairs: int, cells: int) -> _Fit:
        nothing = np.full(pairs, np.nan)
        return cls(nothing, nothing, nothing, nothing, np.full(cells, np.nan))


def diagnose(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    selection: PairSelection | None = None,
) -> Diagnosis:
    """Invert the pairs of one pixel and say what the estimate rests on.

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
    Diagnosis
        Also where there is no estimate: then residuals and resolution are NaN, and
        ``series.attrs["reason"]`` says why.

    Raises
    ------
    SettingsError
        If the device asked for is not available.
    """
    import xarray as xr

    settings = InversionSettings() if settings is None else settings
    solution = solve_point(pairs, settings, selection)
    series = series_of(solution, selection)
    used = solution.pairs
    smoothing = float(series.attrs["smoothing_used"])
    if np.isfinite(series["vx"].values).any() and smoothing > 0:
        fit = _fit(solution)
        curve = criteria_at(solution, _candidates(used, settings, smoothing))
    else:
        fit = _Fit.unknown(len(used), series.sizes["time"])
        curve = xr.Dataset(
            {name: ("smoothing", np.empty(0)) for name in ("evidence", "gcv")},
            coords={"smoothing": np.empty(0)},
        )
    criterion = settings.smoothing if isinstance(settings.smoothing, str) else "given"
    order = pairs.order()  # that of the solution
    rejected_by = explain_rejections(pairs, settings, selection).astype(object)
    table = _pair_table(pairs.take(order), rejected_by[order], fit)
    table = table.iloc[np.argsort(order)].reset_index(drop=True)
    return Diagnosis(
        series=series,
        smoothing=curve.assign_attrs(smoothing_used=smoothing, criterion=criterion),
        pairs=table,
        missions=_by_mission(table, solution),
        span_classes=_by_span(table),
        steps=_steps(used),
        resolution=xr.DataArray(
            fit.resolution,
            coords={"time": series["time"]},
            dims="time",
            name="resolution",
            attrs={"long_name": "time over which the estimate of the cell averages", "units": "days"},
        ),
    )


def _candidates(used: ImagePairs, settings: InversionSettings, smoothing: float) -> NDArray[np.float64]:
    """Choose where to look at the criteria: what is searched and the lambda in use, coarser on long axes."""
    low, high = smoothing_limits(settings.derivative, settings.interval)
    low, high = min(low, smoothing), max(high, smoothing)
    size = (used.end.max() - used.start.min()) / settings.interval
    width = max(used.span.max(), DAYS_PER_YEAR) / settings.interval
    count = int(np.clip(_CURVE_COST / (size * width**2 + 1.0), *_CURVE_POINTS))
    return np.geomspace(low, high, count)


def _fit(solution: PointSolution) -> _Fit:
    """Compare the used pairs with their estimate."""
    used, result, operator, settings = (
        solution.pairs,
        solution.result,
        solution.shared.operator,
        solution.settings,
    )
    n, grid = len(used), operator.grid
    judged = judged_pairs(
        result, solution.shared, Observations.at_point(used.vx, used.vy), weights=settings.weights
    )
    # Cells that no used pair overlaps are NaN, and never read.
    mean_x, mean_y = (operator.apply(np.nan_to_num(v)) for v in result.values[0])
    rx, ry = judged.vx - mean_x, judged.vy - mean_y
    variance = judged.variance
    if judged.scaled:
        resolution = LearntPrior.of(solution).resolution(grid.size, grid.interval)
        resolution[operator.overlaps() == 0] = np.nan
    else:
        smoothing = float(result.smoothing[0])
        resolution = effective_resolution(operator, final_weights(solution), settings.derivative, smoothing)
        u = result.robust_weights
        left = u.sum() - np.nansum(grid.interval / resolution)
        common = np.sum(u / variance * (rx**2 + ry**2)) / (2 * left) if left > 0 else np.nan
        variance = np.where(u > 0, common * variance, np.nan)
    sigma = np.sqrt(variance)
    speed = np.hypot(mean_x, mean_y)
    flows = speed > 0
    ex = np.divide(mean_x, speed, out=np.ones(n), where=flows)
    ey = np.divide(mean_y, speed, out=np.zeros(n), where=flows)
    return _Fit(result.robust_weights, sigma, rx * ex + ry * ey, ry * ex - rx * ey, resolution)


def _pair_table(pairs: ImagePairs, rejected_by: NDArray[np.object_], fit: _Fit) -> pd.DataFrame:
    import pandas as pd

    kept = rejected_by == ""
    length = np.hypot(fit.along, fit.across)
    normalised = np.divide(length, fit.sigma, out=np.full(len(length), np.nan), where=fit.sigma > 0)

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(len(pairs), np.nan)
        out[kept] = values
        return out

    start, end = pairs.start_date, pairs.end_date
    return pd.DataFrame(
        {
            "start": start,
            "end": end,
            "mid": start + (end - start) // 2,
            "span": pairs.span,
            "mission": pairs.mission.astype(object),
            "vx": pairs.vx,
            "vy": pairs.vy,
            "rejected_by": rejected_by,
            "weight": spread(fit.weight),
            "sigma": spread(fit.sigma),
            "residual": spread(fit.along),
            "residual_across": spread(fit.across),
            "normalised": spread(normalised),
        }
    )


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and the median absolute deviation from it; NaN without values."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return np.nan, np.nan
    middle = float(np.median(known))
    return middle, float(np.median(np.abs(known - middle)))


def _by_mission(table: pd.DataFrame, solution: PointSolution) -> pd.DataFrame:
    import pandas as pd

    learnt = solution.result.learnt
    flow = (
        np.array([np.median(solution.pairs.vx), np.median(solution.pairs.vy)])
        if len(solution.pairs)
        else np.ones(2)
    )
    flow = flow / max(np.hypot(*flow), 1e-300)

    mission, used = table["mission"].to_numpy(), (table["rejected_by"] == "").to_numpy()
    residual = table["residual"].to_numpy()
    rows = {}
    for m, name in enumerate(MISSIONS):
        here = mission == name
        if here.any():
            scale, floor, jitter, offset, error, season = 1.0, 0.0, 0.0, np.nan, np.nan, np.nan
            if learnt is not None:
                scale, floor = float(learnt.scale[0, m]), float(learnt.floor[0, m])
                jitter, season = float(learnt.jitter[0, m]), float(season_amplitude(learnt.season[0])[m])
                error = float(np.hypot(*(flow * learnt.offset_std[0, :, m])))
                offset = float(flow @ learnt.offset[0, :, m]) if np.isfinite(error) else np.nan
            median, mad = _middle(residual[here])
            rows[name] = {
                "n_used": int((here & used).sum()),
                "n_rejected": int((here & ~used).sum()),
                "noise_scale": scale,
                "floor": floor,
                "jitter": jitter,
                "offset": offset,
                "offset_std": error,
                "median_residual": median,
                "spread": MAD_TO_STD * mad,
                "season": season,
            }
    columns = [
        "n_used", "n_rejected", "noise_scale", "floor", "jitter", "offset", "offset_std",
        "median_residual", "spread", "season",
    ]  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("mission")


def _by_span(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    used = table[table["rejected_by"] == ""]
    number = np.searchsorted(SPAN_CLASSES, np.rint(used["span"].to_numpy()), side="right") - 1
    residual = used["residual"].to_numpy()
    rows = []
    for i, (low, high) in enumerate(pairwise(SPAN_CLASSES)):
        here = number == i
        if here.any():
            rows.append((low, high, int(here.sum()), *_middle(residual[here])))
    return pd.DataFrame(rows, columns=["low", "high", "n", "median_residual", "mad"])


def _steps(used: ImagePairs) -> pd.DataFrame:
    import pandas as pd

    rows = [(step.name, step.kept, step.dropped, step.note) for step in used.history]
    return pd.DataFrame(rows, columns=["name", "kept", "removed", "note"])
