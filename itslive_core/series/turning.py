"""Vectors on another map: by which angle they are turned, and their errors with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj

from itslive_core.series.direction import north_of_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["is_lonlat", "north_of_axes", "turn_between", "turned"]


def turned(arrays: Mapping[str, NDArray], turn: NDArray[np.float64] | float) -> dict[str, NDArray]:
    """Turn vectors, and the covariance of their errors, taken as independent of each other.

    All else, such as the speed, its standard deviation and limits, and the azimuth from true north, does not
    change when axes turn.

    Parameters
    ----------
    arrays : mapping of ndarray
        Of these ``vx``, ``vy``, ``vx_std`` and ``vy_std`` are looked at.
    turn : ndarray or float
        From `turn_between` [degree].

    Returns
    -------
    dict of ndarray of float64
        Those of them that come in twos; standard deviations are the roots of the diagonal.
    """
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    out: dict[str, NDArray] = {}
    if "vx" in arrays and "vy" in arrays:
        x, y = (arrays[name].astype(np.float64) for name in ("vx", "vy"))
        out |= {"vx": cos * x + sin * y, "vy": cos * y - sin * x}
    if "vx_std" in arrays and "vy_std" in arrays:
        x, y = (arrays[name].astype(np.float64) for name in ("vx_std", "vy_std"))
        out |= {"vx_std": np.hypot(cos * x, sin * y), "vy_std": np.hypot(cos * y, sin * x)}
    return out


def turn_between(
    source: object, at: tuple[NDArray, NDArray], target: object, to: tuple[NDArray, NDArray]
) -> NDArray[np.float64]:
    """Give the angle by which vectors are turned, clockwise, from the axes of one map to those of another.

    Parameters
    ----------
    source, target
        The maps.
    at, to : (ndarray, ndarray), shape (n,)
        x and y of the same places on each [m], or longitude and latitude [degrees].

    Returns
    -------
    ndarray, shape (n,)
        [degree].
    """
    return north_of_axes(source, *at) - north_of_axes(target, *to)


def north_of_axes(crs: object, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Give the azimuth of the second axis, as `north_of_map`; in degrees that is north itself."""
    return np.zeros(np.shape(x)) if is_lonlat(crs) else north_of_map(crs, x, y)


def is_lonlat(crs: object) -> bool:
    """Tell whether the axes of a CRS are longitude and latitude."""
    return bool(pyproj.CRS.from_user_input(crs).is_geographic)
