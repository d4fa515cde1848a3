"""Events of a series: speed-ups and slow-downs, each with 95 % intervals from what the series knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.events.model import Noisy, cell_means, sample_shape, scan
from itslive_core.physics.fields import correlation_in_time

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.events.model import Candidate, Chain

__all__ = ["KINDS", "detect_events"]

KINDS = ("slow-down", "speed-up")
_GAIN = 40.0
"""Least gain of an event: 6.3 standard deviations, as every date and length is tried."""
_PART = 0.5
"""A departure beside an event that is smaller than this share of it belongs to it."""
_MOST = 12
"""Events that are looked for."""
_FEWEST = 8
"""Cells that a series must have."""
_LIMITS = (2.5, 50.0, 97.5)


def detect_events(
    series: xr.Dataset,
    *,
    least_change: float = 0.25,
    least_size: float = 15.0,
    correlation_time: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Find speed-ups and slow-downs in a series, with when they began, were at their most, and ended.

    The series is held against a background (level, trend, season) with triangles of any date and length; see
    `itslive_core.events.model`. What stands out by more than 6.3 standard deviations and is large enough is
    an event; dates and size are then sampled from their posterior.

    Parameters
    ----------
    series : xarray.Dataset
        Of `itslive_core.invert`, or of another estimator that gives standard deviations: one point, ``vx, vy,
        vx_std, vy_std`` [m/yr] along ``time``.
    least_change : float
        Smallest event, as a share of the speed of the background at its most.
    least_size : float
        Smallest event [m/yr].
    correlation_time : float, optional
        Time over which cells err together [days]; by default what the effective degrees of freedom say.
    seed : int
        Of the random draws.

    Returns
    -------
    xarray.Dataset
        Dimension ``event``, in order of onset: ``onset``, ``peak`` and ``end`` (datetime64), each with
        ``_lower`` and ``_upper``, limits of 95 %: onset and end are where the departure from the background
        is a tenth of its most; ``size`` [m/yr] of the departure, negative for a slow-down, with limits;
        ``kind``; ``deviations``, how many standard deviations it stands out by; ``ongoing`` where its end is
        not seen (the end is NaT), and ``began_before`` where its onset is not. Empty where nothing happened.

    Raises
    ------
    SettingsError
        If that is no series of one point with standard deviations, or too short.
    """
    for name in ("vx", "vy", "vx_std", "vy_std"):
        if name not in series or series[name].dims != ("time",):
            raise SettingsError(f"events need a series of one point with {name!r} along time: give one")
    if not (least_change >= 0.0 and least_size >= 0.0):
        raise SettingsError("least_change and least_size: give numbers of 0 or more")
    days = (series["time"].values - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    v, std = _along_flow(series)
    rows: list[tuple[Chain, float]] = []
    seen = np.isfinite(v) & np.isfinite(std)
    background = np.zeros(0)
    if seen.sum() >= _FEWEST:
        interval = float(np.median(np.diff(days)))
        correlation = correlation_in_time(series, correlation_time)
        beside = correlation[0, 1] if len(days) > 1 else 0.0
        tau = -interval / np.log(beside) if 0.0 < beside < 1.0 else 0.0
        noisy, background = Noisy.of(days, interval, v, std, tau)
        least = np.maximum(least_change * np.abs(background), least_size)
        rng = np.random.default_rng(seed)
        told: list[Candidate] = []
        for _ in range(_MOST):
            candidate = scan(noisy)
            if candidate is None or candidate.gain < _GAIN:
                break
            profile = np.abs(candidate.size) * cell_means(days, interval, candidate.shape)[noisy.seen]
            if (profile > least).any() and not any(_part_of(candidate, other, tau) for other in told):
                rows.append((sample_shape(noisy, candidate, rng), candidate.gain))
                told.append(candidate)
            # What is left of an event that has another shape is no event of its own.
            noisy = noisy.with_misfit(candidate).without(candidate.shape, candidate.size)
    rows.sort(key=lambda row: float(np.median(row[0].onset)))
    at = np.flatnonzero(seen)
    ends = (days[at[0]], days[at[-1]]) if len(at) else (0.0, 0.0)
    return _dataset(series, rows, ends)


def _part_of(small: Candidate, large: Candidate, tau: float) -> bool:
    """Whether a departure is what a larger event, of another shape than is fitted, leaves beside it."""
    (low, high), (begin, end) = (
        (one.shape[0], one.shape[0] + float(np.exp(one.shape[1:3]).sum())) for one in (small, large)
    )
    near = low < end + 2.0 * tau and high > begin - 2.0 * tau
    return bool(near and abs(small.size) < _PART * abs(large.size))


def _along_flow(series: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the velocity along the mean flow, which noise does not bias, and its standard deviation."""
    vx, vy, sx, sy = (series[n].values.astype(np.float64) for n in ("vx", "vy", "vx_std", "vy_std"))
    good = np.isfinite(vx) & np.isfinite(vy)
    if not good.any():
        return np.full_like(vx, np.nan), np.full_like(vx, np.nan)
    flow = np.array([np.median(vx[good]), np.median(vy[good])])
    c, s = flow / np.hypot(*flow) if np.hypot(*flow) > 0.0 else np.array([1.0, 0.0])
    return c * vx + s * vy, np.hypot(c * sx, s * sy)


def _dataset(series: xr.Dataset, rows: list[tuple[Chain, float]], ends: tuple[float, float]) -> xr.Dataset:
    import xarray as xr

    limits = {name: np.full((len(rows), 3), np.nan) for name in ("onset", "peak", "end", "size")}
    open_end, open_begin = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for i, (chain, _) in enumerate(rows):
        for name, rows_of in limits.items():
            rows_of[i] = np.percentile(getattr(chain, name), _LIMITS)
        open_end[i] = limits["end"][i, 1] > ends[1]
        open_begin[i] = limits["onset"][i, 1] <= ends[0]
        if open_end[i]:
            limits["end"][i, 1] = np.nan
        if open_begin[i]:
            limits["onset"][i, 1] = np.nan
    variables: dict[str, Any] = {}
    for name, values in limits.items():
        for k, suffix in enumerate(("_lower", "", "_upper")):
            column = values[:, k] if name == "size" else _moments(values[:, k])
            words = {"long_name": f"{name} of the event" + (", limit of 95 %" if suffix else "")}
            variables[name + suffix] = (
                "event",
                column,
                words | ({"units": "m/yr"} if name == "size" else {}),
            )
    names = [KINDS[int(size > 0.0)] for size in limits["size"][:, 1]]
    variables["kind"] = ("event", np.array(names, dtype="U10"), {"long_name": "speed-up or slow-down"})
    gains = np.sqrt(np.array([gain for _, gain in rows], dtype=np.float64))
    variables["deviations"] = (
        "event",
        gains,
        {"long_name": "standard deviations by which it stands out", "units": "1"},
    )
    variables["ongoing"] = ("event", open_end, {"long_name": "its end is not seen"})
    variables["began_before"] = ("event", open_begin, {"long_name": "its onset is not seen"})
    place = {n: series[n] for n in ("x", "y", "lon", "lat") if n in series.coords and series[n].ndim == 0}
    known = ("cube_url", "cube_date_updated", "references", "itslive_core_version", "recipe")
    attributes = {name: series.attrs[name] for name in known if name in series.attrs}
    title = "Speed-ups and slow-downs of glacier ice, from ITS_LIVE image pairs"
    return xr.Dataset(variables, place, {"title": title, **attributes})


def _moments(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    whole = np.full(len(days), np.datetime64("NaT", "ns"))
    good = np.isfinite(days)
    whole[good] = (
        np.rint(days[good] * 86_400).astype("int64").astype("datetime64[s]").astype("datetime64[ns]")
    )
    return whole
