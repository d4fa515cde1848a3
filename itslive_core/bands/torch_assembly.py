"""Normal equations of the span operator for many pixels at once, in torch.

The same sums as in `itslive_core.bands.assembly`: marks of non-negative weights, spread by one running
sum along the rows of the band and one along its columns. Both run over the last axis of one array, because
a band held by rows with a few rows in front is, read with another stride, the same band held by columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "SpanRows",
    "add_differences",
    "add_penalty",
    "difference_energy",
    "difference_gradient",
    "penalty_gradient",
    "penalty_trace",
]


@dataclass(frozen=True, eq=False)
class SpanRows:
    """Rows of the span operator of the observations of P pixels, one pixel after the other.

    Parameters
    ----------
    sizes : Tensor of int64, shape (P,)
        Cells of each pixel; cells are counted from the first one of each.
    cells, reach : int
        Cells of the arrays, M, at least the largest size; and half-bandwidth b, at least the largest
        distance of two cells of one pair.
    own : Tensor of int64, shape (n,)
        Pixel of each observation, ascending.
    first, last : Tensor of int64, shape (n,)
    head, tail, rate : Tensor of float64, shape (n,)
        As in `itslive_core.observations.time_grid.SpanOperator`.
    """

    sizes: Tensor
    cells: int
    reach: int
    own: Tensor
    first: Tensor
    last: Tensor
    head: Tensor
    tail: Tensor
    rate: Tensor

    @property
    def pixels(self) -> int:
        """P."""
        return len(self.sizes)

    def keep(self, pixels: Tensor) -> tuple[SpanRows, Tensor]:
        """Keep some pixels; the arrays stay as long as they are.

        Parameters
        ----------
        pixels : Tensor of bool, shape (P,)

        Returns
        -------
        rows : SpanRows
        kept : Tensor of bool, shape (n,)
            Which observations are left.
        """
        kept = pixels[self.own]
        number = pixels.cumsum(0) - 1
        columns = (self.first, self.last, self.head, self.tail, self.rate)
        return SpanRows(
            self.sizes[pixels], self.cells, self.reach, number[self.own[kept]], *(c[kept] for c in columns)
        ), kept

    def total(self, values: Tensor) -> Tensor:
        """Add up values of observations by pixel: (n, ...) -> (P, ...)."""
        return values.new_zeros(self.pixels, *values.shape[1:]).index_add_(0, self.own, values)

    def median(self, values: Tensor) -> Tensor:
        """Give the median of values, shape (n,), of each pixel, shape (P,)."""
        import torch

        counts = torch.bincount(self.own, minlength=self.pixels)
        order = values.argsort()
        ordered = values[order[self.own[order].argsort(stable=True)]]
        begin = counts.cumsum(0) - counts
        low, high = (counts - 1).clamp(min=0) // 2, counts // 2
        top = max(len(values) - 1, 0)
        return 0.5 * (ordered[(begin + low).clamp(max=top)] + ordered[(begin + high).clamp(max=top)])

    def normal_band(self, weights: Tensor) -> Tensor:
        """Form A'WA.

        Parameters
        ----------
        weights : Tensor, shape (n,)

        Returns
        -------
        Tensor, shape (P, M, b + 1)
            Lower bands by rows.
        """
        spread = self.last > self.first
        f, g, p, q = (c[spread] for c in (self.head, self.tail, self.first, self.last))
        own, c = self.own[spread], (weights * self.rate**2)[spread]
        long = (q - p >= 2).to(c.dtype)
        marks, at = self._marks(), self._place(own, p, q - p)
        wide = self.reach + 1
        marks.index_add_(0, at, c * f * g)
        marks.index_add_(0, at + 1, c * f * (1.0 - g))
        marks.index_add_(0, at + 1 + wide, c * (1.0 - f) * g)
        marks.index_add_(0, at + 1 + wide + (q - p >= 2), c * (1.0 - f) * (1.0 - g) * long)
        band = self._spread(marks).cumsum(dim=-1)
        diagonal = weights.new_zeros(self.pixels * self.cells)
        diagonal.index_add_(0, own * self.cells + p, c * f * (f - 1.0))
        diagonal.index_add_(0, own * self.cells + q, c * g * (g - 1.0))
        diagonal.index_add_(0, (self.own * self.cells + self.first)[~spread], weights[~spread])
        band[..., -1] += diagonal.view(self.pixels, self.cells)
        return band

    def project(self, weights: Tensor, values: Tensor) -> Tensor:
        """Form A'W d, without running sums of signed numbers along the series.

        Parameters
        ----------
        weights : Tensor, shape (n,)
        values : Tensor, shape (n, c)

        Returns
        -------
        Tensor, shape (P, M, c)
        """
        spread = self.last > self.first
        long = self.last - self.first >= 2
        wide, at = self.reach + 1, self.own * self.cells + self.first
        inside = self._place(self.own[long], self.first[long], (self.last - self.first)[long]) + wide + 2
        to = (self.own * self.cells + self.last)[spread]
        out = []
        for column in values.unbind(dim=1):
            whole = weights * column
            part = whole * self.rate
            line = whole.new_zeros(self.pixels * self.cells)
            line.index_add_(0, at, whole.where(~spread, self.head * part))
            line.index_add_(0, to, (self.tail * part)[spread])
            marks = self._marks().index_add_(0, inside, part[long])
            out.append(line.view(self.pixels, self.cells) + self._spread(marks).sum(dim=-1))
        return _stack(out)

    def predict(self, series: Tensor) -> Tensor:
        """Average series over every span, A v.

        Parameters
        ----------
        series : Tensor, shape (P, M, c)

        Returns
        -------
        Tensor, shape (n, c)
        """
        count = series.shape[2]
        total = series.new_zeros(self.pixels, self.cells + 1, count)
        total[:, 1:] = series.cumsum(dim=1)
        flat, sums = series.reshape(-1, count), total.view(-1, count)
        at, above = self.own * self.cells, self.own * (self.cells + 1)
        begin = flat[at + self.first]
        between = sums[above + self.last] - sums[above + self.first + 1]
        tail = self.tail[:, None] * flat[at + self.last]
        spread = self.rate[:, None] * (self.head[:, None] * begin + between + tail)
        return begin.where((self.first == self.last)[:, None], spread)

    def _marks(self) -> Tensor:
        """Make room for the upper band by rows, diagonal last, behind b rows for the other way to read it."""
        return self.head.new_zeros(self.pixels * (self.reach + self.cells) * (self.reach + 1))

    def _place(self, own: Tensor, row: Tensor, offset: Tensor) -> Tensor:
        return (own * (self.reach + self.cells) + self.reach + row) * (self.reach + 1) + self.reach - offset

    def _spread(self, marks: Tensor) -> Tensor:
        """Sum rows from far to near; return it by columns: [j, t] is row j - b + t, columns j and beyond."""
        wide = self.reach + 1
        rows = marks.view(self.pixels, self.reach + self.cells, wide).cumsum(dim=-1)
        return rows.as_strided(
            (self.pixels, self.cells, wide), ((self.reach + self.cells) * wide, wide, wide + 1)
        )


def _stack(columns: list[Tensor]) -> Tensor:
    import torch

    return torch.stack(columns, dim=-1)


def _factors(sizes: Tensor, cells: int, order: int, alpha: Tensor) -> Tensor:
    """Give alpha for each difference of each pixel, 0 beyond its cells: shape (P, M - k)."""
    import torch

    number = torch.arange(max(cells - order, 0), device=sizes.device)
    return alpha[:, None] * (number < (sizes - order)[:, None])


def add_penalty(band: Tensor, sizes: Tensor, order: int, alpha: Tensor) -> None:
    """Add alpha D_k'D_k to lower bands, and 1 to the diagonal beyond the cells of a pixel.

    Parameters
    ----------
    band : Tensor, shape (P, M, b + 1)
        Changed in place; b >= k.
    sizes : Tensor of int64, shape (P,)
        Cells of each pixel.
    order : int
        k, 1 or 2.
    alpha : Tensor, shape (P,)
    """
    import torch

    cells = band.shape[1]
    band[..., -1] += torch.arange(cells, device=sizes.device) >= sizes[:, None]
    add_differences(band, order, _factors(sizes, cells, order, alpha))


def add_differences(band: Tensor, order: int, a: Tensor) -> None:
    """Add D_k' diag(a) D_k to lower bands.

    Parameters
    ----------
    band : Tensor, shape (P, M, b + 1)
        Changed in place; b >= k.
    order : int
        k, 1 or 2.
    a : Tensor, shape (P, max(M - k, 0))
        Factor of each difference.
    """
    if a.shape[1] == 0:
        return
    diagonal = band[..., -1]
    if order == 1:
        diagonal[:, :-1] += a
        diagonal[:, 1:] += a
        band[:, 1:, -2] -= a
        return
    diagonal[:, :-2] += a
    diagonal[:, 1:-1] += 4.0 * a
    diagonal[:, 2:] += a
    band[:, 1:-1, -2] -= 2.0 * a
    band[:, 2:, -2] -= 2.0 * a
    band[:, 2:, -3] += a


def _differences(series: Tensor, order: int) -> Tensor:
    steps = series[:, 1:] - series[:, :-1]
    return steps if order == 1 else steps[:, 1:] - steps[:, :-1]


def penalty_gradient(series: Tensor, sizes: Tensor, order: int, alpha: Tensor) -> Tensor:
    """Give alpha D_k'D_k v for series of shape (P, M, c); other parameters as for `add_penalty`."""
    return difference_gradient(series, order, _factors(sizes, series.shape[1], order, alpha))


