"""What there is to say of a point in one line: mean, trend, season, and how much of the time was observed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.band_level import BAND_REACH, BAND_WORDS
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Fact", "headline"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOISE = "below the noise"


@dataclass(frozen=True)
class Fact:
    """One thing that is told of a point.

    Parameters
    ----------
    name, text : str
    note : str
        What it means, for the tip.
    clear : bool
        False where it cannot be told from noise.
    """

    name: str
    text: str
    note: str
    clear: bool = True


def headline(season: xr.Dataset | None, series: xr.Dataset | None) -> list[Fact]:
    """Say what there is to say of a point.

    Parameters
    ----------
    season : Dataset or None
        From `itslive_core.fit_season`.
    series : Dataset or None
        Its series, for the time that was observed.

    Returns
    -------
    list of Fact
        Empty where nothing is known; errors are those of the level of the bands.
    """
    facts = []
    if season is not None:
        values = {str(name): float(one.values) for name, one in season.data_vars.items() if one.ndim == 0}
        facts += [one for one in (_mean(values), _trend(values), _season(values)) if one is not None]
    if series is not None and (observed := _observed(series)) is not None:
        facts.append(observed)
    return facts


def _reach(values: dict[str, float], name: str) -> tuple[float, float] | None:
    """Return a value and half the width of its band; None where it is not known."""
    value, std = values.get(name, math.nan), values.get(f"{name}_std", math.nan)
    return (value, BAND_REACH * std) if math.isfinite(value) and math.isfinite(std) else None


def _number(value: float, error: float) -> str:
    """Write a value and its error with the digits that the error leaves."""
    digits = max(0, min(2, 1 - math.floor(math.log10(error)))) if error > 0 else 1
    return f"{value:,.{digits}f} ± {error:,.{digits}f}".replace("-", "−")


def _mean(values: dict[str, float]) -> Fact | None:
    found = _reach(values, "mean_speed")
    if found is None:
        return None
    return Fact(
        "Mean",
        f"{_number(*found)} m/yr",
        f"Mean speed over the months that pairs cover, without the season; ± is {BAND_WORDS}.",
    )


def _trend(values: dict[str, float]) -> Fact | None:
    found = _reach(values, "trend")
    if found is None:
        return None
    trend, error = (10.0 * one for one in found)
    clear = abs(trend) >= error
    words = f"{_number(trend, error)} m/yr per decade"
    note = f"Slope of the line through the speed, without the season; ± is {BAND_WORDS}."
    return Fact("Trend", words if clear else f"{_NOISE} ({words})", note, clear)


def _season(values: dict[str, float]) -> Fact | None:
    found, day = _reach(values, "season_amplitude"), _reach(values, "season_day")
    if found is None:
        return None
    amplitude, error = found
    note = (
        f"Half the difference between the fastest and the slowest time of an average year; ± is {BAND_WORDS}."
        " Moving shadows feign some 8 m/yr where mountains are steep."
    )
    if day is None or amplitude < error:
        return Fact("Season", f"{_NOISE} (at most {amplitude + error:,.0f} m/yr)", note, clear=False)
    date = np.datetime64("2001-01-01") + int(day[0] % DAYS_PER_YEAR)
    when = f"{int(str(date)[8:])} {_MONTHS[int(str(date)[5:7]) - 1]} ± {day[1]:.0f} d"
    return Fact("Season", f"{_number(amplitude, error)} m/yr, fastest {when}", note)


def _observed(series: xr.Dataset) -> Fact | None:
    if "coverage" not in series or not series.sizes.get("time"):
        return None
    begin, end = series["time_bnds"].values.T
    width = (end - begin).astype("timedelta64[s]").astype(float)
    share = float(np.nansum(series["coverage"].values * width) / width.sum())
    years = f"{str(begin[0])[:4]}–{str(end[-1])[:4]}"
    return Fact(
        "Observed",
        f"{100 * share:.0f} % of {years}",
        "Share of the time that lies within a pair that is used.",
    )
