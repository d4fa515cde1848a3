"""The prior precision of the arrowhead model, and what the posterior says of the roughness, compiled.

x_i = v_i - Phi_i z is a second-order autoregression: with the noise e_i = x_i - f x_(i-1) - g x_(i-2) that
enters at cell i,

    Q = sum_i calm_i e_i e_i' / var(e) + the first two cells,
    P_vv = Q,      P_vz = -Q Phi,      P_zz = Phi'Q Phi + P_z.

Phi_i holds the states of the two knots about a cell, and cells two apart never load on three knots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.front import Precision, Selected

__all__ = ["prior_precision", "roughness_covariance", "roughness_mean"]


@kernel(error_model="numpy")
def _bands(coefficients: NDArray, calm: NDArray, rough: NDArray) -> None:  # pragma: no cover - compiled
    """Write Q, three bands of it, from `Latent.coefficients`."""
    size = len(rough)
    rough[:] = 0.0
    c = coefficients
    for j in range(size - 2):
        w = calm[j]
        rough[j + 2, 0] += w * c[0]
        rough[j + 1, 0] += w * c[1]
        rough[j, 0] += w * c[2]
        rough[j + 1, 1] += w * c[3]
        rough[j, 1] += w * c[4]
        rough[j, 2] += w * c[5]
    # The first two cells, before noise enters: a stationary x is the same from both ends.
    rough[0, 0] += c[0] - c[2]
    rough[1, 0] += c[0] - c[2]
    rough[0, 1] += c[3] - c[4]


@kernel(fastmath=FAST, error_model="numpy")
def prior_precision(
    coefficients: NDArray,
    calm: NDArray,
    before: NDArray,
    phi: NDArray,
    transition: NDArray,
    precision: NDArray,
    out: Precision,
) -> None:  # pragma: no cover - compiled
    """Form the prior precision of (v, t, z).

    Parameters
    ----------
    coefficients : ndarray, shape (6,)
        Of `Latent`.
    calm : ndarray, shape (M - 2,)
    before : ndarray of int64, shape (M,)
        Knot before each cell.
    phi : ndarray, shape (M, 2 d)
        Loads of each cell on the states of the knots before and after it.
    transition, precision : ndarray, shape (d, d)
        F, and the inverse of I - F F'.
    out : Precision
    """
    _bands(coefficients, calm, out.rough)
    rough, cross, own, after = out.rough, out.cross, out.own, out.after
    size, d, knots = len(rough), len(transition), len(own)
    if d == 0:
        return
    cross[:] = 0.0
    back = transition.T @ precision
    whole = back @ transition
    for k in range(knots):
        for a in range(d):
            for b in range(d):
                own[k, a, b] = precision[a, b] if k > 0 else (1.0 if a == b else 0.0)
                if k < knots - 1:
                    own[k, a, b] += whole[a, b]
                after[k, a, b] = -back[a, b] if k < knots - 1 else 0.0
    total = np.zeros((3, d))  # Q Phi at a cell, by the knots k - 1, k, k + 1
    for i in range(size):
        total[:] = 0.0
        k = before[i]
        for o in range(-2, 3):
            j = i + o
            if j < 0 or j >= size:
                continue
            q = rough[min(i, j), abs(o)]
            if q == 0.0:
                continue
            at = before[j] - k + 1
            for a in range(d):
                total[at, a] += q * phi[j, a]
            # Behind the knot after this cell nothing is loaded on from here.
            if at < 2:
                for a in range(d):
                    total[at + 1, a] += q * phi[j, d + a]
        for m in range(3):
            for a in range(d):
                cross[i, m, a] = -total[m, a]
        # Phi'Q Phi. What loads on a knot from before it has nothing to do with the next one.
        for a in range(d):
            one, two = phi[i, a], phi[i, d + a]
            for b in range(d):
                own[k, a, b] += one * total[1, b]
                own[k + 1, a, b] += two * total[2, b]
                after[k, a, b] += one * total[2, b]


@kernel(fastmath=FAST, error_model="numpy")
def roughness_mean(
    before: NDArray, phi: NDArray, v: NDArray, z: NDArray, x: NDArray
) -> None:  # pragma: no cover - compiled
    """Give v - Phi z.

    Parameters
    ----------
    before, phi
        As for `prior_precision`.
    v : ndarray, shape (r, >= M)
    z : ndarray, shape (r, K, d)
    x : ndarray, shape (r, M)
        Receives the differences.
    """
    d = z.shape[2]
    for r in range(len(v)):
        for i in range(len(before)):
            k, total = before[i], 0.0
            for a in range(d):
                total += phi[i, a] * z[r, k, a] + phi[i, d + a] * z[r, k + 1, a]
            x[r, i] = v[r, i] - total


@kernel(fastmath=FAST, error_model="numpy")
def roughness_covariance(
    before: NDArray, phi: NDArray, z: Selected, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Give the covariance of x with itself, one and two cells later, for a known border.

    Parameters
    ----------
    before, phi
        As for `prior_precision`.
    z : Selected
    out : ndarray, shape (3, M)
        Receives cov(x_i, x_(i+o)) at [o, i]; 0 where there is no such cell.
    """
    size, d = len(before), z.own.shape[1]
    slow = np.empty((3, 2 * d))  # cov(x_i, states of both knots) of this cell and the two before
    for i in range(size):
        for o in range(3):
            out[o, i] = z.rough[i, o] if i + o < size else 0.0
    if d == 0:
        return
    states = np.empty((2 * d, 2 * d))
    filled = -1
    for i in range(size):
        k = before[i]
        if k != filled:
            for a in range(d):
                for b in range(d):
                    states[a, b] = z.own[k, a, b]
                    states[d + a, d + b] = z.own[k + 1, a, b]
                    states[a, d + b] = states[d + b, a] = z.after[k, a, b]
            filled = k
        own = slow[i % 3]
        for a in range(d):
            own[a], own[d + a] = z.cross[i, 0, a], z.cross[i, 1, a]
        for b in range(2 * d):
            c = phi[i, b]
            if c != 0.0:
                for a in range(2 * d):
                    own[a] -= c * states[b, a]
        for o in range(min(3, i + 1)):
            # cov(x_j, x_i) = (v_j, v_i) - Phi_i (v_j, z_i) - Phi_j (z_j, x_i), for j = i - o.
            j = i - o
            total = 0.0
            if before[j] == k:
                for a in range(2 * d):
                    total += phi[i, a] * (z.cross[j, 0, a] if a < d else z.cross[j, 1, a - d])
                    total += phi[j, a] * own[a]
            else:
                # i is one of the first two cells of its segment and loads on knot k alone.
                for a in range(d):
                    total += phi[i, a] * z.cross[j, 1, a] + phi[j, d + a] * own[a]
                    # The states of knot k - 1 with x_i.
                    before_last = z.back[k, i - _first(before, i), a]
                    for b in range(d):
                        before_last -= z.after[k - 1, a, b] * phi[i, b]
                    total += phi[j, a] * before_last
            out[o, j] -= total


@kernel()
def _first(before: NDArray, i: int) -> int:  # pragma: no cover - compiled
    """Give the first cell of the segment of a cell that is one of its first two."""
    return i - 1 if i > 0 and before[i - 1] == before[i] else i
