"""The coupled problem on a GPU: the pixels of a patch together, in torch.

The problem, the method and the results are those of `itslive_core.neighbours.coupled`, to rounding. All
pixels lie on the cells that any of them has; beyond the cells of a pixel its matrix is filled up with the
unit matrix and its series with zeros, which no product changes. Factors for which the device has no room stay
in the memory of the machine and visit the device when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from itslive_core.bands.torch_assembly import SpanRows, add_differences, difference_gradient
from itslive_core.bands.torch_band import BlockCholesky
from itslive_core.bands.torch_memory import device_lock, memory_for, runs, to_device, with_less_memory
from itslive_core.errors import SettingsError
from itslive_core.inversion.solver import observations_of
from itslive_core.inversion.torch.feed import memory_of_pixel
from itslive_core.neighbours.coupled import MOST_ITERATIONS, TOLERANCE, CoupledSolution, in_rounds
from itslive_core.neighbours.quadrature import Quadrature, graph_quadrature

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from itslive_core.neighbours.coupled import CoupledPixels

__all__ = ["TorchCoupledPixels"]

_FOR_FACTORS, _FOR_WORK = 0.5, 0.25
"""Parts of the memory: for factors that stay on the device, and for what is being worked on."""
_VECTORS = 14
"""Series of all pixels that are held at once."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class TorchCoupledPixels:
    """Solves what `CoupledPixels` states on a torch device; one thread at a time uses the device.

    Parameters
    ----------
    problem : CoupledPixels
    device : str
        A torch device.
    memory : int, optional
        Most memory to use [bytes]; by default most of what is free on a GPU.
    """

    problem: CoupledPixels
    device: str = "cuda"
    memory: int | None = None

    def solve(
        self, mu: float, *, start: NDArray[np.float64] | None = None, tolerance: float = TOLERANCE
    ) -> CoupledSolution:
        """Solve for the series of all pixels together; see `CoupledPixels.solve`.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the matrix of a pixel cannot be factorised.
        SettingsError
            If not even one pixel fits into the device's memory.
        """
        flat = self.problem.flat if start is None else start
        if not self.problem.layout.size.any():
            return CoupledSolution(flat.copy(), 0.0, 0)

        def work(memory: int) -> CoupledSolution:
            pixels = self._pixels
            red = _RedPixels.of(pixels, mu * mu, pixels.unpack(flat), memory)
            residual, iterations = in_rounds(lambda reference: red.improve(tolerance, reference))
            return CoupledSolution(pixels.pack(red.x), residual, iterations)

        return self._with_device(work)

    def variance_ratio(self, mu: float, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the variance of each cell over that without neighbours; see `CoupledPixels.variance_ratio`.

        Raises
        ------
        SettingsError
            If not even one pixel fits into the device's memory.
        """
        layout = self.problem.layout
        nodes, shares = graph_quadrature(layout.neighbours, pixels)
        ratio = np.full((len(pixels), self.problem.cells), np.nan)
        rows = np.flatnonzero(layout.size[pixels])
        if len(rows) == 0:
            return ratio

        def work(memory: int) -> None:
            own = self._pixels
            cells = slice(own.low, own.low + own.cells)
            wanted = rows[np.argsort(own.number[pixels[rows]])]
            numbers = own.number[pixels[wanted]]
            for i, j in runs(own.needs[numbers], int(_FOR_WORK * memory)):
                some = wanted[i:j]
                seen = Quadrature(nodes[some], shares[some])
                found = _variance_ratio(own, numbers[i:j], mu * mu, seen)
                ratio[some, cells] = found.cpu().numpy()

        self._with_device(work)
        return ratio

    @cached_property
    def _pixels(self) -> _Pixels:
        return _Pixels.of(self.problem, self.device)

    def _with_device(self, work: Callable[[int], _T]) -> _T:
        import torch

        with device_lock(self.device):
            try:
                pixels = self._pixels
            except torch.cuda.OutOfMemoryError as error:
                raise SettingsError(
                    f"the pixels that are coupled do not fit into the memory of device {self.device!r}:"
                    " choose a longer interval, a shorter period, or device 'cpu'"
                ) from error
            memory = self.memory
            if memory is None:  # once the pixels are there, and less what whole vectors take
                memory = memory_for(self.device) - _VECTORS * 16 * len(pixels.needs) * pixels.cells
            least = int(pixels.needs.max())
            return with_less_memory(work, max(memory, least), least, self.device)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The Q pixels that take part, red ones first and the widest of either colour last, on M common cells.

    Parameters
    ----------
    number : ndarray of int, shape (P,)
        Place of each pixel of the problem among the Q; -1 for those that take no part.
    needs : ndarray of int, shape (Q,)
        Memory to work on each [bytes].
    red : int
        Number of red pixels.
    low, cells : int
        First common cell, and M.
    begin : ndarray of int, shape (Q + 1,)
        Where the observations of each begin.
    widths : ndarray of int, shape (Q,)
    columns : tuple of Tensor, shape (n,)
        first, last, head, tail, rate.
    data, weights : Tensor, shape (n, 2), (n,)
    order : int
        k.
    penalty : Tensor, shape (Q, M - k)
        Factor of each difference.
    inside : Tensor of bool, shape (Q, M)
        Cells of each pixel.
    neighbours : Tensor of int, shape (4, Q)
        Places of the neighbours; whatever where there is none.
    both : Tensor of bool, shape (4, Q, M)
        Cells that a pixel and its neighbour have.
    degree : Tensor, shape (Q,)
        Number of neighbours.
    place : tuple of Tensor of int, shape (cells of all pixels,)
        Pixel and cell of the values of flat vectors, for either component, and position in them.
    """

    number: NDArray[np.int64]
    needs: NDArray[np.int64]
    red: int
    low: int
    cells: int
    begin: NDArray[np.int64]
    widths: NDArray[np.int64]
    columns: tuple[Tensor, ...]
    data: Tensor
    weights: Tensor
    order: int
    penalty: Tensor
    inside: Tensor
    neighbours: Tensor
    both: Tensor
    degree: Tensor
    place: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(cls, problem: CoupledPixels, device: str) -> _Pixels:
        """Send a problem to a device."""
        seen, layout = problem.observed, problem.layout
        chosen = np.flatnonzero(layout.size)
        chosen = chosen[np.lexsort((layout.width[chosen], ~layout.red[chosen]))]
        number = np.full(len(layout.size), -1, dtype=np.int64)
        number[chosen] = np.arange(len(chosen))
        sizes, cell0 = layout.size[chosen], layout.cell0[chosen]
        low = int(cell0.min())
        cells = int((cell0 + sizes).max()) - low
        at = np.arange(cells) - (cell0 - low)[:, None]
        inside = (at >= 0) & (at < sizes[:, None])
        differences = at[:, : max(cells - layout.order, 0)]
        differs = (differences >= 0) & (differences < (sizes - layout.order)[:, None])
        start = np.broadcast_to(layout.start[chosen][:, None], differs.shape)
        alpha = np.broadcast_to(layout.alpha[chosen][:, None], differs.shape)
        penalty = np.zeros(differs.shape)
        penalty[differs] = alpha[differs] * layout.shape[start[differs] + differences[differs]]
        around = layout.neighbours[chosen].T
        there = np.where(around >= 0, number[around], -1)
        both = (there >= 0)[..., None] & inside & inside[there]
        pixel, cell = np.nonzero(inside)
        position = 2 * layout.start[chosen][pixel] + at[pixel, cell]
        counts = seen.offsets[chosen + 1] - seen.offsets[chosen]
        index = observations_of(seen.offsets, chosen)
        pair = seen.pair[index]
        columns = (
            seen.spans.first[pair] - low,
            seen.spans.last[pair] - low,
            seen.spans.head[pair],
            seen.spans.tail[pair],
            seen.spans.rate[pair],
        )
        widths = layout.width[chosen]
        return cls(
            number=number,
            needs=memory_of_pixel(cells, widths, counts),
            red=int(layout.red[chosen].sum()),
            low=low,
            cells=cells,
            begin=np.concatenate(([0], np.cumsum(counts))),
            widths=widths,
            columns=tuple(to_device(c, device) for c in columns),
            data=to_device(np.stack([seen.vx[index], seen.vy[index]], axis=1), device),
            weights=to_device(seen.weights[index], device),
            order=layout.order,
            penalty=to_device(penalty, device),
            inside=to_device(inside, device),
            neighbours=to_device(np.maximum(there, 0), device),
            both=to_device(both, device),
            degree=to_device((around >= 0).sum(axis=0).astype(np.float64), device),
            place=(pixel, cell, position),
        )

    def rows(self, i: int, j: int) -> SpanRows:
        """Give the rows of pixels i:j."""
        import torch

        device, here = self.weights.device, slice(int(self.begin[i]), int(self.begin[j]))
        counts = torch.from_numpy(np.diff(self.begin[i : j + 1])).to(device)
        return SpanRows(
            torch.full((j - i,), self.cells, device=device),
            self.cells,
            int(self.widths[i:j].max()),
            torch.arange(j - i, device=device).repeat_interleave(counts),
            *(c[here] for c in self.columns),
        )

    def normal(self, rows: SpanRows, weights: Tensor, pixels: slice | Tensor) -> Tensor:
        """Form N of some pixels, given their rows and weights; shape (., M, b + 1)."""
        band = rows.normal_band(weights)
        add_differences(band, self.order, self.penalty[pixels])
        band[..., -1] += ~self.inside[pixels]
        return band

    def ties(self, pixels: slice | Tensor) -> Tensor:
        """Count the neighbours that have each cell, shape (., M)."""
        return self.both[:, pixels].sum(dim=0).to(self.weights.dtype)

    def unpack(self, flat: NDArray[np.float64]) -> Tensor:
        """Spread a flat vector of `CoupledPixels` over the common cells, shape (Q, M, 2)."""
        pixel, cell, position = self.place
        sizes = np.bincount(pixel)[pixel]
        x = np.zeros((len(self.needs), self.cells, 2))
        for k in range(2):
            x[pixel, cell, k] = flat[position + k * sizes]
        return to_device(x, str(self.weights.device))

    def pack(self, x: Tensor) -> NDArray[np.float64]:
        """Make a flat vector again."""
        pixel, cell, position = self.place
        sizes = np.bincount(pixel)[pixel]
        series = x.cpu().numpy()
        flat = np.empty(2 * len(pixel))
        for k in range(2):
            flat[position + k * sizes] = series[pixel, cell, k]
        return flat

    def around(self, x: Tensor, at: slice, own: Tensor | None = None) -> Tensor:
        """Sum x, less their own values if given, over the neighbours of some pixels, cell by cell."""
        total = x.new_zeros(x[at].shape)
        for other, both in zip(self.neighbours[:, at], self.both[:, at], strict=True):
            values = x[other] if own is None else x[other] - own
            total += values.where(both[..., None], 0.0)
        return total


@dataclass(frozen=True, eq=False)
class _RedPixels:
    """The problem of the red pixels, with the black ones eliminated; see `coupled`. x is corrected in place.

    Parameters
    ----------
    pixels : _Pixels
    parts : list of (int, int)
        Runs of pixels of one colour that are worked on at once.
    factors : list of BlockCholesky
        Of each run.
    mu2 : float
    x : Tensor, shape (Q, M, 2)
    """

    pixels: _Pixels
    parts: list[tuple[int, int]]
    factors: list[BlockCholesky]
    mu2: float
    x: Tensor

    @classmethod
    def of(cls, pixels: _Pixels, mu2: float, x: Tensor, memory: int) -> _RedPixels:
        """Factorise N_p + mu^2 deg_p of every pixel, and keep on the device what there is room for."""
        room, step = int(_FOR_FACTORS * memory), int(_FOR_WORK * memory)
        parts = list(runs(pixels.needs[: pixels.red], step))
        parts += [(i + pixels.red, j + pixels.red) for i, j in runs(pixels.needs[pixels.red :], step)]
        factors = []
        for i, j in parts:
            some = slice(i, j)
            weights = pixels.weights[int(pixels.begin[i]) : int(pixels.begin[j])]
            band = pixels.normal(pixels.rows(i, j), weights, some)
            band[..., -1] += mu2 * pixels.ties(some)
            factor = BlockCholesky.of(band)
            if not bool(factor.good.all()):
                raise np.linalg.LinAlgError("the equations of a pixel are singular")
            room -= factor.nbytes
            factors.append(factor if room >= 0 else factor.to("cpu"))
        return cls(pixels, parts, factors, mu2, x)

    def improve(self, tolerance: float, reference: float) -> tuple[float, float, int]:
        """Form the residual from the data and correct x by conjugate gradients; see `coupled`."""
        pixels, mu2 = self.pixels, self.mu2
        red, black = slice(0, pixels.red), slice(pixels.red, None)
        r = self._residual()
        # Whole arrays, of which one colour holds zeros, because neighbours are of the other one.
        w, d = self.x.new_zeros(r.shape), self.x.new_zeros(r.shape)
        w[black] = self._solve(r[black], red=False)
        g = r[red] + mu2 * pixels.around(w, red)
        z = self._solve(g, red=True)
        rho = float((g * z).sum())
        before = max(float((r[black] * w[black]).sum()) + rho, 0.0) ** 0.5 if isfinite(rho) else inf
        goal = tolerance * max(before, reference)
        d[red], q, change = z, g, self.x.new_zeros(r.shape)
        made = 0
        while rho > goal * goal and made < MOST_ITERATIONS:
            w[black] = self._solve(mu2 * pixels.around(d, black), red=False)
            product = q - mu2 * pixels.around(w, red)
            step = rho / float((d[red] * product).sum())
            change[red] += step * d[red]
            g = g - step * product
            z = self._solve(g, red=True)
            old, rho = rho, float((g * z).sum())
            d[red] = z + (rho / old) * d[red]
            q = g + (rho / old) * q
            made += 1
        change[black] = self._solve(r[black] + mu2 * pixels.around(change, black), red=False)
        self.x.add_(change)
        return before, max(rho, 0.0) ** 0.5, made

    def _solve(self, r: Tensor, *, red: bool) -> Tensor:
        """Give P^-1 r for all pixels of a colour, r being given for these."""
        import torch

        out, begin = [], 0 if red else self.pixels.red
        for (i, j), factor in zip(self.parts, self.factors, strict=True):
            if (i < self.pixels.red) == red:
                out.append(factor.to(r.device).solve(r[i - begin : j - begin]))
        return torch.cat(out) if out else r

    def _residual(self) -> Tensor:
        """Give b - A x, from residuals of the observations and differences: nothing large cancels."""
        pixels, x = self.pixels, self.x
        out = self.mu2 * pixels.around(x, slice(None), x)
        for i, j in self.parts:
            here = slice(int(pixels.begin[i]), int(pixels.begin[j]))
            rows, now = pixels.rows(i, j), x[i:j]
            left = pixels.data[here] - rows.predict(now)
            out[i:j] += rows.project(pixels.weights[here], left)
            out[i:j] -= difference_gradient(now, pixels.order, pixels.penalty[i:j])
        return out


def _variance_ratio(
    pixels: _Pixels, numbers: NDArray[np.int64], mu2: float, quadrature: Quadrature
) -> Tensor:
    """Give the variance over that without neighbours, shape (W, M), of some pixels, in ascending order.

    See `itslive_core.neighbours.equations.variance_ratios`.
    """
    import torch

    device = str(pixels.weights.device)
    some = to_device(numbers, device)
    first, end = int(numbers[0]), int(numbers[-1]) + 1
    wanted = torch.zeros(end - first, dtype=torch.bool, device=some.device)
    wanted[some - first] = True
    rows, kept = pixels.rows(first, end).keep(wanted)
    weights = pixels.weights[int(pixels.begin[first]) : int(pixels.begin[end])][kept]
    normal = pixels.normal(rows, weights, some)
    neighbours = pixels.ties(some) / pixels.degree[some].clamp(min=1.0)[:, None]

    def variance(band: Tensor) -> Tensor:
        factor = BlockCholesky.of(band)
        return factor.selected_inverse(0)[..., 0].where(factor.good[:, None], np.nan)

    alone = variance(normal)
    together = torch.zeros_like(alone)
    for node, share in zip(*(to_device(part.T, device) for part in quadrature), strict=True):
        band = normal.clone()
        band[..., -1] += mu2 * node[:, None] * neighbours
        together += share[:, None] * variance(band)
    return (together / alone).where(pixels.inside[some], np.nan)
