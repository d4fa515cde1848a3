"""The Gaussian process: a series with its trend, season and roughness, from mean velocities over spans.

Along and across the median flow, each with its own hyperparameters (`itslive_core.gaussian_process.model`),

    y_i = sum_k A_ik v_k + offset of the mission + noise,      v = level + trend + season + roughness.

A averages cells over spans (`itslive_core.observations.time_grid`). The noise has two parts. That of a pair
is Student-t with 6 degrees of freedom, in both components at once; its scale is the formal error and a floor,
times a factor of the mission. What fluctuates from cell to cell and is seen by all pairs of these days alike
is noise too: images share shadows, snow and geolocation, and ice does not jump to and fro within days. Level
and offsets are integrated out under normal priors, offsets shrunk towards 0. The hyperparameters maximise
evidence times prior, with exact gradients, in turns with the robust weights
(`itslive_core.gaussian_process.fit`); the algebra is that of `itslive_core.gaussian_process.arrowhead`.
Background: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, MIT Press.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.gaussian_process.component import CancelledError
from itslive_core.gaussian_process.data import PixelData
from itslive_core.gaussian_process.dataset import (
    PART_WORDS,
    add_hyperparameters,
    hyperparameter_attributes,
    series_columns,
)
from itslive_core.gaussian_process.evidence import point_flags
from itslive_core.gaussian_process.fit import fit_steps
from itslive_core.gaussian_process.means import window_columns
from itslive_core.gaussian_process.settings import GaussianProcessSettings
from itslive_core.inversion.point import use_pairs
from itslive_core.observations.missions import MISSIONS, mission_numbers, reference_mission
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.windows import Windows, window_edges, window_weights
from itslive_core.series import common_attributes, filter_attributes, point_dataset
from itslive_core.series.means import means_of_pixels
from itslive_core.series.quality import quality_of
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.fit import Fit
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = [
    "CancelledError",
    "fit_gaussian_process",
    "fit_gaussian_process_steps",
    "gaussian_process_means",
]

_BAND = "standard deviation of the posterior of the Gaussian process"


def fit_gaussian_process(
    pairs: ImagePairs,
    settings: GaussianProcessSettings | None = None,
    *,
    selection: PairSelection | None = None,
    inflation: NDArray[np.float64] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> xr.Dataset:
    """Fit a Gaussian process to the image pairs of one pixel.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : GaussianProcessSettings, optional
        Default: the recommended ones.
    selection : PairSelection, optional
        Filters on metadata to apply first.
    inflation : ndarray, shape (n,), optional
        Factors of the noise variance of each pair that are known from elsewhere, for instance above 1 for
        pairs that share an image with others.
    cancelled : callable, optional
        Asked often; when true, `CancelledError` is raised.

    Returns
    -------
    xarray.Dataset
        Like that of `itslive_core.invert`, but all cells are filled: ``coverage`` = 0 marks gaps. More
        variables: ``vx_vy_cov`` [m^2/yr^2]; along the flow ``trend``, ``season`` and ``roughness`` with
        ``_std`` [m/yr]; by component (along, across) the hyperparameters of the kernel; by component and
        mission ``noise_factor``, ``mission_offset`` and ``mission_offset_std``. Attributes: all settings,
        what each filter left, ``findings`` in words and, where only a constant could be fitted, the
        ``reason``.

    Raises
    ------
    SettingsError
        If `inflation` does not fit the pairs, or the device is not available.
    CancelledError
        If `cancelled` said so.
    """
    *_, last = _steps(pairs, settings, selection, inflation, cancelled, quick=False)
    return last


def fit_gaussian_process_steps(
    pairs: ImagePairs,
    settings: GaussianProcessSettings | None = None,
    *,
    selection: PairSelection | None = None,
    inflation: NDArray[np.float64] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[xr.Dataset]:
    """Fit a Gaussian process and give a quick estimate before the refined one.

    Parameters
    ----------
    pairs, settings, selection, inflation, cancelled
        As for `fit_gaussian_process`.

    Yields
    ------
    xarray.Dataset
        First a quick pass, with the attribute ``refined`` = 0, then the result; only the result where that
        is as quick.

    Raises
    ------
    SettingsError
        If `inflation` does not fit the pairs, or the device is not available.
    CancelledError
        If `cancelled` said so.
    """
    yield from _steps(pairs, settings, selection, inflation, cancelled, quick=True)


def gaussian_process_means(
    pairs: ImagePairs,
    settings: GaussianProcessSettings | None = None,
    *,
    period: str = "month",
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Fit the image pairs of one pixel, and average the series; see `itslive_core.calendar_means`.

    Raises
    ------
    SettingsError
        If the method is none that knows how cells err together, or the period is not known.
    """
    settings = GaussianProcessSettings() if settings is None else settings
    if settings.method != "span":
        raise SettingsError(
            f"method {settings.method!r} does not tell how cells err together: choose method 'span' for means"
        )
    window_edges(period, 0.0, 0.0)  # known before the work is done
    *_, last = _steps(pairs, settings, selection, None, None, quick=False, period=period)
    return last


