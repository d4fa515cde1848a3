"""What is left of a pixel that has learnt: its last equations, which any solver of band matrices may solve.

A pixel that knows what its neighbours share ends with a series and its variances for given hyperparameters.
On the CPU it solves for them itself; a device takes those of many pixels at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from itslive_core.bands.algebra import PAD, Band

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from itslive_core.bands.changes import ChangeRows
    from itslive_core.inversion.learning.border import BorderRows
    from itslive_core.inversion.learning.evidence import Known, Posterior, Prior

__all__ = ["Axes", "Finisher", "LastEquations", "LastSolution", "lower_band", "means_in_band"]


class Axes(NamedTuple):
    """The equations of both axes for one weighting of the pairs.

    Parameters
    ----------
    prior : Prior
    known : Known
    bands : ndarray, shape (2, M, b + 1)
        N of both axes, lower bands by rows: entry (j, j - b + t) at [j, t].
    """

    prior: Prior
    known: Known
    bands: NDArray[np.float64]


class LastEquations(NamedTuple):
    """The last equations of a pixel.

    Parameters
    ----------
    rows : ChangeRows
    border : BorderRows
    series : Axes
        With the weights of the pairs.
    told : Axes
        With their information, for the variances.
    """

    rows: ChangeRows
    border: BorderRows
    series: Axes
    told: Axes


class LastSolution(NamedTuple):
    """Their solution.

    Parameters
    ----------
    posterior : Posterior
        Its covariance is that of ``told``.
    moves : ndarray, shape (2, 3, M)
        See `itslive_core.inversion.learning.evidence.Evidence.moves`.
    variances : callable
        As `itslive_core.inversion.learning.evidence.Evidence.variances`, given groups alone.
    """

    posterior: Posterior
    moves: NDArray[np.float64]
    variances: Callable[[NDArray[Any]], NDArray[np.float64]]


class Finisher(Protocol):
    """Solves the last equations of pixels."""

    def finish(self, equations: Sequence[LastEquations], reach: int) -> list[LastSolution | None]:
        """Solve them.

        Parameters
        ----------
        equations : sequence of LastEquations
        reach : int
            As far from the diagonal the posterior covariance is needed.

        Returns
        -------
        list of LastSolution or None
            None where a matrix is not positive definite.
        """
        ...


def lower_band(matrix: Band) -> NDArray[np.float64]:
    """Give a band matrix as its lower band by rows.

    Parameters
    ----------
    matrix : Band
        M rows of half-bandwidth b, not factorised.

    Returns
    -------
    ndarray, shape (M, b + 1)
        Entry (j, j - b + t) at [j, t]; what there is none of is 0.
    """
    size, width = matrix.size, matrix.width
    stride = width + 1 + PAD
    # Entry (i, i + o) lies at i stride + o: one row up and one to the right is stride - 1 before.
    flat = np.concatenate([np.zeros(width * stride), matrix.entries[: size * stride]])
    begin = width * stride - width * (stride - 1)
    out = np.lib.stride_tricks.as_strided(
        flat[begin:], (size, width + 1), (stride * flat.itemsize, (stride - 1) * flat.itemsize)
    )
    return np.ascontiguousarray(out)


def means_in_band(band: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the variances of means of groups of neighbouring cells from a covariance in its band.

    Parameters
    ----------
    band : ndarray, shape (M, reach + 1)
        Lower band by rows, diagonal last, that holds every group.
    groups : ndarray of int64, shape (M,)
        Number of the mean of each cell, ascending from 0.

    Returns
    -------
    ndarray, shape (g,)
    """
    count = np.bincount(groups)
    total = np.bincount(groups, band[:, -1])
    for apart in range(1, min(band.shape[1], int(count.max()))):
        same = groups[apart:] == groups[:-apart]
        total += np.bincount(groups[apart:][same], 2.0 * band[apart:, -1 - apart][same], len(total))
    return total / count**2
