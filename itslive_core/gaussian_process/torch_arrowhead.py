"""The arrowhead model at many pixels at once, in torch: posterior and log evidence for given hyperparameters.

The model, the layout of its unknowns and the formulas are those of `itslive_core.gaussian_process.arrowhead`;
here the pixels share the prior, and with it the cells, and differ in their pairs, weights and borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.torch_assembly import SpanRows
from itslive_core.bands.torch_band import BlockCholesky, block_rows
from itslive_core.bands.torch_memory import device_lock, in_batches, memory_for, to_device
from itslive_core.gaussian_process.arrowhead import NotPositiveError
from itslive_core.gaussian_process.band_order import BandOrder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from itslive_core.gaussian_process.latent import Latent
    from itslive_core.gaussian_process.layout import StateLayout
    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["ArrowheadPixels", "BatchPosterior", "TorchArrowhead"]


@dataclass(frozen=True, eq=False)
class ArrowheadPixels:
    """Data of P pixels on the M cells of one layout, pixel by pixel.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    operator : SpanOperator
        n rows.
    y : ndarray, shape (n,)
        Data.
    columns : ndarray, shape (r, n)
        Columns of the border; 0 in pixels that do not have one.
    prior : ndarray, shape (P, r)
        Prior variances of its coefficients.
    """

    offsets: NDArray[np.int64]
    operator: SpanOperator
    y: NDArray[np.float64]
    columns: NDArray[np.float64]
    prior: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BatchPosterior:
    """Posteriors of P pixels; the names are those of `arrowhead.Posterior`.

    Parameters
    ----------
    log_evidence : ndarray, shape (P,)
    v, v_variance : ndarray, shape (P, M)
        Mean of v; diagonal of P^-1: what its variance is for a known border.
    beta, beta_cov : ndarray, shape (P, r), (P, r, r)
    v_sensitivity : ndarray, shape (P, r, M)
    residuals, fit_variance : ndarray, shape (N,)
        Of all pixels, one after the other.
    """

    log_evidence: NDArray[np.float64]
    v: NDArray[np.float64]
    v_variance: NDArray[np.float64]
    beta: NDArray[np.float64]
    beta_cov: NDArray[np.float64]
    v_sensitivity: NDArray[np.float64]
    residuals: NDArray[np.float64]
    fit_variance: NDArray[np.float64]

    @classmethod
    def blank(cls, pixels: int, cells: int, border: int, pairs: int) -> BatchPosterior:
        """Make the arrays that a solver fills."""
        return cls(
            log_evidence=np.empty(pixels),
            v=np.empty((pixels, cells)),
            v_variance=np.empty((pixels, cells)),
            beta=np.empty((pixels, border)),
            beta_cov=np.empty((pixels, border, border)),
            v_sensitivity=np.empty((pixels, border, cells)),
            residuals=np.empty(pairs),
            fit_variance=np.empty(pairs),
        )

    def series(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give mean and variance of level and cells, v plus the first coefficient: shape (P, M)."""
        sensitivity = self.v_sensitivity.copy()
        sensitivity[:, 0] -= 1.0
        variance = self.v_variance + np.sum(sensitivity * (self.beta_cov @ sensitivity), axis=1)
        return self.v + self.beta[:, :1], variance


class TorchArrowhead:
    """Solves pixels together on a torch device.

    Parameters
    ----------
    device : str
        ``"cuda"`` or ``"cpu"``.
    memory : int, optional
        Most memory of a batch [bytes].
    """

    def __init__(self, device: str = "cuda", *, memory: int | None = None) -> None:
        self.device, self.memory = device, memory

    def solve(
        self, layout: StateLayout, latent: Latent, data: ArrowheadPixels, weights: NDArray[np.float64]
    ) -> BatchPosterior:
        """Compute evidence, means and variances.

        Parameters
        ----------
        layout : StateLayout
        latent : Latent
            Prior of the cells, the same at all pixels.
        data : ArrowheadPixels
        weights : ndarray, shape (n,)
            1 / noise variance, above 0.

        Raises
        ------
        NotPositiveError
            If a precision cannot be factorised.
        SettingsError
            If not even one pixel fits into the device's memory.
        """
        pixels, r = data.prior.shape
        out = BatchPosterior.blank(pixels, layout.size, r, len(data.y))
        if pixels == 0:
            return out
        order = BandOrder.of(layout)
        needs = _bytes(order, r, np.diff(data.offsets))
        with device_lock(self.device):
            memory = memory_for(self.device) if self.memory is None else self.memory
            shared = _Shared.of(order, latent, self.device)
            in_batches(needs, memory, lambda i, j, _: _solve(shared, data, weights, i, j, out), self.device)
        return out