def _steps(
    pairs: ImagePairs,
    settings: GaussianProcessSettings | None,
    selection: PairSelection | None,
    inflation: NDArray[np.float64] | None,
    cancelled: Callable[[], bool] | None,
    *,
    quick: bool,
    period: str | None = None,
) -> Iterator[xr.Dataset]:
    settings = GaussianProcessSettings() if settings is None else settings
    if settings.device == "cuda":
        raise SettingsError(
            "the Gaussian process of a single point runs on the CPU: choose device 'cpu' or 'auto'"
        )
    used = use_pairs(pairs, settings, selection)
    factors = np.ones(len(used)) if inflation is None else _follow(pairs, used, inflation)
    order = used.order()
    used, factors = used.take(order), factors[order]
    chosen = {} if selection is None else selection.to_dict()
    attributes = {
        **common_attributes(
            {**settings.to_dict(), "method": "gaussian_process"},
            chosen,
            [pairs.cube_url or ""],
            [pairs.date_updated or ""],
        ),
        "settings": json.dumps(settings.to_dict()),
    }
    if period is not None:
        attributes = {"means": period, **attributes}
    if len(used) == 0:
        empty = dict.fromkeys(_columns(settings), np.empty(0))
        grid = TimeGrid.covering(used.start, used.end, settings.interval)
        yield _dataset(grid, empty, used, {**attributes, "reason": used.describe_empty()})
        return
    if settings.method == "sklearn":
        from itslive_core.gaussian_process.reference import fit_reference

        grid = TimeGrid.covering(used.start, used.end, settings.interval)
        columns, words = fit_reference(used, grid, settings, cancelled)
        yield _dataset(grid, columns, used, {**attributes, **words})
        return
    data = PixelData.make(
        used.start,
        used.end,
        used.vx,
        used.vy,
        vx_error=used.vx_error,
        vy_error=used.vy_error,
        mission=mission_numbers(used.mission),
        inflation=factors,
    )
    for fit in fit_steps(
        data,
        settings.interval,
        trend=settings.trend,
        harmonics=harmonics_of(settings),
        offsets=settings.offsets,
        quick=quick,
        cancelled=cancelled,
    ):
        yield _result(fit, used, attributes) if period is None else _means(fit, used, attributes, period)


def harmonics_of(settings: GaussianProcessSettings) -> int:
    """Give the number of harmonics that cells of this length can show; 0 is no season."""
    return min(settings.harmonics, int(DAYS_PER_YEAR / (2 * settings.interval))) if settings.season else 0


def _means(fit: Fit, used: ImagePairs, attributes: dict[str, Any], period: str) -> xr.Dataset:
    grid = TimeGrid.covering(used.start, used.end, fit.shape.interval)
    edges = window_edges(period, float(used.start.min()), float(used.end.max()))
    windows = Windows(edges)
    weights = window_weights(grid.first * grid.interval, grid.interval, grid.size, edges)
    found = {name: of[None] for name, of in window_columns(fit, weights).items()}
    series = series_columns(fit, grid.size)
    columns = means_of_pixels(
        grid,
        windows,
        np.stack([found["vx"], found["vy"]], axis=1),
        np.stack([found["vx_std"], found["vy_std"]], axis=1),
        seen=np.ones((1, grid.size), dtype=bool),
        coverage=grid.coverage(used.start, used.end)[None],
        flags=point_flags(grid, used, series, fit)[None],
        counts=windows.overlaps(used.start, used.end)[None],
        v_std=found["v_std"],
    )
    history = filter_attributes(used.history, len(used))
    ds = point_dataset(
        windows,
        {name: of[0] for name, of in columns.items()},
        used,
        {**attributes, **_words(fit), **history},
    )
    return add_hyperparameters(_with_band(ds), fit)


