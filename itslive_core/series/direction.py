"""The direction of flow, clockwise from true north, and how well it is known.

vx and vy lie along the axes of the map projection. North of the map is not true north: they differ by the
convergence of the projection at the place, by degrees in a UTM zone and by any angle around a pole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from itslive_core.places.geodesy import LONLAT, transformer

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_AZIMUTH_STD", "azimuth_and_std", "north_of_map"]

MOST_AZIMUTH_STD = 360.0 / np.sqrt(12.0)
"""Standard deviation of a direction of which nothing is known, uniform on the circle [degree]."""

_STEP = 100.0
"""Length on the map of the line whose azimuth is taken [m]: long against rounding, short against curves."""


def north_of_map(crs: Any, x: NDArray | float, y: NDArray | float) -> NDArray[np.float64]:
    """Give the true azimuth of the y axis of a map, its grid north, at places.

    It is the azimuth of the geodesic (Karney, 2013, doi:10.1007/s00190-012-0578-z) along a short line up the
    map. The maps of ITS_LIVE, UTM and polar stereographic, are conformal: they turn all directions at a
    place by this one angle.

    Parameters
    ----------
    crs
        EPSG number, text, or anything that pyproj understands; None or 0: not known.
    x, y : ndarray or float
        Places on the map [m], of shapes that go together.

    Returns
    -------
    ndarray
        [degree]; NaN where CRS or place are not known.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    out = np.full(x.shape, np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    if not crs or not known.any():
        return out
    to_lonlat = transformer(crs, LONLAT)
    ends = [to_lonlat.transform(x[known], y[known] + step) for step in (-_STEP / 2, _STEP / 2)]
    forward, back, _ = pyproj.Geod(ellps="WGS84").inv(*ends[0], *ends[1])
    # Between both ends the geodesic turns against the meridians: its azimuth in the middle is that between
    # both.
    forward, onward = np.asarray(forward), np.asarray(back) + 180.0
    turned = (onward - forward + 180.0) % 360.0 - 180.0
    out[known] = forward + turned / 2
    return out


def azimuth_and_std(
    vx: NDArray,
    vy: NDArray,
    vx_std: NDArray | None,
    vy_std: NDArray | None,
    v_std: NDArray | None,
    north: NDArray | float,
) -> tuple[NDArray, NDArray | None]:
    """Give the direction of flow, clockwise from true north, and its standard deviation.

    To first order the direction is uncertain by the standard deviation across the flow over the speed. The
    variances along and across the flow add up to those along x and y, whatever the correlation of both:

        azimuth_std = sqrt(vx_std^2 + vy_std^2 - v_std^2) / v,    at most that of any direction at all.

    Parameters
    ----------
    vx, vy : ndarray
        Velocity along the axes of the map [m/yr].
    vx_std, vy_std : ndarray or None
        Their standard deviations [m/yr].
    v_std : ndarray or None
        Standard deviation along the flow [m/yr].
    north : ndarray or float
        True azimuth of the y axis, from `north_of_map` [degree].

    Returns
    -------
    azimuth : ndarray
        From 0 to 360 [degree]; NaN without a velocity, where it is 0, or where north is not known.
    azimuth_std : ndarray or None
        [degree]; not above `MOST_AZIMUTH_STD`; NaN where the azimuth is.
    """
    moves = ((vx != 0.0) | (vy != 0.0)) & np.isfinite(vx) & np.isfinite(vy)
    azimuth = np.full(moves.shape, np.nan)
    turned = np.degrees(np.arctan2(vx[moves], vy[moves])) + np.broadcast_to(north, moves.shape)[moves]
    azimuth[moves] = turned % 360.0
    if vx_std is None or vy_std is None or v_std is None:
        return azimuth, None
    across = np.sqrt(np.maximum(vx_std**2 + vy_std**2 - v_std**2, 0.0))
    speed = np.hypot(vx, vy)
    std = np.degrees(np.divide(across, speed, out=np.full(azimuth.shape, np.inf), where=moves))
    return azimuth, np.where(np.isfinite(azimuth), np.minimum(std, MOST_AZIMUTH_STD), np.nan)
