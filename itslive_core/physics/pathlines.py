"""Pathlines: where ice at the surface drifts in a field of velocities that changes with time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.physics.fields import as_field
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

__all__ = ["pathlines"]


def pathlines(
    area: xr.Dataset, x: ArrayLike, y: ArrayLike, *, start: Any = None, end: Any = None, step: float = 6.0
) -> xr.Dataset:
    """Follow places on the ice through an estimate of an area.

    Velocities are linear between pixels and between centres of cells, and those of the ends beyond them;
    places move by the Runge-Kutta method of fourth order.

    Parameters
    ----------
    area : xarray.Dataset
        ``vx, vy`` [m/yr], dimensions (time, y, x), or (y, x) for a field that does not change.
    x, y : array_like, shape (n,)
        Where they begin, in the CRS of the area [m].
    start, end : str or datetime64, optional
        From when to when (end before start: upstream); by default all of the series.
    step : float
        Of time [days].

    Returns
    -------
    xarray.Dataset
        ``x, y`` [m], dimensions (line, time); NaN from where a line leaves the area or meets a gap.

    Raises
    ------
    SettingsError
        If that is no field, or an argument is impossible.
    """
    import xarray as xr
    from scipy.interpolate import RegularGridInterpolator

    field = as_field(area)
    if not (np.isfinite(step) and step > 0.0):
        raise SettingsError(f"step is {step!r}: give a number of days above 0")
    steady = "time" not in field["vx"].dims
    times = np.zeros(1) if steady else _days(field["time"].values)
    if steady and (start is None or end is None):
        raise SettingsError("a field without time has no dates: give start and end")
    first, last = (
        times[which] if given is None else float(_days(np.array([np.datetime64(given, "ns")]))[0])
        for given, which in ((start, 0), (end, -1))
    )
    if not np.isfinite([first, last]).all() or first == last:
        raise SettingsError("start and end: give two dates that differ")
    rows, cols = (slice(None, None, 1 if np.diff(field[n])[0] > 0 else -1) for n in ("y", "x"))
    axes = field["y"].values[rows].astype(np.float64), field["x"].values[cols].astype(np.float64)
    values = np.stack([field[name].values for name in ("vx", "vy")], axis=-1).astype(np.float64)
    values = values[None] if steady else values
    values = values[:, rows, cols]
    if len(times) == 1:
        times, values = np.array([first, first + 1.0]), np.concatenate([values, values])
    at = RegularGridInterpolator((times, *axes), values, bounds_error=False, fill_value=np.nan)

    def speed(t: float, places: NDArray) -> NDArray:
        when = np.full(len(places), np.clip(t, times[0], times[-1]))
        velocity: NDArray = at(np.column_stack([when, places[:, 1], places[:, 0]])) / DAYS_PER_YEAR
        return velocity

    n = max(int(np.ceil(abs(last - first) / step)), 1)
    clock = np.linspace(first, last, n + 1)
    h = (last - first) / n
    here = np.column_stack([np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (x, y)])
    way = [here]
    for t in clock[:-1]:
        k1 = speed(t, here)
        k2 = speed(t + h / 2, here + h / 2 * k1)
        k3 = speed(t + h / 2, here + h / 2 * k2)
        k4 = speed(t + h, here + h * k3)
        here = here + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        way.append(here)
    lines = np.stack(way, axis=1)
    moments = (np.rint(clock * 86_400_000).astype("int64")).astype("datetime64[ms]").astype("datetime64[ns]")
    return xr.Dataset(
        {
            name: (("line", "time"), lines[..., k], {"long_name": f"{name} of the projection", "units": "m"})
            for k, name in enumerate(("x", "y"))
        },
        {"time": moments},
        {"title": "Pathlines of ice at the surface", "step": float(abs(h))},
    )


def _days(moments: NDArray) -> NDArray[np.float64]:
    days: NDArray[np.float64] = (moments - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    return days
