"""How fast something moves along a glacier: a front seen at two places, at two times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itslive_core.errors import SelectionError, SettingsError
from itslive_core.support.constants import DAYS_PER_YEAR

__all__ = ["FrontSpeed", "Sighting", "front_speed"]

_UNIFORM = 1.0 / np.sqrt(12.0)
"""Standard deviation of what lies anywhere within one cell, in cells."""


@dataclass(frozen=True)
class Sighting:
    """Where and when a front was seen.

    Parameters
    ----------
    time : float
        [days].
    distance : float
        Along the line [m].
    time_cell : float
        Days that cannot be told apart there: the cell of the series, or its temporal resolution where that is
        coarser.
    distance_cell : float
        The same of distance: the spacing of the points, or the size of a pixel where that is larger [m].
    """

    time: float
    distance: float
    time_cell: float
    distance_cell: float


@dataclass(frozen=True)
class FrontSpeed:
    """Speed of a front, positive with the distance.

    Parameters
    ----------
    speed, std : float
        With its standard deviation [m/yr].
    """

    speed: float
    std: float


def front_speed(first: Sighting, second: Sighting) -> FrontSpeed:
    """Give the propagation speed between two sightings of a front, with its error.

    Each sighting lies anywhere within its cell: its variances are cell^2 / 12 in time and in distance. With
    dx and dt the differences, c = dx / dt, and to first order (propagation of errors)

        var(c) = (var(x1) + var(x2) + c^2 (var(t1) + var(t2))) / dt^2.

    Whether both are the same front only a person can tell.

    Parameters
    ----------
    first, second : Sighting
        In any order.

    Returns
    -------
    FrontSpeed

    Raises
    ------
    SelectionError
        If both times cannot be told apart: their distance is not above its own standard deviation.
    SettingsError
        If a value is not finite, or a cell not above 0.
    """
    values = np.array([[one.time, one.distance, one.time_cell, one.distance_cell] for one in (first, second)])
    if not np.isfinite(values).all() or (values[:, 2:] <= 0.0).any():
        raise SettingsError("a sighting of a front needs finite numbers, and cells above 0")
    (days, metres), variances = values[1, :2] - values[0, :2], ((values[:, 2:] * _UNIFORM) ** 2).sum(axis=0)
    if abs(days) <= np.sqrt(variances[0]):
        raise SelectionError(
            f"both clicks are {abs(days):.0f} days apart, which cannot be told from none here: click places"
            " of the front that are further apart in time"
        )
    speed = metres / days
    std = np.sqrt(variances[1] + speed**2 * variances[0]) / abs(days)
    return FrontSpeed(float(speed * DAYS_PER_YEAR), float(std * DAYS_PER_YEAR))
