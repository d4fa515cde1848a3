"""Seasonality and trend of a pixel, from its image pairs.

Both components of the velocity are

    v(t) = b(t) + S sin 2 pi t + C cos 2 pi t + overtones,      t in years of 365.25 days from 1 January,

and each pair sees the mean of that over its span, exactly. The background b is linear between the beginnings
of years, S and C have a value in every year, around their mean:

    b_y+1 - b_y ~ N(drift, rho^2),      (S_y, C_y) ~ N((S, C), T),      overtones ~ N(0, o^2),

the overtones being the second and the third harmonic of the mean season, which a sharp summer has and which
would otherwise reach S and C where images are unevenly spread over the year. T has two standard deviations
tau: along (S, C), where the amplitude changes, and across it, where the day does. rho, tau and o are learnt
at each pixel from the motion along the flow by restricted maximum likelihood, and what is not known of tau is
integrated over, and so is rho for mean and trend. So seasons that differ between years are an error of the
mean season, and count as such.

Missions may be offset from a reference mission (`itslive_core.observations.missions.missions_with_offset`):
their offsets are unknowns beside these, with a normal prior whose size follows what is found, and what is not
known of them is part of all errors but one. Mean and years are on the level of the reference mission: whether
that is right no pair can tell, and no error given here knows of it. The size of the noise of each mission is
learnt as in the inversion where formal errors weigh the pairs.

Robust weights are those of the inversion. Pairs that share images err together. How many of them are worth an
independent one is taken from the residuals: the variance of a sum of residuals over that of independent ones.
The mean season is that of an average year; with few years it is less well known than the season of these.

Shadows, snow and errors of terrain correction also move images to and fro with the seasons, the more so in
steep valleys. No error given here knows of that: the amplitude on ice-free ground nearby tells how much.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.inversion.point import use_pairs
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import FAILED, SOLVED, TOO_FEW
from itslive_core.observations.batches import Observations
from itslive_core.observations.missions import MISSIONS, mission_numbers, reference_mission
from itslive_core.observations.weights import observation_weights
from itslive_core.season.fit import LEAST_PAIRS, LEAST_YEARS, TOO_SHORT
from itslive_core.season.pixels import (
    AREA_VARIABLES,
    SeasonRows,
    Seasons,
    day_of_maximum,
    options_of,
    season_of_block,
    season_of_pixels,
)
from itslive_core.season.years import year_values
from itslive_core.series import add_place, common_attributes, filter_attributes
from itslive_core.series.recipe import recipe_of_pixel
from itslive_core.support.student import LEAST_WEIGHT

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = [
    "AREA_VARIABLES",
    "SEASON_VARIABLES",
    "SeasonRows",
    "Seasons",
    "fit_season",
    "season_of_block",
    "season_of_pixels",
]

_ALONG = "along the mean flow"
_STD = "standard deviation"
_SETTINGS = ("weights", "robust", "outliers")
_LEAST_IN_YEAR = 10
"""Used pairs centred in a year for which its own season is given."""

SEASON_VARIABLES: dict[str, dict[str, Any]] = {
    **AREA_VARIABLES,
    "season_change": {"long_name": f"{_STD} of the amplitude between years", "units": "m/yr"},
    **{
        f"season_{component}_{wave}": {
            "long_name": f"{name} part of the annual harmonic of {component}, phase 0 on 1 January",
            "units": "m/yr",
        }
        for component in ("vx", "vy")
        for wave, name in (("sin", "sine"), ("cos", "cosine"))
    },
    "year_speed": {"long_name": f"mean velocity of the year {_ALONG}, without the season", "units": "m/yr"},
    "year_speed_std": {"long_name": f"{_STD} of year_speed", "units": "m/yr"},
    "year_amplitude": {"long_name": f"amplitude of the year's annual harmonic {_ALONG}", "units": "m/yr"},
    "year_amplitude_std": {"long_name": f"{_STD} of year_amplitude", "units": "m/yr"},
    "year_day": {
        "long_name": "days from 1 January to the maximum of the year's annual harmonic",
        "units": "day",
    },
    "year_day_std": {"long_name": f"{_STD} of year_day", "units": "day"},
    "year_n_pairs": {"long_name": "number of used image pairs whose middle lies in the year", "units": "1"},
}
"""Attributes of all variables of `fit_season`."""


def fit_season(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    selection: PairSelection | None = None,
    sigma: NDArray[np.float64] | None = None,
    inflation: float | None = None,
) -> xr.Dataset:
    """Estimate season and trend of one pixel from its image pairs.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : InversionSettings, optional
        Its ``weights``, ``robust`` and ``outliers`` are used. Default: the recommended ones.
    selection : PairSelection, optional
        Filters on metadata to apply first.
    sigma : ndarray, shape (n,), optional
        Standard deviation of the noise of each pair, per component [m/yr], instead of the settings' weights
        and of what is learnt of missions; only ratios matter, the scale is estimated.
    inflation : float, optional
        How many pairs are worth an independent one, 1 or more; by default it is estimated from the residuals
        of pairs that share images.

    Returns
    -------
    xarray.Dataset
        Scalars, float64, along the mean flow: ``season_amplitude`` of the annual harmonic,
        ``season_day`` of its maximum (days after 1 January, 0 to 365.25; NaN where the amplitude is below two
        standard deviations), ``mean_speed`` (on the level of the reference mission) and ``trend`` of the
        background over the covered months, each with ``_std``; ``season_change``, the standard deviation of
        the amplitude between years; the vector ``season_vx_sin``, ``season_vx_cos``, ``season_vy_sin``,
        ``season_vy_cos``. Dimension ``year`` (calendar years): ``year_speed``, ``year_amplitude``,
        ``year_day``, each with ``_std``, and ``year_n_pairs``; NaN in years with fewer than ten used pairs. A
        year's values lean on the mean season as far as its own pairs say little. Attributes hold settings,
        filters, ``reference_mission``, ``mission_offset_vx`` and ``mission_offset_vy`` (JSON, by mission
        [m/yr]), and the ``reason`` where something is missing.

    Raises
    ------
    SettingsError
        If `sigma` does not fit the pairs or is not above 0, or `inflation` is below 1.
    """
    import xarray as xr

    settings = InversionSettings() if settings is None else settings
    if inflation is not None and not inflation >= 1.0:
        raise SettingsError(f"inflation is {inflation!r}: give a number of 1 or more")
    weighted = pairs
    if sigma is not None:
        sigma = np.asarray(sigma, dtype=np.float64)
        if sigma.shape != pairs.start.shape or not np.all(sigma > 0):
            raise SettingsError(f"sigma must be above 0 and one for each of the {len(pairs)} pairs")
        weighted = replace(pairs, vx_error=sigma, vy_error=sigma)
        settings = replace(settings, weights="error")
    used = use_pairs(weighted, settings, selection).in_order()
    n = len(used)
    mission = mission_numbers(used.mission)
    rows = SeasonRows.make(used.start, used.end, mission)
    observations = Observations.at_point(used.vx, used.vy)
    weights = observation_weights(
        settings.weights,
        observations.offsets,
        observations.pair,
        used.span,
        used.vx_error,
        used.vy_error,
        mission,
    )
    options = options_of(settings, inflation)
    if sigma is not None:
        options = options._replace(learn_noise=False)
    found = season_of_pixels(rows, observations, weights, options)
    variables = {name: float(values[0]) for name, values in found.variables().items()}
    variables["season_change"] = float(found.fact("amplitude_change")[0])
    for name in ("vx_sin", "vx_cos", "vy_sin", "vy_cos"):
        variables[f"season_{name}"] = float(found.fact(name)[0])
    ds = xr.Dataset({name: ((), value, SEASON_VARIABLES[name]) for name, value in variables.items()})
    for name, values in _years(rows, used, found).items():
        ds[name] = ("year", values, SEASON_VARIABLES.get(name, {"long_name": "calendar year"}))
    ds.attrs = {
        **common_attributes(
            {"method": "season", **{k: settings.to_dict()[k] for k in _SETTINGS}},
            {} if selection is None else selection.to_dict(),
            [pairs.cube_url or ""],
            [pairs.date_updated or ""],
        ),
        "title": "Season and trend of glacier velocity, estimated from ITS_LIVE image pairs",
        "robust_passes": float(found.fact("passes")[0]),
        "inflation": float(found.fact("inflation")[0]),
        **_offset_attributes(found, mission),
        "reason": used.describe_empty() if n == 0 else _reason(found, n),
        **filter_attributes(used.history, n),
    }
    if sigma is None and inflation is None:
        recipe = recipe_of_pixel("season", used, ds.attrs)
        ds.attrs = ds.attrs if recipe is None else {"recipe": recipe, **ds.attrs}
    return add_place(ds, pairs, [str(name) for name in ds.data_vars])


def _offset_attributes(found: Seasons, mission: NDArray[np.int64]) -> dict[str, str]:
    """Name the reference mission, and the offsets of others from it as JSON, at the one pixel."""
    counts = np.bincount(mission, minlength=len(MISSIONS))
    reference, offset = reference_mission(counts), found.offset[0]
    names = {c: {MISSIONS[m]: round(v[m], 3) for m in np.flatnonzero(v)} for c, v in zip("xy", offset)}
    return {
        "reference_mission": MISSIONS[reference] if counts.any() else "",
        **{f"mission_offset_v{c}": json.dumps(values) for c, values in names.items()},
    }


def _reason(found: Seasons, used: int) -> str:
    """Say why something is missing at the one pixel; empty where all is there."""
    status = int(found.status[0])
    if status == TOO_FEW:
        return f"too few pairs: {used} used, at least {LEAST_PAIRS} with distinct dates are needed"
    if status == TOO_SHORT:
        return f"the pairs cover less than {LEAST_YEARS:g} years: a season cannot be told from a trend"
    if status == FAILED:
        return "the normal equations cannot be solved"
    if not found.significant[0]:
        return "the season is not significant: its amplitude is below two standard deviations"
    return ""


def _years(rows: SeasonRows, used: ImagePairs, found: Seasons) -> dict[str, NDArray[Any]]:
    """Estimate the calendar years of the one pixel, each variable of shape (years,)."""
    u, data = found.robust_weights, rows.data
    years = int(np.ceil(data.end.max()) - rows.first_year) if len(used) else 0
    middle = np.floor(0.5 * (data.start + data.end)).astype(np.int64) - rows.first_year
    count = np.bincount(middle[u >= LEAST_WEIGHT], minlength=years)
    values, covariances = np.full((years, 3), np.nan), np.full((years, 3, 3), np.nan)
    if found.status[0] == SOLVED:
        w = found.weights * u / found.fact("inflation")[0]
        values, covariances = year_values(data, years, used.vx, used.vy, w, found.pixel(0), found.offset[0])
        few = count < _LEAST_IN_YEAR
        values[few], covariances[few] = np.nan, np.nan
    speed, sine, cosine = values.T
    amplitude = np.hypot(sine, cosine)
    with np.errstate(divide="ignore", invalid="ignore"):
        outward = np.stack([sine, cosine], axis=1) / amplitude[:, None]
    sideways = np.stack([outward[:, 1], -outward[:, 0]], axis=1)
    of_season = covariances[:, 1:, 1:]
    day, day_std = day_of_maximum(sine, cosine, np.einsum("yi,yij,yj->y", sideways, of_season, sideways))
    return {
        "year": 2000 + rows.first_year + np.arange(years),
        "year_speed": speed,
        "year_speed_std": np.sqrt(covariances[:, 0, 0]),
        "year_amplitude": amplitude,
        "year_amplitude_std": np.sqrt(np.einsum("yi,yij,yj->y", outward, of_season, outward)),
        "year_day": day,
        "year_day_std": day_std,
        "year_n_pairs": count,
    }
