"""The GPU solver: all pixels of a batch at once, as block tridiagonal matrices, in torch.

The rules are those of `itslive_core.inversion.banded`, and so are the results, to rounding. Pixels of one
batch differ in the cells that their pairs touch: each has its own range, filled up with rows of the unit
matrix, and the band is as wide as the widest needs. Pixels that are done leave the batch between robust
passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.torch_assembly import SpanRows, add_penalty, penalty_gradient, penalty_trace
from itslive_core.bands.torch_band import BlockCholesky
from itslive_core.bands.torch_memory import device_lock, in_batches, memory_for
from itslive_core.inversion.search import EVIDENCE, FIXED, GCV
from itslive_core.inversion.solver import (
    FAILED,
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    SETTLED,
    SOLVED,
    STIFF,
    STIFFEST,
    TOO_FEW,
    BatchResult,
    PixelBatch,
    SolveOptions,
    smoothing_limits,
)
from itslive_core.inversion.torch.feed import Feed
from itslive_core.inversion.torch.search import Criterion, search
from itslive_core.support.student import COMPONENTS, FREEDOM, MEDIAN_SQUARE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["BlockTridiagonalSolver", "multiplications"]

_REFINEMENTS = 5
_USUAL_PASSES, _USUAL_CANDIDATES = 5, 20


def multiplications(pixels: int, operator: SpanOperator, options: SolveOptions) -> float:
    """Estimate the work of a batch: rows times squared half-bandwidth, over all matrices.

    Parameters
    ----------
    pixels : int
    operator : SpanOperator
        Rows of their pairs.
    options : SolveOptions
    """
    matrices = _USUAL_PASSES if options.robust else 1
    if isinstance(options.smoothing, str):
        matrices += _USUAL_CANDIDATES * (4 if options.smoothing == "gcv" else 1)
    # A selected inverse takes about as long as four factors.
    matrices += 4 if options.uncertainty else 0
    return float(pixels * matrices * operator.grid.size) * operator.bandwidth**2


class BlockTridiagonalSolver:
    """Solves the pixels of a batch together on a torch device; one thread at a time uses the device.

    Parameters
    ----------
    device : str
        A torch device: ``"cuda"``, or ``"cpu"``, where the compiled band solver is several times faster and
        this one serves to be tested.
    memory : int, optional
        Most memory of a batch [bytes]; by default most of what is free on a GPU.
    """

    def __init__(self, device: str = "cuda", *, memory: int | None = None) -> None:
        self.device, self.memory = device, memory

    def solve(self, batch: PixelBatch, options: SolveOptions) -> BatchResult:
        """Estimate every pixel of a batch.

        Parameters
        ----------
        batch : PixelBatch
        options : SolveOptions
            That learn nothing but lambda, by ``"evidence"`` or ``"gcv"``.

        Returns
        -------
        BatchResult

        Raises
        ------
        ValueError
            If the options ask for more to be learnt.
        SettingsError
            If not even one pixel fits into the device's memory.
        """
        if options.learns:
            raise ValueError("this solver learns no noise, offsets or changes of smoothing: see SolveOptions")
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        task = _Task.of(options, batch.operator.grid.interval)
        feed = Feed.of(batch, options.derivative, result, self.device)
        if len(feed.pixels):
            with device_lock(self.device):
                memory = memory_for(self.device) if self.memory is None else self.memory
                in_batches(
                    feed.needs,
                    memory,
                    lambda i, j, room: _Group(
                        feed=feed, i=i, j=j, room=room, task=task, result=result
                    ).solve(),
                    self.device,
                )
        if not isinstance(options.smoothing, str):
            result.smoothing[result.status != TOO_FEW] = options.smoothing  # not the power of its logarithm
        return result


@dataclass(frozen=True)
class _Task:
    """What is asked for, in the words of `banded`."""

    order: int
    scale: float
    kind: int
    log_smoothing: float
    low: float
    high: float
    robust: bool
    uncertainty: bool

    @classmethod
    def of(cls, options: SolveOptions, interval: float) -> _Task:
        if isinstance(options.smoothing, str):
            kind, log_smoothing = {"evidence": EVIDENCE, "gcv": GCV}[options.smoothing], np.nan
        else:
            kind, log_smoothing = FIXED, float(np.log10(options.smoothing))
        low, high = np.log10(smoothing_limits(options.derivative, interval))
        return cls(
            order=options.derivative,
            scale=interval**options.derivative,
            kind=kind,
            log_smoothing=log_smoothing,
            low=float(low),
            high=float(high),
            robust=options.robust,
            uncertainty=options.uncertainty,
        )


@dataclass(eq=False)
class _Group:
    """Pixels i:j of a feed, while they are solved together; there is room for so many matrices at once."""

    feed: Feed
    i: int
    j: int
    room: int
    task: _Task
    result: BatchResult

    def solve(self) -> None:
        """Make robust passes until every pixel is done; results are written as pixels leave."""
        import torch

        task, feed = self.task, self.feed
        rows = feed.rows(self.i, self.j)
        here = slice(int(feed.begin[self.i]), int(feed.begin[self.j]))
        data, weights = feed.data[here], feed.weights[here]
        state = _State(
            numbers=torch.arange(self.i, self.j, device=data.device),
            places=torch.arange(here.start, here.stop, device=data.device),
            choice=data.new_full((rows.pixels,), task.log_smoothing),
            choosing=torch.full((rows.pixels,), task.kind != FIXED, device=data.device),
            calm=torch.zeros(rows.pixels, dtype=torch.int32, device=data.device),
            before=data.new_zeros(rows.pixels, rows.cells, 2),
            typical=rows.median(weights.rsqrt()),
            scale=data.new_zeros(rows.pixels),
            u=torch.ones_like(weights),
        )
        for turn in range(MAX_PASSES + 1):
            w = weights * state.u
            band, rhs = rows.normal_band(w), rows.project(w, data)
            data_part = band[..., -1].sum(dim=1) / rows.sizes
            if bool(state.choosing.any()):
                squares = rows.total(w[:, None] * data**2)
                self._choose(
                    state,
                    Criterion(
                        kind=task.kind,
                        band=band,
                        rhs=rhs,
                        squares=squares,
                        count=rows.total(state.u),
                        sizes=rows.sizes,
                        order=task.order,
                        scale=task.scale,
                        room=self.room,
                    ),
                )
            alpha = ((10.0**state.choice / task.scale) ** 2).minimum(STIFFEST * data_part)
            add_penalty(band, rows.sizes, task.order, alpha)
            factor = BlockCholesky.of(band)
            del band
            failed = state.choice.isnan() | ~factor.good
            now = factor.solve(rhs)
            residual = data - rows.predict(now)
            stiff = (alpha > STIFF * data_part) & ~failed
            if bool(stiff.any()):
                now, residual = _refine(rows, w, data, task.order, alpha, factor, now, residual, stiff)
            done = failed | torch.full_like(failed, not task.robust or turn == MAX_PASSES)
            if turn > 0:
                moved = (now - state.before).square().sum(dim=2).sqrt().amax(dim=1)
                done |= moved <= MOVE_TOLERANCE * state.typical * state.scale
            if bool(done.any()):
                leaving = _Leaving(
                    rows=rows,
                    state=state,
                    w=w,
                    alpha=alpha,
                    factor=factor,
                    failed=failed,
                    now=now,
                    residual=residual,
                )
                self._finish(leaving, done, turn)
            if bool(done.all()):
                return
            del factor
            left = ~done
            rows, kept = rows.keep(left)
            data, weights, residual = data[kept], weights[kept], residual[kept]
            u, scale = _robust_weights(rows, weights, residual)
            state = state.keep(left, kept, now[left], scale, u)

    def _choose(self, state: _State, criterion: Criterion) -> None:
        """Choose lambda again where it has not settled."""
        task, choosing = self.task, state.choosing
        if not bool(choosing.all()):
            criterion = criterion.take(choosing)
        old = state.choice[choosing]
        new = search(criterion, task.low, task.high, old)
        state.choice[choosing] = new
        state.calm[choosing] = (state.calm[choosing] + 1) * ((new - old).abs() < SETTLED)
        state.choosing = choosing & task.robust & (state.calm < 2)

    def _finish(self, all_: _Leaving, done: Tensor, turn: int) -> None:
        """Write the results of the pixels that are done."""
        result, task, feed = self.result, self.task, self.feed
        state, solved = all_.state, done & ~all_.failed
        numbers = state.numbers[done].cpu().numpy()
        failed = all_.failed[done].cpu().numpy()
        p = feed.pixels[numbers]
        result.smoothing[p] = 10.0 ** state.choice[done].cpu().numpy()
        result.status[p] = np.where(failed, FAILED, SOLVED)
        # A pass that fails does not count.
        result.passes[p] = turn - (failed & (turn > 0))
        own = done[all_.rows.own]
        result.robust_weights[feed.index[state.places[own].cpu().numpy()]] = state.u[own].cpu().numpy()
        if not bool(solved.any()):
            return
        q = state.numbers[solved].cpu().numpy()
        self._write(result.values, q, all_.now[solved])
        if not task.uncertainty:
            return
        rows, kept = all_.rows.keep(solved)
        inverse = all_.factor.take(solved).selected_inverse(task.order)
        edf = rows.sizes - all_.alpha[solved] * penalty_trace(inverse, rows.sizes, task.order)
        left = rows.total(state.u[kept]) - edf
        squares = rows.total(all_.w[kept, None] * all_.residual[kept] ** 2)
        scatter = (squares / left[:, None]).sqrt()
        known = (left > 0.0)[:, None] & (scatter > 0.0)
        std = scatter.where(known, np.nan)[:, None, :] * inverse[..., -1:].sqrt()
        self._write(result.std, q, std)
        result.edf[feed.pixels[q]] = edf.cpu().numpy()
        result.status[feed.pixels[q]] = np.where(known.all(dim=1).cpu().numpy(), SOLVED, NO_FREEDOM)

    def _write(self, target: NDArray[np.float64], numbers: NDArray[np.int64], series: Tensor) -> None:
        """Write series of shape (q, M, 2) to the cells that a pair overlaps."""
        feed = self.feed
        for q, values in zip(numbers, series.cpu().numpy(), strict=True):
            p, size = feed.pixels[q], feed.sizes[q]
            cells = slice(feed.cell0[q], feed.cell0[q] + size)
            target[p, :, cells] = np.where(self.result.count[p, cells] > 0, values[:size].T, np.nan)


@dataclass(eq=False)
class _State:
    """What is known of the pixels that are still at work, shape (P, ...), and of their pairs, (n,)."""

    numbers: Tensor
    places: Tensor
    choice: Tensor
    choosing: Tensor
    calm: Tensor
    before: Tensor
    typical: Tensor
    scale: Tensor
    u: Tensor

    def keep(self, pixels: Tensor, pairs: Tensor, before: Tensor, scale: Tensor, u: Tensor) -> _State:
        return _State(
            numbers=self.numbers[pixels],
            places=self.places[pairs],
            choice=self.choice[pixels],
            choosing=self.choosing[pixels],
            calm=self.calm[pixels],
            before=before,
            typical=self.typical[pixels],
            scale=scale,
            u=u,
        )


@dataclass(frozen=True, eq=False)
class _Leaving:
    """A pass over the pixels of a group, some of which leave it."""

    rows: SpanRows
    state: _State
    w: Tensor
    alpha: Tensor
    factor: BlockCholesky
    failed: Tensor
    now: Tensor
    residual: Tensor


def _robust_weights(rows: SpanRows, weights: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Give robust weights, shape (n,), and their scale, (P,): see `itslive_core.support.student.reweight`."""
    square = weights * (residual**2).sum(dim=1)
    variance = rows.median(square) / MEDIAN_SQUARE
    known = (variance > 0.0)[rows.own]
    u = (FREEDOM + COMPONENTS) / (FREEDOM + square / variance.where(variance > 0.0, 1.0)[rows.own])
    return u.where(known, 1.0), variance.sqrt()


def _refine(
    rows: SpanRows,
    w: Tensor,
    data: Tensor,
    order: int,
    alpha: Tensor,
    factor: BlockCholesky,
    now: Tensor,
    residual: Tensor,
    stiff: Tensor,
) -> tuple[Tensor, Tensor]:
    """Improve solutions under a stiff penalty; see `pixel_fit.PixelSystem`."""
    for _ in range(_REFINEMENTS):
        slope = rows.project(w, residual) - penalty_gradient(now, rows.sizes, order, alpha)
        step = factor.solve(slope).where(stiff[:, None, None], 0.0)
        now = now + step
        residual = data - rows.predict(now)
        stiff = stiff & ~(step.abs().amax(dim=(1, 2)) <= 1e-12 * now.abs().amax(dim=(1, 2)))
        if not bool(stiff.any()):
            break
    return now, residual
