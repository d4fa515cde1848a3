"""Choice of lambda for many pixels at once, in torch, by the rules of `smoothing_search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.torch_assembly import add_penalty, difference_energy, penalty_trace
from itslive_core.bands.torch_band import BlockCholesky
from itslive_core.inversion.search import (
    COARSE_STEP,
    EVIDENCE,
    FLAT,
    GRAIN,
    TIE,
    TOLERANCE,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Criterion", "search"]

_STEP_FROM_GUESS = 0.2
_PARABOLAS = 16


@dataclass(frozen=True, eq=False)
class Criterion:
    """What a choice of lambda minimises, at P pixels: see `smoothing_search.criterion` for the formulas.

    Parameters
    ----------
    kind : int
        `EVIDENCE` or `GCV`.
    band : Tensor, shape (P, M, b + 1)
        A'WA as lower bands.
    rhs : Tensor, shape (P, M, 2)
        A'Wd.
    squares : Tensor, shape (P, 2)
        d'Wd per component.
    count : Tensor, shape (P,)
        Sum of the robust weights.
    sizes : Tensor of int64, shape (P,)
        Cells of each pixel.
    order : int
        k.
    scale : float
        h^k.
    room : int
        Most matrices to factorise at once.
    """

    kind: int
    band: Tensor
    rhs: Tensor
    squares: Tensor
    count: Tensor
    sizes: Tensor
    order: int
    scale: float
    room: int

    def take(self, pixels: Tensor) -> Criterion:
        """Keep some pixels; bool, shape (P,)."""
        return Criterion(
            kind=self.kind,
            band=self.band[pixels],
            rhs=self.rhs[pixels],
            squares=self.squares[pixels],
            count=self.count[pixels],
            sizes=self.sizes[pixels],
            order=self.order,
            scale=self.scale,
            room=self.room,
        )

    def at(self, pixels: Tensor, log_smoothing: Tensor) -> Tensor:
        """Evaluate it for some pixels, each as often as it is named.

        Parameters
        ----------
        pixels : Tensor of int64, shape (q,)
        log_smoothing : Tensor, shape (q,)
            log10 lambda.

        Returns
        -------
        Tensor, shape (q,)
            Infinite where the matrix cannot be factorised.
        """
        import torch

        if len(pixels) == 0:
            return log_smoothing.new_empty(0)
        parts = zip(pixels.split(self.room), log_smoothing.split(self.room), strict=True)
        return torch.cat([self._some(p, x) for p, x in parts])

    def _some(self, pixels: Tensor, log_smoothing: Tensor) -> Tensor:
        order, sizes, rhs = self.order, self.sizes[pixels], self.rhs[pixels]
        alpha = (10.0**log_smoothing / self.scale) ** 2
        band = self.band[pixels]
        add_penalty(band, sizes, order, alpha)
        factor = BlockCholesky.of(band)
        del band
        solution = factor.solve(rhs)
        squares, n = self.squares[pixels], self.count[pixels]
        q = squares - (rhs * solution).sum(dim=1)
        least = 1e-12 * squares + 1e-300
        if self.kind == EVIDENCE:
            fit = (n - order) * q.maximum(least).log().sum(dim=1)
            value = fit + 2.0 * (factor.log_determinant() - (sizes - order) * alpha.log())
        else:
            edf = sizes - alpha * penalty_trace(factor.selected_inverse(order), sizes, order)
            q = q - difference_energy(solution, sizes, order, alpha)
            value = n * (q.maximum(least).log().sum(dim=1) - 4.0 * (n - edf).clamp(min=1e-9).log())
        return value.where(factor.good, np.inf)


def search(criterion: Criterion, low: float, high: float, guess: Tensor) -> Tensor:
    """Find the log10 lambda that minimises the criterion, at every pixel by the rules of one.

    Parameters
    ----------
    criterion : Criterion
        At P pixels.
    low, high : float
        Limits of log10 lambda.
    guess : Tensor, shape (P,)
        Earlier results; or NaN, for all of them.

    Returns
    -------
    Tensor, shape (P,)
        log10 lambda; NaN where the criterion cannot be evaluated anywhere.
    """
    import torch

    every = torch.arange(len(guess), device=guess.device)
    fresh = bool(guess.isnan().any())
    if fresh:
        best = _coarse(criterion, low, high, every)
        step = COARSE_STEP
    else:
        x = guess.clamp(low, high)
        best, step = _Points(x, criterion.at(every, x)), _STEP_FROM_GUESS
    found = best.f < np.inf
    # Both sides of all pixels at once.
    both = torch.cat([best.x - step, best.x + step])
    sides = torch.full_like(both, np.inf)
    inside = torch.cat([found, found]) & (both >= low) & (both <= high)
    sides[inside] = criterion.at(every.repeat(2)[inside], both[inside])
    left, right = (_Points(x, f) for x, f in zip(both.chunk(2), sides.chunk(2), strict=True))
    best, left, right = _walk(criterion, (low, high), found, best, left, right, -step)
    best, right, left = _walk(criterion, (low, high), found, best, right, left, step)
    bracketed = found & (left.f < np.inf) & (right.f < np.inf)
    bracketed &= left.f.minimum(right.f) >= best.f + FLAT
    out = best.x.where(found, np.nan)
    if bool(bracketed.any()):
        part = criterion.take(bracketed)
        out[bracketed] = _parabolas(part, *(points.take(bracketed) for points in (best, left, right)))
    return out


class _Points(NamedTuple):
    """A point of every pixel, and the criterion there; both of shape (P,)."""

    x: Tensor
    f: Tensor

    def take(self, pixels: Tensor) -> _Points:
        return _Points(self.x[pixels], self.f[pixels])

    def where(self, pixels: Tensor, other: _Points) -> _Points:
        """Keep these points at some pixels, take the other ones elsewhere."""
        return _Points(self.x.where(pixels, other.x), self.f.where(pixels, other.f))


def _coarse(criterion: Criterion, low: float, high: float, every: Tensor) -> _Points:
    """Look at the whole range in steps of a decade: all pixels and steps at once."""
    import torch

    steps = int(np.ceil((high - low) / (2.0 * COARSE_STEP)))
    candidates = [low + (high - low) * i / steps for i in range(steps + 1)]
    x = criterion.squares.new_tensor(candidates).repeat_interleave(len(every))
    values = criterion.at(every.repeat(steps + 1), x).view(steps + 1, -1)
    best_x, best_f = torch.full_like(values[0], np.nan), torch.full_like(values[0], np.inf)
    for candidate, f in zip(candidates, values, strict=True):
        better = f < best_f - TIE
        best_x, best_f = best_x.masked_fill(better, candidate), f.where(better, best_f)
    return _Points(best_x, best_f)


def _walk(
    criterion: Criterion,
    limits: tuple[float, float],
    found: Tensor,
    best: _Points,
    ahead: _Points,
    behind: _Points,
    step: float,
) -> tuple[_Points, _Points, _Points]:
    """Go on in one direction while it is downhill; returns the best points, those ahead and those behind."""
    import torch

    while True:
        go = found & (ahead.f < best.f - TIE)
        if not bool(go.any()):
            return best, ahead, behind
        behind, best = best.where(go, behind), ahead.where(go, best)
        x = best.x + step
        f = torch.full_like(x, np.inf)
        inside = go & (x >= limits[0]) & (x <= limits[1])
        f[inside] = criterion.at(inside.nonzero()[:, 0], x[inside])
        ahead = _Points(x, f).where(go, ahead)


def _parabolas(criterion: Criterion, best: _Points, left: _Points, right: _Points) -> Tensor:
    """Close in on the minimum between brackets; see `smoothing_search.search`."""
    import torch

    open_ = torch.ones_like(best.x, dtype=torch.bool)
    for _ in range(_PARABOLAS):
        a = (best.x - left.x) * (best.f - right.f)
        b = (best.x - right.x) * (best.f - left.f)
        vertex = best.x - 0.5 * ((best.x - left.x) * a - (best.x - right.x) * b) / (a - b)
        x = vertex.where(a != b, best.x)
        probe = ~((left.x < x) & (x < right.x)) | ((x - best.x).abs() < TOLERANCE)
        wide_right = right.x - best.x > best.x - left.x
        aside = (best.x + TOLERANCE).where(wide_right, best.x - TOLERANCE)
        room = (right.x - best.x).where(wide_right, best.x - left.x)
        x = aside.where(probe, x)
        open_ &= ~(probe & (room < 2.0 * TOLERANCE))
        if not bool(open_.any()):
            break
        f = torch.full_like(x, np.inf)
        f[open_] = criterion.at(open_.nonzero()[:, 0], x[open_])
        new = _Points(x, f)
        better, below = open_ & (f < best.f), x < best.x
        worse = open_ & ~(f < best.f)
        right = best.where(better & below, new.where(worse & ~below, right))
        left = best.where(better & ~below, new.where(worse & below, left))
        best = new.where(better, best)
    return (best.x * GRAIN).round() / GRAIN
