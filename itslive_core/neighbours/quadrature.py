"""What replaces the eigenvalues of a graph of pixels, as seen from one of them: a few nodes with shares.

If all pixels had the same N, the variance of pixel p were s^2 sum_k c_k diag (N + mu^2 t_k)^-1 with t_k the
eigenvalues of the graph's Laplacian and c_k the squares of their vectors at p. A quadrature with three nodes
replaces this sum: that of Lanczos' method started at p, with its lowest node put at a fixed place (Golub and
Meurant, 2010, "Matrices, Moments and Quadrature with Applications").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["Quadrature", "graph_quadrature"]

_NODES = 3
_COLUMNS = 256
_LOWEST_NODE = 0.3
"""On an endless lattice with a scalar N of 0.01 to 3 mu^2 the variance is then right to about 5 %."""


class Quadrature(NamedTuple):
    """Nodes and their shares, which add up to 1, for W pixels: shape (W, 3)."""

    nodes: NDArray[np.float64]
    shares: NDArray[np.float64]


def graph_quadrature(neighbours: NDArray[np.int64], pixels: NDArray[np.int64]) -> Quadrature:
    """Replace the eigenvalues of the graph, as seen from each of some pixels, by a few nodes with shares.

    Parameters
    ----------
    neighbours : ndarray of int64, shape (P, 4)
        -1 where there is none.
    pixels : ndarray of int, shape (W,)
    """
    from scipy.sparse import csr_array

    n = len(neighbours)
    there = neighbours >= 0
    rows = np.repeat(np.arange(n), there.sum(axis=1))
    ties = csr_array((np.ones(len(rows)), (rows, neighbours[there])), shape=(n, n))
    # A few at a time: the vectors of Lanczos' method are as long as there are pixels.
    parts = [_lanczos(ties, pixels[i : i + _COLUMNS]) for i in range(0, max(len(pixels), 1), _COLUMNS)]
    nodes, shares = zip(*parts, strict=True)
    return Quadrature(np.concatenate(nodes), np.concatenate(shares))


def _lanczos(ties: csr_array, pixels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do the work of `graph_quadrature`, given the matrix of neighbours."""
    n, w = ties.shape[0], len(pixels)
    degree = np.asarray(ties.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    v, before = np.zeros((n, w)), np.zeros((n, w))
    v[pixels, np.arange(w)] = 1.0
    matrix = np.zeros((w, _NODES, _NODES))
    beta = np.zeros(w)
    alive = np.ones(w, dtype=bool)
    for k in range(_NODES):
        product = degree * v - ties @ v - beta * before
        matrix[:, k, k] = np.where(alive, np.einsum("ij,ij->j", product, v), 1.0)
        product -= matrix[:, k, k] * v
        beta = np.sqrt(np.einsum("ij,ij->j", product, product))
        alive &= beta > 1e-9  # else the nodes so far are exact
        beta = np.where(alive, beta, 0.0)
        before, v = v, np.where(alive, product / np.where(alive, beta, 1.0), 0.0)
        if k + 1 < _NODES:
            matrix[:, k, k + 1] = matrix[:, k + 1, k] = beta
    inner = matrix[:, :-1, :-1] - _LOWEST_NODE * np.eye(_NODES - 1)
    fixed = alive & (np.linalg.eigvalsh(inner)[:, 0] > 0.0)
    end = np.zeros((w, _NODES - 1, 1))
    end[:, -1, 0] = matrix[:, -1, -2] ** 2
    inner[~fixed] = np.eye(_NODES - 1)
    corner = _LOWEST_NODE + np.linalg.solve(inner, end)[:, -1, 0]
    matrix[:, -1, -1] = np.where(fixed, corner, matrix[:, -1, -1])
    nodes, vectors = np.linalg.eigh(matrix)
    return np.maximum(nodes, 0.0), vectors[:, 0, :] ** 2
