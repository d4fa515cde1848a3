"""Factor, solutions and selected inverse of the precision of the arrowhead model, compiled.

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

from itslive_core.bands.algebra import FAST, PAD
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Factor",
    "Front",
    "Precision",
    "Selected",
    "blank_factor",
    "blank_selected",
    "eliminate",
    "front_of",
    "log_determinant",
    "selected_inverse",
    "substitute",
]

_U = np.uint64
_OWN = 4
"""Unknowns of a panel: v and t of two cells."""
_BEFORE = 6
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


class _Rows(NamedTuple):
    """Rows of the precision that are not eliminated yet, as what was eliminated has left them.

    Parameters
    ----------
    data : ndarray, flat
        (t_i, t_(i+o)) at i * stride + o.
    data_slow : ndarray, shape (M + 2, slow)
        t_i with slow columns.
    rough : ndarray, shape (M + 4, 3)
    both : ndarray, shape (M + 4, 2 + window)
        (v_i, t_(i-1+o)) at [i, o].
    rough_slow : ndarray, shape (M + 4, slow)
    knots : ndarray, shape (slow, slow)
        Slow columns with themselves, upper triangle of each half.
    """

    data: NDArray
    data_slow: NDArray
    rough: NDArray
    both: NDArray
    rough_slow: NDArray
    knots: NDArray


class _Four(NamedTuple):
    """Where four rows begin in a flat array, and how far they are apart."""

    begin: int
    stride: int


@kernel(fastmath=FAST, error_model="numpy")
def _take_four(
    c: NDArray, factors: tuple[int, int, int], u: NDArray, rows: _Four, x: NDArray, targets: _Four, n: int
) -> None:  # pragma: no cover - compiled
    """Take from four rows of x four rows of u times 4 x 4 factors: n columns, each loaded once for four.

    Parameters
    ----------
    c : ndarray, flat
    factors : tuple of int
        Where the factors begin in c, the distance of those of two targets, and of two rows.
    u, x : ndarray, flat
    rows, targets : _Four
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


@kernel(error_model="numpy")
def _enter(front: Front, prior: Precision, rows: _Rows, k: int) -> None:  # pragma: no cover - compiled
    """Put the states of a knot into the columns that one eliminated before has left."""
    d, seg, last = front.states, front.segments, len(front.segments) - 2
    at = (k % 2) * d
    other = d - at
    # Cells of the segments before and after the knot, and the first two beyond.
    for segment in range(max(k - 1, 0), min(k + 1, last) + 1):
        end = min(seg[segment] + 2, seg[segment + 1]) if segment == k + 1 else seg[segment + 1]
        for i in range(seg[segment], end):
            for a in range(d):
                rows.rough_slow[i, at + a] += prior.cross[i, k - segment + 1, a]
    for a in range(d):
        for b in range(d):
            rows.knots[at + a, at + b] = prior.own[k, a, b]
            value = prior.after[k - 1, b, a] if k > 0 else 0.0
            rows.knots[at + a, other + b] = value
            rows.knots[other + b, at + a] = value
        for b in range(2 * d, rows.knots.shape[0]):
            rows.knots[at + a, b] = 0.0
            rows.knots[b, at + a] = 0.0


