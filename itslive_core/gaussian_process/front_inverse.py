"""The inverse of the precision of the arrowhead model on its front, compiled; see `front`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.gaussian_process.front import BEFORE, OWN, Four, take_four
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.front import Factor, Front, Selected

__all__ = ["selected_inverse"]

_U = np.uint64


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
    of_near, of_slow = Four(2, length), Four(0, wide)
    for a in range(0, used, 4):
        take_four(slow, (a, wide, 1), knots, Four(a * wide, wide), x_slow, of_slow, used)
    for q in range(0, count, 4):
        factors = 2 + q, length, 1
        take_four(near, factors, data_slow, Four((end + q) * wide, wide), x_slow, of_slow, used)
        # Behind the last cell of the front the factors are 0, and rows that there are none of are 0 too.
        take_four(near, factors, data, Four((end + q) * full + reach - q, full - 1), x_near, of_near, count)
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
def _conditional(
    work: _Work, u: NDArray, across: int, n: int, length: int, wide: int
) -> None:  # pragma: no cover - compiled
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
    front: Front,
    factor: Factor,
    around: _Around,
    work: _Work,
    z: Selected,
    p: int,
    i: int,
    group: int,
    k: int,
) -> None:  # pragma: no cover - compiled
    """Give the entries of Z of one or two cells of segment k."""
    size, reach, wide, d = front.size, front.reach, front.slow, front.states
    end = i + group
    count, used, length = min(reach, size - end), 2 * d, 2 + front.window
    u, s, across = factor.near[p].reshape(-1), factor.slow.reshape(-1), BEFORE + front.window
    for r in range(OWN):
        target, source = _U(r * length), _U(r * across + OWN)
        for o in range(_U(length)):
            work.near[target + o] = u[source + o]
        target, source = _U(r * wide), _U((OWN * p + r) * wide)
        for o in range(_U(used)):
            work.slow[target + o] = s[source + o]
    _conditional(work, u, across, OWN, length, wide)
    _times_front(front, around, end, work.near, work.slow, work.x_near, work.x_slow)
    _own(work, OWN, length, wide)
    own, x, xs = work.own.reshape(OWN, -1), work.x_near.reshape(-1, length), work.x_slow.reshape(-1, wide)
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
        _times_front(
            front, around, end, work.near[near], work.slow[slow], work.x_near[near], work.x_slow[slow]
        )
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
    of_knot, of_panel = _blank_work(d, length, wide), _blank_work(OWN, length, wide)
    if d > 0:
        _inverse_of_knot(front, factor, around, of_knot, z, len(seg) - 1, size)
    p = factor.near.shape[0] - 1
    for k in range(len(seg) - 2, -1, -1):
        if d > 0:
            _inverse_of_knot(front, factor, around, of_knot, z, k, seg[k + 1])
        for i in range(seg[k] + (seg[k + 1] - seg[k] - 1) // 2 * 2, seg[k] - 1, -2):
            _inverse_of_panel(front, factor, around, of_panel, z, p, i, min(2, seg[k + 1] - i), k)
            p -= 1
