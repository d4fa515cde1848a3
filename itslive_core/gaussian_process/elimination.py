"""Factor and solutions of the precision of the arrowhead model, compiled; see `front`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST, PAD
from itslive_core.gaussian_process.front import BEFORE, OWN, Four, take_four
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.front import Factor, Front, Precision

__all__ = ["eliminate", "log_determinant", "substitute"]

_U = np.uint64


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
    length, stride = BEFORE + window, reach + 1 + PAD
    data, both = rows.data, rows.both
    near[:] = 0.0
    end = i + group
    count = min(reach, size - end)
    across = rows.both.shape[1]
    both_flat, rough_slow, data_slow = (
        both.reshape(-1),
        rows.rough_slow.reshape(-1),
        rows.data_slow.reshape(-1),
    )
    for g in range(group):
        v, t, at = 2 * g * length, (2 * g + 1) * length, (i + g) * stride
        near[v + 2 * g] = rows.rough[i + g, 0]
        near[v + 2 * g + 1] = both[i + g, 1]
        near[t + 2 * g + 1] = data[at]
        # As far as spans reach from this cell; the next one, if there is one, is an own column.
        reached = _U(max(min(count, reach - group + g + 1), 0))
        target, source = _U(v + BEFORE), _U((i + g) * across + group - g + 1)
        for q in range(reached):
            near[target + q] = both_flat[source + q]
        target, source = _U(t + BEFORE), _U(at + group - g)
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
    used = _U(BEFORE + count)
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
        take_four(
            u, factors, u, Four(at + 2 + q, length), data, Four((end + q) * stride, stride - 1), count - q
        )
        take_four(
            u,
            factors,
            slow,
            Four(0, front.slow),
            data_slow,
            Four((end + q) * front.slow, front.slow),
            front.slow,
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
            rough_slow[target + s] -= c0 * slow[s] + c1 * slow[s1 + s] + c2 * slow[s2 + s] + c3 * slow[s3 + s]
    knots = rows.knots.reshape(-1)
    for a in range(0, front.slow, 4):
        take_four(
            slow,
            (a, 1, front.slow),
            slow,
            Four(a, front.slow),
            knots,
            Four(a * front.slow + a, front.slow),
            front.slow - a,
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
    length = OWN * (BEFORE + window)
    for k in range(len(seg) - 1):
        i = seg[k]
        while i < seg[k + 1]:
            group = min(2, seg[k + 1] - i)
            own = near[at * length : (at + 1) * length]
            own_slow = slow[at * OWN * wide : (at + 1) * OWN * wide]
            if not _panel(front, rows, i, group, own, own_slow):
                return False
            _spread(front, rows, i + group, OWN, own, BEFORE + window, own_slow)
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
    length, at_slow = BEFORE + front.window, d + 2 + front.window
    knots, near = factor.knots, factor.near
    values, states = np.empty(OWN), np.zeros(2 * d)
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
                s = factor.slow[OWN * p : OWN * p + OWN]
                n1, n2, n3 = _U(length), _U(2 * length), _U(3 * length)
                x0 = s[0, 2 * d + c] - u[4] * v_c[end] - u[5] * v_c[end + 1]
                x1 = s[1, 2 * d + c] - u[n1 + _U(4)] * v_c[end] - u[n1 + _U(5)] * v_c[end + 1]
                x2 = s[2, 2 * d + c] - u[n2 + _U(4)] * v_c[end] - u[n2 + _U(5)] * v_c[end + 1]
                x3 = s[3, 2 * d + c] - u[n3 + _U(4)] * v_c[end] - u[n3 + _U(5)] * v_c[end + 1]
                e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
                first = _U(end)
                for q in range(_U(min(reach, size - end))):
                    value, o = t_c[first + q], q + _U(BEFORE)
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
                values[0] = (x0 - e0 - u[1] * values[1] - u[2] * values[2] - u[3] * values[3]) / u[0]
                for g in range(group):
                    v_c[i + g], t_c[i + g] = values[2 * g], values[2 * g + 1]
                p -= 1