def _words(fit: Fit) -> dict[str, Any]:
    words = {"reason": fit.reason, **hyperparameter_attributes(fit)}
    if fit.offsets:
        words["reference_mission"] = MISSIONS[reference_mission(fit.data.counts)]
    return words


def _with_band(ds: xr.Dataset) -> xr.Dataset:
    """Say what the standard deviations are."""
    for name in ("vx_std", "vy_std", "v_std"):
        ds[name].attrs["long_name"] = f"uncertainty of {name.removesuffix('_std')}: {_BAND}"
    return ds


def _result(fit: Fit, used: ImagePairs, attributes: dict[str, Any]) -> xr.Dataset:
    grid = TimeGrid.covering(used.start, used.end, fit.shape.interval)
    columns, words = series_columns(fit, grid.size), _words(fit)
    return add_hyperparameters(_dataset(grid, columns, used, {**attributes, **words}, fit), fit)


def _columns(settings: GaussianProcessSettings) -> list[str]:
    parts = [name for name in PART_WORDS if settings.season or name != "season"]
    with_std = [n for name in parts for n in (name, f"{name}_std")] if settings.method == "span" else []
    return ["vx", "vy", "v", "vx_std", "vy_std", "v_std", *with_std]


def _dataset(
    grid: TimeGrid,
    columns: dict[str, NDArray[np.float64]],
    used: ImagePairs,
    attributes: dict[str, Any],
    fit: Fit | None = None,
) -> xr.Dataset:
    """Add counts and quality to the columns of a series, and describe them."""
    operator, coverage = grid.operator(used.start, used.end), grid.coverage(used.start, used.end)
    named: dict[str, NDArray[Any]] = {
        **{name: columns[name] for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std")},
        "n_pairs": operator.overlaps().astype(np.int32),
        "coverage": coverage,
        "quality": quality_of(point_flags(grid, used, columns, fit), columns, coverage),
    }
    history = filter_attributes(used.history, len(used))
    ds = _with_band(point_dataset(grid, named, used, {**attributes, **history}))
    mapping = {"grid_mapping": "mapping"} if "mapping" in ds else {}
    more: dict[str, tuple[str, NDArray[Any], dict[str, str]]] = {}
    for name, words in PART_WORDS.items():
        if name in columns:
            more[name] = "time", columns[name], {"long_name": words, "units": "m/yr", **mapping}
            std = {"long_name": f"uncertainty of {name}: {_BAND}", "units": "m/yr", **mapping}
            more[f"{name}_std"] = "time", columns[f"{name}_std"], std
    if "vx_vy_cov" in columns:
        words_cov = {"long_name": "posterior covariance of vx and vy", "units": "m2/yr2", **mapping}
        more["vx_vy_cov"] = "time", columns["vx_vy_cov"], words_cov
    return ds.assign(more)


def _follow(pairs: ImagePairs, used: ImagePairs, inflation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the factors of the pairs that the filters left, which keep the order."""
    inflation = np.asarray(inflation, dtype=np.float64)
    if inflation.shape != (len(pairs),) or not np.all(np.isfinite(inflation) & (inflation > 0)):
        raise SettingsError(
            f"inflation must hold one number above 0 for each of the {len(pairs):,} pairs,"
            f" got shape {inflation.shape}"
        )
    rows, at = np.empty(len(used), dtype=np.int64), 0
    for j in range(len(used)):
        while not (
            pairs.start[at] == used.start[j]
            and pairs.end[at] == used.end[j]
            and pairs.vx[at] == used.vx[j]
            and pairs.vy[at] == used.vy[j]
        ):
            at += 1
        rows[j] = at
        at += 1
    return inflation[rows]