@kernel(fastmath=FAST, error_model="numpy")
def _panel(
    front: Front, rows: _Rows, i: int, group: int, near: NDArray, slow: NDArray
) -> bool:  # pragma: no cover - compiled
    """Eliminate v and t of one or two cells; near and slow receive their rows of U, flat."""
    size, reach, window, wide = front.size, front.reach, front.window, front.slow
    length, stride = _BEFORE + window, reach + 1 + PAD
    data, both = rows.data, rows.both
    near[:] = 0.0
    end = i + group
    count = min(reach, size - end)
    across = rows.both.shape[1]
    both_flat, rough_slow, data_slow = both.reshape(-1), rows.rough_slow.reshape(-1), rows.data_slow.reshape(-1)
    for g in range(group):
        v, t, at = 2 * g * length, (2 * g + 1) * length, (i + g) * stride
        near[v + 2 * g] = rows.rough[i + g, 0]
        near[v + 2 * g + 1] = both[i + g, 1]
        near[t + 2 * g + 1] = data[at]
        # As far as spans reach from this cell; the next one, if there is one, is an own column.
        reached = _U(max(min(count, reach - group + g + 1), 0))
        target, source = _U(v + _BEFORE), _U((i + g) * across + group - g + 1)
        for q in range(reached):
            near[target + q] = both_flat[source + q]
        target, source = _U(t + _BEFORE), _U(at + group - g)
        for q in range(reached):
            near[target + q] = data[source + q]
        target, source = _U(2 * g * wide), _U((i + g) * wide)
        for s in range(_U(wide)):
            slow[target + s] = rough_slow[source + s]
        target = _U((2 * g + 1) * wide)
        for s in range(_U(wide)):
            slow[target + s] = data_slow[source + s]
    if group == 2:
        near[2] = rows.rough[i, 1]
        near[3] = both[i, 2]
        near[4] = rows.rough[i, 2]
        near[length + 2] = both[i + 1, 0]
        near[length + 3] = data[i * stride + 1]
        near[2 * length + 4] = rows.rough[i + 1, 1]
        near[2 * length + 5] = rows.rough[i + 1, 2]
    else:
        near[4] = rows.rough[i, 1]
        near[5] = rows.rough[i, 2]
        near[length + 4] = both[i + 1, 0]
        near[2 * length + 2] = near[3 * length + 3] = 1.0
        for s in range(2 * wide, 4 * wide):
            slow[s] = 0.0
    used = _U(_BEFORE + count)
    for r in range(2 * group):
        row, slow_row = _U(r * length), _U(r * wide)
        if not near[row + _U(r)] > 0.0:
            return False
        pivot = np.sqrt(near[row + _U(r)])
        reciprocal = 1.0 / pivot
        for o in range(used):
            near[row + o] *= reciprocal
        for o in range(_U(wide)):
            slow[slow_row + o] *= reciprocal
        near[row + _U(r)] = pivot
        for other in range(r + 1, 2 * group):
            c = near[row + _U(other)]
            target, slow_target = _U(other * length), _U(other * wide)
            for o in range(used):
                near[target + o] -= c * near[row + o]
            for o in range(_U(wide)):
                slow[slow_target + o] -= c * slow[slow_row + o]
    return True


@kernel(fastmath=FAST, error_model="numpy")
def _spread(
    front: Front, rows: _Rows, end: int, at: int, u: NDArray, length: int, slow: NDArray
) -> None:  # pragma: no cover - compiled
    """Take four rows of U off the rows of t, v and slow columns that follow.

    Parameters
    ----------
    front : Front
    rows : _Rows
    end : int
        First cell that is left.
    at : int
        Column of the next v in `u`; the one after it and those of t follow.
    u, slow : ndarray, flat
        Four rows of U, of `length` and of `front.slow` columns.
    length : int
    """
    size, reach, wide = front.size, front.reach, _U(front.slow)
    stride = reach + 1 + PAD
    count = min(reach, size - end)
    u0 = _U(at)
    u1, u2, u3 = _U(at + length), _U(at + 2 * length), _U(at + 3 * length)
    s1, s2, s3 = wide, wide + wide, wide + wide + wide
    data, data_slow = rows.data, rows.data_slow.reshape(-1)
    for q in range(0, count, 4):
        factors = at + 2 + q, 1, length
        # Left of its diagonal a row meets the padding of the one before, which nobody reads.
        _take_four(
            u, factors, u, _Four(at + 2 + q, length), data, _Four((end + q) * stride, stride - 1), count - q
        )
        _take_four(
            u, factors, slow, _Four(0, front.slow), data_slow, _Four((end + q) * front.slow, front.slow), front.slow
        )
    both, rough_slow, across = rows.both.reshape(-1), rows.rough_slow.reshape(-1), rows.both.shape[1]
    for v in range(2):
        c0, c1, c2, c3 = u[u0 + _U(v)], u[u1 + _U(v)], u[u2 + _U(v)], u[u3 + _U(v)]
        for w in range(v, 2):
            o0 = _U(w)
            rows.rough[end + v, w - v] -= (
                c0 * u[u0 + o0] + c1 * u[u1 + o0] + c2 * u[u2 + o0] + c3 * u[u3 + o0]
            )
        # Column o of `both` of v_(end + v) is that of t_(end + v - 1 + o).
        target = _U((end + v) * across + 1 - v)
        r0, r1, r2, r3 = u0 + _U(2), u1 + _U(2), u2 + _U(2), u3 + _U(2)
        for o in range(_U(count)):
            both[target + o] -= c0 * u[r0 + o] + c1 * u[r1 + o] + c2 * u[r2 + o] + c3 * u[r3 + o]
        target = _U(end + v) * wide
        for s in range(wide):
            rough_slow[target + s] -= (
                c0 * slow[s] + c1 * slow[s1 + s] + c2 * slow[s2 + s] + c3 * slow[s3 + s]
            )
    knots = rows.knots.reshape(-1)
    for a in range(0, front.slow, 4):
        _take_four(
            slow, (a, 1, front.slow), slow, _Four(a, front.slow), knots, _Four(a * front.slow + a, front.slow), front.slow - a
        )