def difference_gradient(series: Tensor, order: int, a: Tensor) -> Tensor:
    """Give D_k' diag(a) D_k v for series of shape (P, M, c); other parameters as for `add_differences`."""
    out = series.new_zeros(series.shape)
    if a.shape[1] == 0:
        return out
    d = a[..., None] * _differences(series, order)
    if order == 1:
        out[:, :-1] -= d
        out[:, 1:] += d
    else:
        out[:, :-2] += d
        out[:, 1:-1] -= 2.0 * d
        out[:, 2:] += d
    return out


def difference_energy(series: Tensor, sizes: Tensor, order: int, alpha: Tensor) -> Tensor:
    """Give alpha |D_k v|^2, shape (P, c); parameters as for `penalty_gradient`."""
    a = _factors(sizes, series.shape[1], order, alpha)[..., None]
    if a.shape[1] == 0:
        return series.new_zeros(series.shape[0], series.shape[2])
    return (a * _differences(series, order) ** 2).sum(dim=1)


def penalty_trace(inverse: Tensor, sizes: Tensor, order: int) -> Tensor:
    """Give trace(D_k'D_k Z), shape (P,).

    Parameters
    ----------
    inverse : Tensor, shape (P, M, >= k + 1)
        Lower bands of Z, from `BlockCholesky.selected_inverse`.
    sizes : Tensor of int64, shape (P,)
    order : int
    """
    z = inverse.unbind(dim=-1)
    a = _factors(sizes, inverse.shape[1], order, inverse.new_ones(len(sizes)))
    if a.shape[1] == 0:
        return inverse.new_zeros(len(sizes))
    if order == 1:
        d = z[-1][:, :-1] - 2.0 * z[-2][:, 1:] + z[-1][:, 1:]
    else:
        d = z[-1][:, :-2] + 4.0 * z[-1][:, 1:-1] + z[-1][:, 2:]
        d = d - 4.0 * z[-2][:, 1:-1] + 2.0 * z[-3][:, 2:] - 4.0 * z[-2][:, 2:]
    return (a * d).sum(dim=1)
