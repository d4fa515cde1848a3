"""The front along which the precision of the arrowhead model is eliminated: sizes, factor, inverse.

The unknowns are v_i and t_i of every cell and the states z_k of every knot; see `arrowhead` for what they
mean. Eliminated in the order of time, a cell leaves traces on few others: the next two v, the t of the cells
that spans reach from here, and the states of the knots before and after it. That is the front,

    v_(i+1), v_(i+2) | t_(i+1) .. t_(i+b) | z_k, z_(k+1) | right-hand sides,

and only its rows are ever touched. A knot is eliminated as soon as the last cell that lies between it and
the next one is: had it stood among the cells, every cell of a year would carry the states of a knot through
the band, which is four to ten times the work. Two cells are taken at a time, so that a row is loaded and
stored once for four.

States of knot k stand in the first half of the slow columns where k is even, in the second where it is odd.
Right-hand sides are columns like others that are never eliminated: what is left of them in the end is what
they have in common given the data, the matrix of the border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BEFORE",
    "OWN",
    "Factor",
    "Four",
    "Front",
    "Precision",
    "Selected",
    "blank_factor",
    "blank_selected",
    "front_of",
    "take_four",
]

_U = np.uint64
OWN = 4
"""Unknowns of a panel: v and t of two cells."""
BEFORE = 6
"""Columns of a panel before those of t: its own, and the next two v."""


class Front(NamedTuple):
    """Sizes of a front; made by `front_of`.

    Parameters
    ----------
    size, reach, states : int
        Number of cells M, largest distance of two cells of one pair b >= 1, states at a knot d.
    window, slow : int
        Columns for t, and for two knots and the right-hand sides; multiples of four.
    segments : ndarray of int64, shape (max(K, 2),)
        First cell of every segment, which lies between two of K knots, and M.
    """

    size: int
    reach: int
    states: int
    window: int
    slow: int
    segments: NDArray


def front_of(size: int, reach: int, states: int, sides: int, segments: NDArray[np.int64]) -> Front:
    """Give the sizes of a front, for a number of right-hand sides."""
    slow = 2 * states + sides
    return Front(size, reach, states, reach + -reach % 4, slow + -slow % 4, segments)


class Precision(NamedTuple):
    """The prior precision of (v, t, z); made by `prior_precision`.

    Parameters
    ----------
    rough : ndarray, shape (M, 3)
        Entries (v_i, v_i), (v_i, v_(i+1)), (v_i, v_(i+2)), without what t adds.
    apart : float
        1 / variance of the shared noise: what (v_i, v_i) and (t_i, t_i) have, and (v_i, t_i) less.
    cross : ndarray, shape (M, 3, d)
        Entries of v_i with the states of the knots k - 1, k, k + 1, for a cell between k and k + 1.
    own : ndarray, shape (K, d, d)
        Entries of the states of a knot.
    after : ndarray, shape (K, d, d)
        Entries of the states of a knot (rows) with those of the next one.
    """

    rough: NDArray
    apart: float
    cross: NDArray
    own: NDArray
    after: NDArray


class Factor(NamedTuple):
    """The rows of U, where U'U is the precision; made by `eliminate`.

    Parameters
    ----------
    near : ndarray, shape (panels, 4, 6 + window)
        Rows of a panel: its own columns, those of the next two v, those of t.
    slow : ndarray, shape (4 panels, slow)
        The same rows, in the slow columns.
    knots : ndarray, shape (K, d, d + 2 + window + slow)
        Rows of a knot: its own columns, those of the next two v, of t, slow ones.
    border : ndarray, shape (sides, sides)
        B' P^-1 B of the right-hand sides B.
    """

    near: NDArray
    slow: NDArray
    knots: NDArray
    border: NDArray


class Selected(NamedTuple):
    """Entries of Z, the inverse of the precision; made by `selected_inverse`.

    Parameters
    ----------
    data : ndarray, shape (M + 4, 2 reach + 1)
        (t_i, t_(i+o)) at [i, reach + o].
    rough : ndarray, shape (M, 3)
        (v_i, v_i), (v_i, v_(i+1)), (v_i, v_(i+2)).
    both : ndarray, shape (M,)
        (v_i, t_i).
    cross : ndarray, shape (M, 2, d)
        v_i with the states of the knots before and after it.
    back : ndarray, shape (K, 2, d)
        The first two v after knot k with the states of knot k - 1.
    own, after : ndarray, shape (K, d, d)
        States of a knot with themselves, and with those of the next one.
    """

    data: NDArray
    rough: NDArray
    both: NDArray
    cross: NDArray
    back: NDArray
    own: NDArray
    after: NDArray


def blank_factor(front: Front, knots: int, sides: int) -> Factor:
    """Make room for a factor."""
    panels, d = int(np.sum((np.diff(front.segments) + 1) // 2)), front.states
    return Factor(
        np.empty((panels, OWN, BEFORE + front.window)),
        np.empty((OWN * panels, front.slow)),
        np.zeros((knots, d, d + 2 + front.window + front.slow)),
        np.empty((sides, sides)),
    )


def blank_selected(front: Front, knots: int) -> Selected:
    """Make room for a selected inverse; what it has no entries for is 0."""
    size, d = front.size, front.states
    return Selected(
        np.zeros((size + 4, 2 * front.reach + 1)),
        np.zeros((size, 3)),
        np.empty(size),
        np.empty((size, 2, d)),
        np.zeros((knots, 2, d)),
        np.empty((knots, d, d)),
        np.zeros((knots, d, d)),
    )


class Four(NamedTuple):
    """Where four rows begin in a flat array, and how far they are apart."""

    begin: int
    stride: int


@kernel(fastmath=FAST, error_model="numpy")
def take_four(
    c: NDArray, factors: tuple[int, int, int], u: NDArray, rows: Four, x: NDArray, targets: Four, n: int
) -> None:  # pragma: no cover - compiled
    """Take from four rows of x four rows of u times 4 x 4 factors: n columns, each loaded once for four.

    Parameters
    ----------
    c : ndarray, flat
    factors : tuple of int
        Where the factors begin in c, the distance of those of two targets, and of two rows.
    u, x : ndarray, flat
    rows, targets : Four
    n : int
    """
    at, across, down = factors
    b0, b1, b2, b3 = _U(at), _U(at + across), _U(at + 2 * across), _U(at + 3 * across)
    d1, d2, d3 = _U(down), _U(2 * down), _U(3 * down)
    a00, a01, a02, a03 = c[b0], c[b0 + d1], c[b0 + d2], c[b0 + d3]
    a10, a11, a12, a13 = c[b1], c[b1 + d1], c[b1 + d2], c[b1 + d3]
    a20, a21, a22, a23 = c[b2], c[b2 + d1], c[b2 + d2], c[b2 + d3]
    a30, a31, a32, a33 = c[b3], c[b3 + d1], c[b3 + d2], c[b3 + d3]
    w0, step = _U(rows.begin), _U(rows.stride)
    w1, w2, w3 = w0 + step, w0 + step + step, w0 + step + step + step
    y0, step = _U(targets.begin), _U(targets.stride)
    y1, y2, y3 = y0 + step, y0 + step + step, y0 + step + step + step
    for o in range(_U(n)):
        u0, u1, u2, u3 = u[w0 + o], u[w1 + o], u[w2 + o], u[w3 + o]
        x[y0 + o] -= a00 * u0 + a01 * u1 + a02 * u2 + a03 * u3
        x[y1 + o] -= a10 * u0 + a11 * u1 + a12 * u2 + a13 * u3
        x[y2 + o] -= a20 * u0 + a21 * u1 + a22 * u2 + a23 * u3
        x[y3 + o] -= a30 * u0 + a31 * u1 + a32 * u2 + a33 * u3