@kernel(fastmath=FAST, error_model="numpy")
def _knot(front: Front, rows: _Rows, k: int, end: int, u: NDArray) -> bool:  # pragma: no cover - compiled
    """Eliminate the states of a knot, after all cells before `end`; u, (d, .), receives their rows of U."""
    d, size, reach, window, wide = front.states, front.size, front.reach, front.window, front.slow
    at = (k % 2) * d
    count = min(reach, size - end)
    length = d + 2 + window
    padded = d + -d % 4
    near, slow = np.zeros(padded * length), np.zeros(padded * wide)
    for a in range(d):
        for b in range(d):
            near[a * length + b] = rows.knots[at + a, at + b]
        for v in range(2):
            near[a * length + d + v] = rows.rough_slow[end + v, at + a]
        for q in range(count):
            near[a * length + d + 2 + q] = rows.data_slow[end + q, at + a]
        for s in range(wide):
            slow[a * wide + s] = rows.knots[at + a, s] if s >= at else rows.knots[s, at + a]
        for b in range(d):
            slow[a * wide + at + b] = 0.0
    for r in range(d):
        row, slow_row = _U(r * length), _U(r * wide)
        if not near[row + _U(r)] > 0.0:
            return False
        pivot = np.sqrt(near[row + _U(r)])
        reciprocal = 1.0 / pivot
        for o in range(_U(length)):
            near[row + o] *= reciprocal
        for o in range(_U(wide)):
            slow[slow_row + o] *= reciprocal
        near[row + _U(r)] = pivot
        for other in range(r + 1, d):
            c = near[row + _U(other)]
            target, slow_target = _U(other * length), _U(other * wide)
            for o in range(_U(length)):
                near[target + o] -= c * near[row + o]
            for o in range(_U(wide)):
                slow[slow_target + o] -= c * slow[slow_row + o]
    for a in range(d):
        for o in range(length):
            u[a, o] = near[a * length + o]
        for s in range(wide):
            u[a, length + s] = slow[a * wide + s]
    # Nothing is left of this knot in the columns that the next but one takes.
    for a in range(at, at + d):
        for s in range(wide):
            rows.knots[a, s] = rows.knots[s, a] = 0.0
    for j in range(end, end + 2):
        for a in range(d):
            rows.rough_slow[j, at + a] = 0.0
    for j in range(end, end + count):
        for a in range(d):
            rows.data_slow[j, at + a] = 0.0
    for r in range(0, padded, 4):
        _spread(front, rows, end, d, near[r * length :], length, slow[r * wide :])
    return True


