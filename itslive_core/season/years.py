"""The single years of one pixel's season."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.season.algebra import BORDER, OVERTONES, Normal, assemble, eliminate, load
from itslive_core.season.fit import FACTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.season.fit import SeasonData

__all__ = ["year_values"]


def year_values(
    data: SeasonData,
    years: int,
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    weights: NDArray[np.float64],
    facts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the single years of one pixel, given what `season_fit.fit_pixels` found.

    Parameters
    ----------
    data : SeasonData
        Rows of the pixel's n pairs, and of no others.
    years : int
        Number of years that they touch.
    vx, vy : ndarray of float64, shape (n,)
        Velocity [m/yr].
    weights : ndarray, shape (n,)
        With robust weights, over the inflation.
    facts : ndarray, shape (len(FACTS),)
        See `season_fit.fit_pixels`.

    Returns
    -------
    values : ndarray, shape (years, 3)
        Mean, sine and cosine along the flow in each year [m/yr].
    covariances : ndarray, shape (years, 3, 3)
        Of these [m^2/yr^2]; NaN if the equations cannot be solved.
    """
    fact = dict(zip(FACTS, facts.tolist(), strict=True))
    size, passive = 3 * years + 1, 2 + 3 * years
    width = max(3, int(np.diff(data.begin).max()) - 1)
    normal = Normal(
        np.empty(size * (width + 1)), np.empty((2, size)), np.empty((size, OVERTONES)),
        np.empty((OVERTONES, OVERTONES + 2)), np.empty(3), size, width, years,
    )  # fmt: skip
    pair = np.arange(len(vx), dtype=np.int32)
    assemble(data.first, data.begin, data.coefficient, data.overtone, pair, 0, weights, vx, vy, normal)
    log_precision = np.array([fact["precision_background"], 0.0, 0.0, fact["precision_overtones"]])
    # The change between years as it is known after integration, not only its most probable value.
    change = np.array([fact["amplitude_change"], fact["phase_change"]])
    log_precision[1:3] = np.clip(np.log10(fact["scatter"] / change**2), -6.0, 6.0)
    at = width + 1 + BORDER
    rows, corner = np.empty((size, at + passive)), np.empty((BORDER + passive, BORDER + passive))
    load(
        normal,
        log_precision,
        np.array([fact["axis_sine"], fact["axis_cosine"]]),
        passive,
        rows.ravel(),
        corner,
    )
    rows[:, at : at + 2] = normal.rhs.T
    corner[3:BORDER, BORDER : BORDER + 2] = normal.corner[:, OVERTONES:]
    for y in range(years):
        column = at + 2 + 3 * y
        rows[3 * y, column] = rows[3 * y + 3, column] = 0.5
        rows[3 * y + 1, column + 1] = rows[3 * y + 2, column + 2] = 1.0
    determinant = eliminate(size, width, passive, rows.ravel(), corner)
    along = np.array([fact["along_x"], fact["along_y"]])
    left = -corner[BORDER:, BORDER:]
    values = (along @ left[:2, 2:]).reshape(years, 3)
    covariances = np.empty((years, 3, 3))
    for y in range(years):
        upper = np.triu(left[2 + 3 * y : 5 + 3 * y, 2 + 3 * y : 5 + 3 * y])
        covariances[y] = fact["scatter"] * (upper + np.triu(upper, 1).T)
    covariances[:, 0, 0] += fact["stray"]
    if np.isnan(determinant):
        covariances[:] = np.nan
    return values, covariances
