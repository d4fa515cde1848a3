"""Offsets between missions as unknowns beside the series, with a shrinking prior.

Pair j of mission m reads A_j v + b_m. The reference mission has b = 0; the others have normal priors of
standard deviation tau. Given offsets found before, d stands for what they leave of the data, and b for the
correction to them. With C the columns A'W 1_m and B their weights,

    [ N   C          ] [v]   [A'Wd]
    [ C'  B + kappa I] [b] = [1_m'Wd - kappa b_before],        kappa = s^2 / tau^2,

is solved by the Schur complement S = B + kappa I - C'N^-1 C: b = S^-1 (1_m'Wd - kappa b_before - C'v_0),
v = v_0 - H b with H = N^-1 C, v_0 = N^-1 A'Wd. The variance of v is diag(N^-1) + diag(H S^-1 H').
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import solve
from itslive_core.bands.assembly import project
from itslive_core.observations.missions import MISSIONS, missions_with_offset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.pixel_fit import PixelSystem

__all__ = ["Offsets", "offset_missions", "solve_offsets"]


class Offsets(NamedTuple):
    """Offsets of a missions, beside the series.

    Parameters
    ----------
    value : ndarray, shape (2, a)
        b [m/yr].
    inverse : ndarray, shape (a, a)
        S^-1: their covariance in units of the noise.
    extra : ndarray, shape (M,)
        diag(H S^-1 H'): what they add to the variance of the series, in the same units.
    """

    value: NDArray[np.float64]
    inverse: NDArray[np.float64]
    extra: NDArray[np.float64]


def offset_missions(mission: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the missions that get an offset, as `itslive_core.observations.missions` counts them.

    Parameters
    ----------
    mission : ndarray of int64, shape (n,)
    u : ndarray, shape (n,)
        Robust weights.

    Returns
    -------
    ndarray of int64, shape (a,)
        In ascending order.
    """
    counts = np.bincount(mission, u, minlength=len(MISSIONS))
    return np.array(missions_with_offset(counts), dtype=np.int64)


def solve_offsets(
    system: PixelSystem,
    mission: NDArray[np.int64],
    active: NDArray[np.int64],
    kappa: float,
    before: NDArray[np.float64],
) -> Offsets:
    """Solve for the offsets and correct the series.

    Parameters
    ----------
    system : PixelSystem
        Factorised and solved; its data are what the offsets found before leave. Its series becomes v.
    mission : ndarray of int64, shape (n,)
    active : ndarray of int64, shape (a,)
        The missions with an offset, at least one.
    kappa : float
        Precision of the prior in units of the weights.
    before : ndarray, shape (2, a)
        Offsets that were taken from the data.

    Returns
    -------
    Offsets
        Its values are corrections to those found before.
    """
    w, series = system.w, system.series
    columns, both = np.empty((len(active), series.shape[1])), np.empty_like(series)
    one = np.ones(len(w))
    for column, m in zip(columns, active, strict=True):
        project(system.spans, np.where(mission == m, w, 0.0), one, one, both)
        column[:] = both[0]
    h = columns.copy()
    solve(system.matrix, h)

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = np.bincount(mission, values, minlength=len(MISSIONS)).astype(np.float64)
        return total[active]

    schur = np.diag(sums(w) + kappa) - columns @ h.T
    right = np.stack([sums(w * system.vx), sums(w * system.vy)]) - kappa * before - series @ columns.T
    inverse = np.linalg.inv(schur).astype(np.float64, copy=False)
    value = right @ inverse.T
    series -= value @ h
    return Offsets(value, inverse, ((inverse @ h) * h).sum(axis=0))