@kernel(error_model="numpy")
def eliminate(
    front: Front, prior: Precision, normal: NDArray, sides: NDArray, factor: Factor
) -> bool:  # pragma: no cover - compiled
    """Factorise the precision of the posterior, and solve half for the right-hand sides.

    Parameters
    ----------
    front : Front
    prior : Precision
    normal : ndarray, flat
        A'WA in the band storage of half-bandwidth `reach`, with room for four rows more; is overwritten.
    sides : ndarray, shape (sides, M)
        Right-hand sides, which touch t only.
    factor : Factor
        Receives the rows of U.

    Returns
    -------
    bool
        False if the precision is not positive definite.
    """
    size, d, wide, window = front.size, front.states, front.slow, front.window
    stride = front.reach + 1 + PAD
    rows = _Rows(
        normal,
        np.zeros((size + 4, wide)),
        np.zeros((size + 4, 3)),
        np.zeros((size + 4, 2 + window)),
        np.zeros((size + 4, wide)),
        np.zeros((wide, wide)),
    )
    for i in range(size):
        normal[i * stride] += prior.apart
        rows.rough[i, 0] = prior.rough[i, 0] + prior.apart
        rows.rough[i, 1] = prior.rough[i, 1]
        rows.rough[i, 2] = prior.rough[i, 2]
        rows.both[i, 1] = -prior.apart
        for c in range(len(sides)):
            rows.data_slow[i, 2 * d + c] = sides[c, i]
    knots = len(prior.own)
    for k in range(min(knots, 2)):
        _enter(front, prior, rows, k)
    seg, at = front.segments, 0
    near, slow = factor.near.reshape(-1), factor.slow.reshape(-1)
    length = _OWN * (_BEFORE + window)
    for k in range(len(seg) - 1):
        i = seg[k]
        while i < seg[k + 1]:
            group = min(2, seg[k + 1] - i)
            own = near[at * length : (at + 1) * length]
            own_slow = slow[at * _OWN * wide : (at + 1) * _OWN * wide]
            if not _panel(front, rows, i, group, own, own_slow):
                return False
            _spread(front, rows, i + group, _OWN, own, _BEFORE + window, own_slow)
            i += group
            at += 1
        if d > 0:
            if not _knot(front, rows, k, i, factor.knots[k]):
                return False
            if k + 2 < knots:
                _enter(front, prior, rows, k + 2)
    if d > 0 and not _knot(front, rows, knots - 1, size, factor.knots[knots - 1]):
        return False
    for a in range(len(sides)):
        for b in range(len(sides)):
            factor.border[a, b] = -rows.knots[2 * d + min(a, b), 2 * d + max(a, b)]
    return True


