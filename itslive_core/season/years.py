"""The single years of one pixel's season."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.season.algebra import (
    BORDER,
    Joint,
    Normal,
    assemble_season,
    eliminate,
    load,
    load_velocity,
)
from itslive_core.season.offsets import MissionSums, eliminate_offsets, load_offsets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.season.fit import SeasonFacts
    from itslive_core.season.kernels import SeasonData

__all__ = ["year_values"]


def year_values(
    data: SeasonData,
    years: int,
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    weights: NDArray[np.float64],
    facts: SeasonFacts,
    offset: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the single years of one pixel, given what `itslive_core.season.fit` found.

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
    facts : SeasonFacts
        Found at the pixel.
    offset : ndarray, shape (2, missions)
        Of the missions [m/yr].

    Returns
    -------
    values : ndarray, shape (years, 3)
        Mean, sine and cosine along the flow in each year [m/yr].
    covariances : ndarray, shape (years, 3, 3)
        Of these [m^2/yr^2]; NaN if the equations cannot be solved.
    """
    design, pair = data.design, np.arange(len(vx), dtype=np.int32)
    normal = Normal.blank(3 * years + 1, max(3, int(np.diff(design.begin).max()) - 1))
    missions = np.flatnonzero(offset.any(axis=0))
    sums = MissionSums.blank(missions, normal.size)
    joint = Joint.blank(normal, 2 + 3 * years + len(missions))
    velocity = vx - offset[0, data.mission], vy - offset[1, data.mission]
    assemble_season(design, pair, 0, weights, *velocity, normal)
    sums.fill(design, pair, 0, data.mission, weights, velocity)
    log_precision = np.array([facts.precision_background, 0.0, 0.0, facts.precision_overtones])
    # The change between years as it is known after integration, not only its most probable value.
    change = np.array([facts.amplitude_change, facts.phase_change])
    log_precision[1:3] = np.clip(np.log10(facts.scatter / change**2), -6.0, 6.0)
    load(normal, log_precision, np.array([facts.axis_sine, facts.axis_cosine]), joint)
    load_velocity(normal, joint)
    rows = joint.columns
    for y in range(years):
        column = 2 + 3 * y
        rows[3 * y, column] = rows[3 * y + 3, column] = 0.5
        rows[3 * y + 1, column + 1] = rows[3 * y + 2, column + 2] = 1.0
    load_offsets(sums, facts.offset_precision, offset[:, missions], joint)
    determinant = eliminate(joint) + eliminate_offsets(joint, len(missions))
    along = np.array([facts.along_x, facts.along_y])
    upper = -joint.corner[BORDER:, BORDER:]
    left = np.triu(upper) + np.triu(upper, 1).T
    values = (along @ left[:2, 2 : 2 + 3 * years]).reshape(years, 3)
    covariances = np.empty((years, 3, 3))
    for y in range(years):
        covariances[y] = facts.scatter * left[2 + 3 * y : 5 + 3 * y, 2 + 3 * y : 5 + 3 * y]
    covariances[:, 0, 0] += facts.stray
    if np.isnan(determinant):
        covariances[:] = np.nan
    return values, covariances