def _bytes(order: BandOrder, border: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Estimate what each pixel takes [bytes]."""
    layout = order.layout
    n, wide = layout.unknowns, order.width + 1
    edge = block_rows(n, order.width)
    reach = layout.reach + 1
    fixed = (n + edge) * (2 * wide + 3 * edge + 4 * border) + (layout.size + reach) * reach * 5
    return np.asarray(8 * (fixed + (20 + 4 * border) * pairs), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Shared:
    """What all pixels share, on the device: prior precision as a lower band, and places of cells in it."""

    layout: StateLayout
    width: int
    log_prior: float
    band: Tensor
    v: Tensor
    cells: Tensor
    places: Tensor
    known: Tensor
    device: str

    @classmethod
    def of(cls, order: BandOrder, latent: Latent, device: str) -> _Shared:
        layout, width, reach = order.layout, order.width, order.layout.reach
        # Entry (j, j - b + t) of the band of cells is entry (t[j], t[j - b + t]) of the joint one.
        other = np.arange(layout.size)[:, None] - reach + np.arange(reach + 1)
        known = other >= 0
        row = order.t[:, None]
        places = row * (width + 1) + width - (row - order.t[np.maximum(other, 0)])
        return cls(
            layout=layout,
            width=width,
            log_prior=layout.log_prior(latent),
            band=to_device(order.lower_band(latent), device),
            v=to_device(order.v, device),
            cells=to_device(order.t, device),
            places=to_device(places[known], device),
            known=to_device(known, device),
            device=device,
        )

    def cells_of(self, band: Tensor) -> Tensor:
        """Take the band of the cells, shape (P, M, b + 1), out of a joint one, shape (P, n, w + 1)."""
        out = band.new_zeros(band.shape[0], *self.known.shape)
        out[:, self.known] = band.flatten(1)[:, self.places]
        return out


def _solve(
    shared: _Shared,
    data: ArrowheadPixels,
    weights: NDArray[np.float64],
    i: int,
    j: int,
    out: BatchPosterior,
) -> None:
    """Solve pixels i:j and write what is found."""
    import torch

    layout, device = shared.layout, shared.device
    here = slice(int(data.offsets[i]), int(data.offsets[j]))
    rows, y, columns, w = _upload(shared, data, weights, i, j)
    prior = to_device(data.prior[i:j].copy(), device)
    r = prior.shape[1]
    # The joint precision, and A'W of data and border, on the rows of the cells.
    band = shared.band.repeat(rows.pixels, 1, 1)
    band.flatten(1)[:, shared.places] += rows.normal_band(w)[:, shared.known]
    right = y.new_zeros(rows.pixels, layout.unknowns, 1 + r)
    right[:, shared.cells] = rows.project(w, torch.cat([y[:, None], columns], dim=1))
    factor = BlockCholesky.of(band)
    del band
    solved = factor.solve(right)
    plain, sensitivity = solved[..., 0], solved[..., 1:]
    g, f = right[..., 0], right[..., 1:]
    weighted = columns * w[:, None]
    schur = torch.stack([rows.total(weighted * columns[:, k : k + 1]) for k in range(r)], dim=1)
    schur = schur - f.mT @ sensitivity + torch.diag_embed(1.0 / prior)
    lower, info = torch.linalg.cholesky_ex((schur + schur.mT) / 2)
    if not bool((factor.good & (info == 0)).all()):
        raise NotPositiveError("the precision of the model is not positive definite")
    unit = torch.eye(r, dtype=y.dtype, device=y.device).expand_as(lower)
    root = torch.linalg.solve_triangular(lower, unit, upper=False)
    beta_cov = root.mT @ root
    target = rows.total(weighted * y[:, None]) - (sensitivity.mT @ g[..., None])[..., 0]
    beta = (beta_cov @ target[..., None])[..., 0]
    state = plain - (sensitivity @ beta[..., None])[..., 0]
    means = rows.predict(torch.cat([state[..., None], -sensitivity], dim=-1)[:, shared.cells])
    residuals = y - means[:, 0] - (columns * beta[rows.own]).sum(dim=1)
    # y' S^-1 y as y'W times the residual: the large terms cancel where they are formed.
    square = rows.total(w * y * residuals)
    log_det = factor.log_determinant() - shared.log_prior
    log_det = log_det + 2.0 * lower.diagonal(dim1=-2, dim2=-1).log().sum(dim=1) + prior.log().sum(dim=1)
    log_det = log_det - rows.total(w.log())
    pairs = rows.total(torch.ones_like(y))
    evidence = -0.5 * (square + log_det + pairs * np.log(2 * np.pi))
    inverse = factor.selected_inverse(shared.width)
    del factor
    whole = means[:, 1:] + columns
    variance = _span_variances(rows, shared.cells_of(inverse))
    for k in range(r):
        variance = variance + whole[:, k] * (beta_cov[rows.own, k] * whole).sum(dim=1)
    for target_array, values in (
        (out.log_evidence[i:j], evidence),
        (out.v[i:j], state[:, shared.v]),
        (out.v_variance[i:j], inverse[:, shared.v, -1]),
        (out.beta[i:j], beta),
        (out.beta_cov[i:j], beta_cov),
        (out.v_sensitivity[i:j], sensitivity[:, shared.v].mT),
        (out.residuals[here], residuals),
        (out.fit_variance[here], variance),
    ):
        target_array[...] = values.cpu().numpy()


def _upload(
    shared: _Shared, data: ArrowheadPixels, weights: NDArray[np.float64], i: int, j: int
) -> tuple[SpanRows, Tensor, Tensor, Tensor]:
    """Send the pairs of pixels i:j to the device: rows, y, columns of shape (n, r), weights."""
    here = slice(int(data.offsets[i]), int(data.offsets[j]))
    a, device = data.operator, shared.device
    own = np.repeat(np.arange(j - i), np.diff(data.offsets[i : j + 1]))
    sizes = np.full(j - i, shared.layout.size, dtype=np.int64)
    cells = (x[here].astype(np.int64) for x in (a.first, a.last))
    parts = (x[here].copy() for x in (a.head, a.tail, a.rate))
    rows = SpanRows(
        to_device(sizes, device),
        shared.layout.size,
        shared.layout.reach,
        *(to_device(x, device) for x in (own, *cells, *parts)),
    )
    columns = np.array(data.columns[:, here].T, order="C")
    y, w = to_device(data.y[here].copy(), device), to_device(weights[here].copy(), device)
    return rows, y, to_device(columns, device), w


def _span_variances(rows: SpanRows, z: Tensor) -> Tensor:
    """Give the variance of the mean over every span, a' Z a; see `itslive_core.bands.span_variance`.

    Parameters
    ----------
    rows : SpanRows
    z : Tensor, shape (P, M, b + 1)
        Lower bands of the inverse on the cells.

    Returns
    -------
    Tensor, shape (n,)
    """
    pixels, cells, wide = z.shape
    # By distance from the diagonal: z[., j, o] is entry (j, j - o).
    z = z.flip(-1)
    own = z[..., :1]
    # Row j of the square of cells j - o .. j, doubled but for the diagonal.
    corner = z.new_zeros(pixels, cells + wide, wide)
    corner[:, :cells] = 2.0 * z.cumsum(dim=-1) - own
    # The square of cells i .. i + o is the sum of the corners of each: one running sum along diagonals.
    square = corner.as_strided(z.shape, ((cells + wide) * wide, wide, wide + 1)).cumsum(dim=-1)
    o, p, q = rows.last - rows.first, rows.first, rows.last
    at = rows.own * (cells * wide)
    squares = square.reshape(-1)
    whole = squares[at + p * wide + o]
    single_p, single_q = squares[at + p * wide], squares[at + q * wide]
    inner = (o - 1).clamp(min=0)
    below = squares[at + (p + 1).clamp(max=cells - 1) * wide + inner]
    before = squares[at + p * wide + inner]
    row_p, row_q = 0.5 * (whole - below + single_p), 0.5 * (whole - before + single_q)
    across = z.reshape(-1)[at + q * wide + o]
    f, g = 1.0 - rows.head, 1.0 - rows.tail
    value = whole - 2.0 * f * row_p - 2.0 * g * row_q
    value = value + f * f * single_p + g * g * single_q + 2.0 * f * g * across
    return single_p.where(o == 0, rows.rate**2 * value)