def blank_factor(front: Front, knots: int, sides: int) -> Factor:
    """Make room for a factor."""
    panels, d = int(np.sum((np.diff(front.segments) + 1) // 2)), front.states
    return Factor(
        np.empty((panels, _OWN, _BEFORE + front.window)),
        np.empty((_OWN * panels, front.slow)),
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


@kernel(error_model="numpy")
def log_determinant(factor: Factor) -> float:  # pragma: no cover - compiled
    """Give log |U'U|."""
    total = 0.0
    for p in range(factor.near.shape[0]):
        total += np.log(factor.near[p, 0, 0] * factor.near[p, 1, 1])
        total += np.log(factor.near[p, 2, 2] * factor.near[p, 3, 3])
    for k in range(factor.knots.shape[0]):
        for a in range(factor.knots.shape[1]):
            total += np.log(factor.knots[k, a, a])
    return 2.0 * total


@kernel(fastmath=FAST, error_model="numpy")
def substitute(
    front: Front, factor: Factor, v: NDArray, t: NDArray, z: NDArray
) -> None:  # pragma: no cover - compiled
    """Solve for the right-hand sides that were eliminated with the precision.

    Parameters
    ----------
    front : Front
    factor : Factor
    v, t : ndarray, shape (sides, >= M + 2), (sides, M)
        Receive the solutions; v is 0 behind its M cells.
    z : ndarray, shape (sides, K, d)
        Receives the solutions.
    """
    size, reach, d, seg = front.size, front.reach, front.states, front.segments
    length, at_slow = _BEFORE + front.window, d + 2 + front.window
    knots, near = factor.knots, factor.near
    values, states = np.empty(_OWN), np.zeros(2 * d)
    for c in range(len(v)):
        v_c, t_c = v[c], t[c]
        v_c[size:] = 0.0
        p = factor.near.shape[0] - 1
        for k in range(len(seg) - 2 if d == 0 else len(seg) - 1, -1, -1):
            end = seg[min(k + 1, len(seg) - 1)]
            at = (k % 2) * d
            other = d - at
            for r in range(d - 1, -1, -1):
                row = knots[k, r]
                total = row[at_slow + 2 * d + c] - row[d] * v_c[end] - row[d + 1] * v_c[end + 1]
                for b in range(r + 1, d):
                    total -= row[b] * states[at + b]
                for q in range(min(reach, size - end)):
                    total -= row[d + 2 + q] * t_c[end + q]
                for b in range(d):
                    total -= row[at_slow + other + b] * states[other + b]
                states[at + r] = total / row[r]
                z[c, k, r] = states[at + r]
            if k == len(seg) - 1:
                continue
            for i in range(seg[k] + (seg[k + 1] - seg[k] - 1) // 2 * 2, seg[k] - 1, -2):
                group = min(2, seg[k + 1] - i)
                end = i + group
                u = near[p].reshape(-1)
                s = factor.slow[_OWN * p : _OWN * p + _OWN]
                n1, n2, n3 = _U(length), _U(2 * length), _U(3 * length)
                x0 = s[0, 2 * d + c] - u[4] * v_c[end] - u[5] * v_c[end + 1]
                x1 = s[1, 2 * d + c] - u[n1 + _U(4)] * v_c[end] - u[n1 + _U(5)] * v_c[end + 1]
                x2 = s[2, 2 * d + c] - u[n2 + _U(4)] * v_c[end] - u[n2 + _U(5)] * v_c[end + 1]
                x3 = s[3, 2 * d + c] - u[n3 + _U(4)] * v_c[end] - u[n3 + _U(5)] * v_c[end + 1]
                e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
                first = _U(end)
                for q in range(_U(min(reach, size - end))):
                    value, o = t_c[first + q], q + _U(_BEFORE)
                    e0 += u[o] * value
                    e1 += u[n1 + o] * value
                    e2 += u[n2 + o] * value
                    e3 += u[n3 + o] * value
                flat, w1 = s.reshape(-1), _U(front.slow)
                w2, w3 = w1 + w1, w1 + w1 + w1
                for a in range(_U(2 * d)):
                    value = states[a]
                    e0 += flat[a] * value
                    e1 += flat[w1 + a] * value
                    e2 += flat[w2 + a] * value
                    e3 += flat[w3 + a] * value
                values[3] = (x3 - e3) / u[n3 + _U(3)]
                values[2] = (x2 - e2 - u[n2 + _U(3)] * values[3]) / u[n2 + _U(2)]
                values[1] = (x1 - e1 - u[n1 + _U(2)] * values[2] - u[n1 + _U(3)] * values[3]) / u[n1 + _U(1)]
                values[0] = (
                    x0 - e0 - u[1] * values[1] - u[2] * values[2] - u[3] * values[3]
                ) / u[0]
                for g in range(group):
                    v_c[i + g], t_c[i + g] = values[2 * g], values[2 * g + 1]
                p -= 1


class _Around(NamedTuple):
    """Entries of Z of what is in the front.

    Parameters
    ----------
    data : ndarray, flat
        As `Selected.data`.
    data_slow : ndarray, (M + 4) slow
        t_i with the states of two knots.
    rough : ndarray, shape (2, 2)
        The next two v with themselves.
    both : ndarray, 2 window
        The next two v with the next t.
    rough_slow : ndarray, 2 slow
    knots : ndarray, slow slow
    """

    data: NDArray
    data_slow: NDArray
    rough: NDArray
    both: NDArray
    rough_slow: NDArray
    knots: NDArray


@kernel(fastmath=FAST, error_model="numpy")
def _times_front(
    front: Front, around: _Around, end: int, near: NDArray, slow: NDArray, x_near: NDArray, x_slow: NDArray
) -> None:  # pragma: no cover - compiled
    """Multiply four rows by the front of Z.

    Parameters
    ----------
    front : Front
    around : _Around
    end : int
        First cell of the front.
    near, slow : ndarray, 4 (2 + window), 4 slow
        Factors: those of the next two v and of t, 0 behind them; those of the slow columns.
    x_near, x_slow : ndarray
        Receive the products, times -1, of the same shapes.
    """
    reach, wide, used = front.reach, front.slow, 2 * front.states
    count, length, full = min(reach, front.size - end), 2 + front.window, 2 * reach + 1
    x_near[:] = 0.0
    x_slow[:] = 0.0
    data, data_slow, knots = around.data, around.data_slow, around.knots
    of_near, of_slow = _Four(2, length), _Four(0, wide)
    for a in range(0, used, 4):
        _take_four(slow, (a, wide, 1), knots, _Four(a * wide, wide), x_slow, of_slow, used)
    for q in range(0, count, 4):
        factors = 2 + q, length, 1
        _take_four(near, factors, data_slow, _Four((end + q) * wide, wide), x_slow, of_slow, used)
        # Behind the last cell of the front the factors are 0, and rows that there are none of are 0 too.
        _take_four(
            near, factors, data, _Four((end + q) * full + reach - q, full - 1), x_near, of_near, count
        )
    n1, n2, n3 = _U(length), _U(2 * length), _U(3 * length)
    s1, s2, s3 = _U(wide), _U(2 * wide), _U(3 * wide)
    for q in range(count):
        at, here = _U((end + q) * wide), _U(2 + q)
        e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
        for s in range(_U(used)):
            value = data_slow[at + s]
            e0 += slow[s] * value
            e1 += slow[s1 + s] * value
            e2 += slow[s2 + s] * value
            e3 += slow[s3 + s] * value
        x_near[here] -= e0
        x_near[n1 + here] -= e1
        x_near[n2 + here] -= e2
        x_near[n3 + here] -= e3
    rough, both, rough_slow = around.rough, around.both, around.rough_slow
    z1 = _U(front.window)
    for r in range(4):
        own, own_slow = _U(r * length), _U(r * wide)
        a, b = near[own], near[own + _U(1)]
        e, f = a * rough[0, 0] + b * rough[1, 0], a * rough[0, 1] + b * rough[1, 1]
        t0 = own + _U(2)
        for o in range(_U(count)):
            x_near[t0 + o] -= a * both[o] + b * both[z1 + o]
        for o in range(_U(count)):
            e += near[t0 + o] * both[o]
            f += near[t0 + o] * both[z1 + o]
        for s in range(_U(used)):
            x_slow[own_slow + s] -= a * rough_slow[s] + b * rough_slow[s1 + s]
        for s in range(_U(used)):
            e += slow[own_slow + s] * rough_slow[s]
            f += slow[own_slow + s] * rough_slow[s1 + s]
        x_near[own], x_near[own + _U(1)] = -e, -f


class _Work(NamedTuple):
    """Room for the rows that the inverse of a panel, or of a knot, is made of; all flat.

    Parameters
    ----------
    near, slow : ndarray
        C = R^-1 S: columns of the next two v and of t, and slow columns.
    x_near, x_slow : ndarray
        -C Z.
    corner : ndarray
        R^-1.
    own : ndarray
        Z of the own columns.
    """

    near: NDArray
    slow: NDArray
    x_near: NDArray
    x_slow: NDArray
    corner: NDArray
    own: NDArray


@kernel(fastmath=FAST, error_model="numpy")
def _conditional(work: _Work, u: NDArray, across: int, n: int, length: int, wide: int) -> None:  # pragma: no cover - compiled
    """Make C and R^-1 of S, which `near` and `slow` hold, and of R.

    Parameters
    ----------
    work : _Work
    u : ndarray, flat
        R, in n rows that are `across` apart.
    across, n : int
    length, wide : int
        Lengths of the rows of near and slow.
    """
    near, slow, corner = work.near, work.slow, work.corner
    for r in range(n - 1, -1, -1):
        row, row_slow, row_corner = _U(r * length), _U(r * wide), _U(r * n)
        for o in range(_U(n)):
            corner[row_corner + o] = 0.0
        corner[row_corner + _U(r)] = 1.0
        for other in range(r + 1, n):
            c = u[_U(r * across + other)]
            if c == 0.0:
                continue
            from_, from_slow, from_corner = _U(other * length), _U(other * wide), _U(other * n)
            for o in range(_U(length)):
                near[row + o] -= c * near[from_ + o]
            for o in range(_U(wide)):
                slow[row_slow + o] -= c * slow[from_slow + o]
            for o in range(_U(n)):
                corner[row_corner + o] -= c * corner[from_corner + o]
        reciprocal = 1.0 / u[_U(r * across + r)]
        for o in range(_U(length)):
            near[row + o] *= reciprocal
        for o in range(_U(wide)):
            slow[row_slow + o] *= reciprocal
        for o in range(_U(n)):
            corner[row_corner + o] *= reciprocal


@kernel(fastmath=FAST, error_model="numpy")
def _own(work: _Work, n: int, length: int, wide: int) -> None:  # pragma: no cover - compiled
    """Make Z of n own columns, R^-1 R^-T + C Z C'."""
    near, slow, x, xs, corner = work.near, work.slow, work.x_near, work.x_slow, work.corner
    for r in range(n):
        for other in range(r, n):
            a, b, total = _U(r * n), _U(other * n), 0.0
            for o in range(_U(n)):
                total += corner[a + o] * corner[b + o]
            a, b = _U(r * length), _U(other * length)
            for o in range(_U(length)):
                total -= x[a + o] * near[b + o]
            a, b = _U(r * wide), _U(other * wide)
            for o in range(_U(wide)):
                total -= xs[a + o] * slow[b + o]
            work.own[r * n + other] = work.own[other * n + r] = total


@kernel(fastmath=FAST, error_model="numpy")
def _inverse_of_panel(
    front: Front, factor: Factor, around: _Around, work: _Work, z: Selected, p: int, i: int, group: int, k: int
) -> None:  # pragma: no cover - compiled
    """Give the entries of Z of one or two cells of segment k."""
    size, reach, wide, d = front.size, front.reach, front.slow, front.states
    end = i + group
    count, used, length = min(reach, size - end), 2 * d, 2 + front.window
    u, s, across = factor.near[p].reshape(-1), factor.slow.reshape(-1), _BEFORE + front.window
    for r in range(_OWN):
        target, source = _U(r * length), _U(r * across + _OWN)
        for o in range(_U(length)):
            work.near[target + o] = u[source + o]
        target, source = _U(r * wide), _U((_OWN * p + r) * wide)
        for o in range(_U(used)):
            work.slow[target + o] = s[source + o]
    _conditional(work, u, across, _OWN, length, wide)
    _times_front(front, around, end, work.near, work.slow, work.x_near, work.x_slow)
    _own(work, _OWN, length, wide)
    own, x, xs = work.own.reshape(_OWN, -1), work.x_near.reshape(-1, length), work.x_slow.reshape(-1, wide)
    # What is found of t: both triangles.
    for g in range(group):
        t, r = i + g, 2 * g + 1
        z.data[t, reach] = own[r, r]
        if g == 0 and group == 2:
            z.data[t, reach + 1] = z.data[t + 1, reach - 1] = own[1, 3]
        for q in range(count):
            o = end + q - t
            if o <= reach:
                z.data[t, reach + o] = z.data[end + q, reach - o] = x[r, 2 + q]
        for a in range(used):
            around.data_slow[t * wide + a] = xs[r, a]
    first, second = (k % 2) * d, d - (k % 2) * d
    for g in range(group):
        v = i + g
        z.rough[v, 0] = own[2 * g, 2 * g]
        z.both[v] = own[2 * g, 2 * g + 1]
        for a in range(d):
            z.cross[v, 0, a], z.cross[v, 1, a] = xs[2 * g, first + a], xs[2 * g, second + a]
    rough, both, rough_slow, window = around.rough, around.both, around.rough_slow, front.window
    if group == 2:
        z.rough[i, 1], z.rough[i, 2] = own[0, 2], x[0, 0]
        z.rough[i + 1, 1], z.rough[i + 1, 2] = x[2, 0], x[2, 1]
        rough[0, 0], rough[1, 1] = own[0, 0], own[2, 2]
        rough[0, 1] = rough[1, 0] = own[0, 2]
        for g in range(2):
            both[g * window] = own[2 * g, 1]
            if reach > 1:
                both[g * window + 1] = own[2 * g, 3]
            for q in range(2, min(reach, size - i)):
                both[g * window + q] = x[2 * g, q]
            for a in range(used):
                rough_slow[g * wide + a] = xs[2 * g, a]
    else:
        z.rough[i, 1], z.rough[i, 2] = x[0, 0], x[0, 1]
        rough[1, 1] = rough[0, 0]
        rough[0, 0] = own[0, 0]
        rough[0, 1] = rough[1, 0] = x[0, 0]
        for q in range(min(reach, size - i) - 1, 0, -1):
            both[window + q] = both[q - 1]
            both[q] = x[0, 1 + q]
        both[0], both[window] = own[0, 1], x[1, 0]
        for a in range(used):
            rough_slow[wide + a] = rough_slow[a]
            rough_slow[a] = xs[0, a]


@kernel(fastmath=FAST, error_model="numpy")
def _inverse_of_knot(
    front: Front, factor: Factor, around: _Around, work: _Work, z: Selected, k: int, end: int
) -> None:  # pragma: no cover - compiled
    """Give the entries of Z of the states of a knot, eliminated after the cells before `end`."""
    size, reach, wide, d = front.size, front.reach, front.slow, front.states
    at = (k % 2) * d
    other = d - at
    count, length = min(reach, size - end), 2 + front.window
    u, across = factor.knots[k], factor.knots.shape[2]
    work.near[:] = 0.0
    work.slow[:] = 0.0
    for r in range(d):
        for o in range(length):
            work.near[r * length + o] = u[r, d + o]
        for a in range(other, other + d):
            work.slow[r * wide + a] = u[r, d + length + a]
    _conditional(work, u.reshape(-1), across, d, length, wide)
    for r in range(0, d, 4):
        near, slow = slice(r * length, (r + 4) * length), slice(r * wide, (r + 4) * wide)
        _times_front(front, around, end, work.near[near], work.slow[slow], work.x_near[near], work.x_slow[slow])
    _own(work, d, length, wide)
    own, x, xs = work.own, work.x_near.reshape(-1, length), work.x_slow.reshape(-1, wide)
    # The columns of the states themselves hold those of the next but one, which are known by now.
    for r in range(d):
        for row in range(d):
            z.own[k, r, row] = own[r * d + row]
            around.knots[(at + r) * wide + at + row] = own[r * d + row]
        for a in range(d):
            value = xs[r, other + a]
            z.after[k, r, a] = value
            around.knots[(at + r) * wide + other + a] = around.knots[(other + a) * wide + at + r] = value
        for v in range(2):
            around.rough_slow[v * wide + at + r] = x[r, v]
            z.back[min(k + 1, len(z.back) - 1), v, r] = x[r, v]
        for q in range(count):
            around.data_slow[(end + q) * wide + at + r] = x[r, 2 + q]


@kernel()
def _blank_work(n: int, length: int, wide: int) -> _Work:  # pragma: no cover - compiled
    rows = n + -n % 4
    near, slow = np.zeros(rows * length), np.zeros(rows * wide)
    return _Work(near, slow, np.zeros(rows * length), np.zeros(rows * wide), np.zeros(n * n), np.zeros(n * n))


@kernel(error_model="numpy")
def selected_inverse(front: Front, factor: Factor, z: Selected) -> None:  # pragma: no cover - compiled
    """Compute the inverse of the precision on what was in the front together (Takahashi's recursion).

    With U = (R, S) on the own columns of a panel and those of the front, and Z of the front known,
    C = R^-1 S:  Z of both is -C Z, and of its own R^-1 R^-T + C Z C'. From the last panel to the first.

    Parameters
    ----------
    front : Front
    factor : Factor
    z : Selected
        From `blank_selected`; receives the entries.
    """
    d, seg, size, wide = front.states, front.segments, front.size, front.slow
    length = 2 + front.window
    around = _Around(
        z.data.reshape(-1),
        np.zeros((size + 4) * wide),
        np.zeros((2, 2)),
        np.zeros(2 * front.window),
        np.zeros(2 * wide),
        np.zeros(wide * wide),
    )
    of_knot, of_panel = _blank_work(d, length, wide), _blank_work(_OWN, length, wide)
    if d > 0:
        _inverse_of_knot(front, factor, around, of_knot, z, len(seg) - 1, size)
    p = factor.near.shape[0] - 1
    for k in range(len(seg) - 2, -1, -1):
        if d > 0:
            _inverse_of_knot(front, factor, around, of_knot, z, k, seg[k + 1])
        for i in range(seg[k] + (seg[k + 1] - seg[k] - 1) // 2 * 2, seg[k] - 1, -2):
            _inverse_of_panel(front, factor, around, of_panel, z, p, i, min(2, seg[k + 1] - i), k)
            p -= 1
