"""Algebra of many symmetric positive definite band matrices at once, in torch, on any of its devices.

P matrices of M rows and half-bandwidth b are held as their lower bands by rows, shape (P, M, b + 1): entry
(j, j - b + t) lies at [j, t], the diagonal at [j, b]. Cut into square blocks of at least b rows they are
block tridiagonal, and their Cholesky factors block bidiagonal: as many matrix products in a row as there are
blocks, each for all P matrices together, which is the work that a GPU likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["BlockCholesky", "block_rows"]

_LEAST_ROWS = 32
"""Blocks are not smaller, so that each product is worth starting."""


def block_rows(size: int, reach: int) -> int:
    """Give the number of rows of a block for matrices of M rows and half-bandwidth b; at least b."""
    return max(reach, min(_LEAST_ROWS, size), 1)


@dataclass(frozen=True, eq=False)
class BlockCholesky:
    """Cholesky factors of P band matrices, N = F F'; made by `BlockCholesky.of`.

    Parameters
    ----------
    lower : Tensor, shape (blocks, P, B, B)
        Lower triangular blocks on the diagonal of F.
    below : Tensor, shape (blocks, P, B, B)
        Blocks left of them; the first has no meaning.
    size : int
        M; the last block is filled up with rows of the unit matrix.
    good : Tensor of bool, shape (P,)
        Whether a matrix is positive definite; what is computed for others has no meaning.
    """

    lower: Tensor
    below: Tensor
    size: int
    good: Tensor

    @classmethod
    def of(cls, band: Tensor) -> BlockCholesky:
        """Factorise matrices.

        With blocks D_n on the diagonal and E_n left of it: M_n = E_n L_(n-1)^-T, L_n = chol(D_n - M_n M_n').

        Parameters
        ----------
        band : Tensor, shape (P, M, b + 1)
            Lower bands by rows; entries left of the first column must be finite.
        """
        import torch

        pixels, size, wide = band.shape
        reach = wide - 1
        edge = block_rows(size, reach)
        blocks = -(-size // edge)
        lower = band.new_empty(blocks, pixels, edge, edge)
        below = band.new_empty(blocks, pixels, edge, edge)
        good = torch.ones(pixels, dtype=torch.bool, device=band.device)
        window = band.new_zeros(pixels, edge, 2 * edge)
        # The rows of a band, each one column further right, as a view of the two blocks that hold them.
        shifted = window.as_strided(
            (pixels, edge, wide), (2 * edge * edge, 2 * edge + 1, 1), storage_offset=edge - reach
        )
        for n in range(blocks):
            rows = min(edge, size - n * edge)
            shifted[:, :rows] = band[:, n * edge : n * edge + rows]
            if rows < edge:
                shifted[:, rows:] = 0.0
                shifted[:, rows:, -1] = 1.0
            diagonal = window[..., edge:]
            diagonal = diagonal + diagonal.tril(-1).mT
            if n:
                below[n] = torch.linalg.solve_triangular(
                    lower[n - 1].mT, window[..., :edge], upper=True, left=False
                )
                diagonal = torch.baddbmm(diagonal, below[n], below[n].mT, alpha=-1)
            lower[n], info = torch.linalg.cholesky_ex(diagonal)
            good &= info == 0
        return cls(lower, below, size, good)

    @property
    def nbytes(self) -> int:
        """Memory it takes [bytes]."""
        return self.lower.nbytes + self.below.nbytes

    def to(self, device: torch.device | str) -> BlockCholesky:
        """Give them on a device; these themselves if they are there."""
        return BlockCholesky(self.lower.to(device), self.below.to(device), self.size, self.good.to(device))

    def take(self, index: Tensor) -> BlockCholesky:
        """Keep some of the matrices; index of shape (q,)."""
        return BlockCholesky(self.lower[:, index], self.below[:, index], self.size, self.good[index])

    def solve(self, rhs: Tensor) -> Tensor:
        """Solve N x = rhs.

        Parameters
        ----------
        rhs : Tensor, shape (P, M, c)

        Returns
        -------
        Tensor, shape (P, M, c)
        """
        import torch

        blocks, pixels, edge, _ = self.lower.shape
        out = rhs.new_zeros(pixels, blocks * edge, rhs.shape[2])
        out[:, : self.size] = rhs
        x = list(out.view(pixels, blocks, edge, -1).unbind(dim=1))
        for n in range(blocks):
            part = x[n] if n == 0 else torch.baddbmm(x[n], self.below[n], x[n - 1], alpha=-1)
            x[n] = torch.linalg.solve_triangular(self.lower[n], part, upper=False)
        for n in range(blocks - 1, -1, -1):
            part = x[n] if n == blocks - 1 else torch.baddbmm(x[n], self.below[n + 1].mT, x[n + 1], alpha=-1)
            x[n] = torch.linalg.solve_triangular(self.lower[n].mT, part, upper=True)
        return torch.cat(x, dim=1)[:, : self.size]

    def log_determinant(self) -> Tensor:
        """Give log |N|, shape (P,)."""
        return 2.0 * self.lower.diagonal(dim1=-2, dim2=-1).log().sum(dim=(0, 2))

    def selected_inverse(self, reach: int) -> Tensor:
        """Compute the entries of Z = N^-1 on the diagonal and next to it.

        Block by block from the last one (Takahashi's recursion for blocks), with G_n = M_(n+1) L_n^-1:
        Z_(n+1,n) = -Z_(n+1,n+1) G_n and Z_nn = (L_n L_n')^-1 - G_n' Z_(n+1,n).

        Parameters
        ----------
        reach : int
            How far from the diagonal, at most b.

        Returns
        -------
        Tensor, shape (P, M, reach + 1)
            Lower band by rows; entries left of the first column have no meaning.
        """
        import torch

        blocks, pixels, edge, _ = self.lower.shape
        out = self.lower.new_zeros(pixels, blocks * edge, reach + 1)
        unit = torch.eye(edge, dtype=out.dtype, device=out.device).expand(pixels, edge, edge)
        z, cross = unit, torch.zeros_like(unit)
        for n in range(blocks - 1, -1, -1):
            inverse = torch.linalg.solve_triangular(self.lower[n], unit, upper=False)
            own = inverse.mT @ inverse
            if n < blocks - 1:
                step = self.below[n + 1] @ inverse
                cross = -(z @ step)
                out[:, (n + 1) * edge : (n + 2) * edge] = _band_of(cross, z, reach)
                own = torch.baddbmm(own, step.mT, cross, alpha=-1)
            z = own
        out[:, :edge] = _band_of(torch.zeros_like(cross), z, reach)
        return out[:, : self.size]


def _band_of(left: Tensor, diagonal: Tensor, reach: int) -> Tensor:
    """Read the lower band out of two blocks side by side, shape (P, B, reach + 1)."""
    import torch

    pixels, edge, _ = diagonal.shape
    window = torch.cat([left, diagonal], dim=-1)
    return window.as_strided(
        (pixels, edge, reach + 1), (2 * edge * edge, 2 * edge + 1, 1), storage_offset=edge - reach
    )
