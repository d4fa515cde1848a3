"""Spatial smoothing: neighbouring pixels that help each other.

Adds mu^2 times the sum over edges between 4-neighbours of |v_p - v_q|^2 to the objective of the inversion,
over the cells that both pixels have and both components; mu is in the units of the weights, which are of
mean 1 over each pixel before robust factors and credit, learnt noise or not. Everything else is that of the
uncoupled estimate and held: weights, robust factors, noise, offsets, lambda and how it changes in time.
Neighbours outside the area or without an estimate drop out.

**Standard deviations.** Those of the uncoupled estimate, times the square root of

    rho + (1 - rho) diag(coupled) / diag(uncoupled)

with the diagonals of both posterior covariances (`CoupledPixels.variance_ratio`). rho is the correlation of
the noise of one pair at two neighbouring pixels, taken from residuals: what neighbours have in common does
not average out between them.

**Choice of mu.** A fifth of the pairs is held out, each at all pixels at once, because neighbours share
part of its noise. The mu whose series predict them best is taken, on a few blocks, once for a whole job.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.spans import Spans
from itslive_core.errors import ItsliveError
from itslive_core.inversion.judged_pairs import judged_pairs, pair_flags
from itslive_core.inversion.prepare import entered_weights, filter_block, solve_blocks
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED, observations_of
from itslive_core.neighbours.coupled import TOLERANCE, CoupledPixels
from itslive_core.neighbours.equations import Observed
from itslive_core.neighbours.torch_coupled import TorchCoupledPixels
from itslive_core.support.devices import pick_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.blocks import Block, PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = [
    "Patch",
    "PixelFits",
    "choose_coupling",
    "couple",
    "engine_for",
    "fit_blocks",
    "neighbour_correlation",
]

_SEARCH = np.geomspace(0.003, 3.0, 7)
"""Candidates for mu, half a decade apart; 0 is one too, and both sides of the best are tried at the end."""
_START = 2
"""From here it is downhill to the best candidate."""
_SEARCH_TOLERANCE = 1e-3
_HELD_OUT = 0.2
_SEED = 20
_MOST_MEMORY = 4e9


@dataclass(frozen=True, eq=False)
class PixelFits:
    """The uncoupled estimate of a block, and what it was made from.

    Parameters
    ----------
    block : Block
        P pixels.
    result : BatchResult
        Less what belongs to single observations.
    offsets : ndarray of int64, shape (P + 1,)
    pair : ndarray of int32, shape (n,)
    vx, vy : ndarray, shape (n,)
        Observations less the offsets of their missions [m/yr].
    weights : ndarray, shape (n,)
        With which they entered the solution.
    flags : ndarray of int16, shape (P, M)
        What is known of the pairs, see `itslive_core.series.quality.flags_of_pairs`.
    """

    block: Block
    result: BatchResult
    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    weights: NDArray[np.float64]
    flags: NDArray[np.int16]

    @property
    def used(self) -> NDArray[np.int64]:
        """Number of used pairs of each pixel, shape (P,)."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Memory it takes [bytes]."""
        result = self.result
        arrays: list[NDArray] = [
            self.offsets,
            self.pair,
            self.vx,
            self.vy,
            self.weights,
            self.flags,
            result.values,
            result.std,
        ]
        arrays += [result.count, result.covered]
        if result.learnt is not None:
            arrays.append(result.learnt.profile)
        return sum(a.nbytes for a in arrays)


def fit_blocks(
    blocks: Sequence[PixelBlock], shared: SharedPairs, settings: InversionSettings
) -> list[PixelFits]:
    """Filter and solve blocks in one batch, each pixel for itself.

    Parameters
    ----------
    blocks : sequence of PixelBlock
        Pairs already passed the filters on metadata.
    shared : SharedPairs
    settings : InversionSettings
    """
    used = [filter_block(pixels, shared, settings) for pixels in blocks]
    found = []
    for pixels, own, result in zip(blocks, used, solve_blocks(shared, used, settings), strict=True):
        offsets, pair, vx, vy = own
        flags = pair_flags(result, shared, own)
        weights = entered_weights(settings.weights, result, shared, offsets, pair)
        learnt = result.learnt
        if learnt is not None:
            judged = judged_pairs(result, shared, own)
            vx, vy = judged.vx, judged.vy
            learnt = replace(learnt, credit=np.empty(0), sigma=np.empty(0))
        # The weights are all that is needed of each observation from here on, and nothing of other blocks.
        kept = {name: getattr(result, name).copy() for name in ("values", "std", "count", "covered")}
        result = replace(result, **kept, robust_weights=np.empty(0), learnt=learnt)
        found.append(
            PixelFits(
                block=pixels.block,
                result=result,
                offsets=offsets,
                pair=pair,
                vx=vx,
                vy=vy,
                weights=weights,
                flags=flags,
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class Patch:
    """Estimated pixels of a rectangle, coupled to each other.

    Parameters
    ----------
    pixels : CoupledPixels
    number : ndarray of int64, shape of the rectangle
        Number of each pixel; -1 where there is no estimate.
    window : Block
        The rectangle.
    settings : InversionSettings
        Say where to compute.
    """

    pixels: CoupledPixels
    number: NDArray[np.int64]
    window: Block
    settings: InversionSettings

    @classmethod
    def join(
        cls, fits: Sequence[PixelFits], window: Block, shared: SharedPairs, settings: InversionSettings
    ) -> Patch:
        """Put the pixels of several blocks that lie in a rectangle into one problem.

        Parameters
        ----------
        fits : sequence of PixelFits
        window : Block
        shared : SharedPairs
        settings : InversionSettings
        """
        number = np.full(window.shape, -1, dtype=np.int64)
        picks = []
        n = 0
        for fit in fits:
            rows, cols = np.divmod(np.arange(len(fit.result.status)), fit.block.shape[1])
            rows, cols = rows + fit.block.row0 - window.row0, cols + fit.block.col0 - window.col0
            inside = (rows >= 0) & (rows < window.shape[0]) & (cols >= 0) & (cols < window.shape[1])
            pick = np.flatnonzero(inside & np.isin(fit.result.status, (SOLVED, NO_FREEDOM)))
            number[rows[pick], cols[pick]] = n + np.arange(len(pick))
            n += len(pick)
            picks.append(pick)
        some = [(fit, pick) for fit, pick in zip(fits, picks, strict=True) if len(pick)]
        if not some:
            some = [(fits[0], picks[0])]
        rows_of = [observations_of(fit.offsets, pick) for fit, pick in some]

        def gather(name: str) -> NDArray:
            columns = zip(some, rows_of, strict=True)
            return np.concatenate([getattr(fit, name)[rows] for (fit, _), rows in columns])

        def result(name: str) -> NDArray:
            return np.concatenate([getattr(fit.result, name)[pick] for fit, pick in some])

        profiles = [fit.result.learnt.profile[pick] for fit, pick in some if fit.result.learnt is not None]
        used = np.concatenate([fit.used[pick] for fit, pick in some])
        pixels = CoupledPixels.make(
            shared.grid,
            Observed(
                spans=Spans(*shared.operator.columns),
                offsets=np.concatenate(([0], np.cumsum(used))),
                **{name: gather(name) for name in ("pair", "vx", "vy", "weights")},
            ),
            derivative=settings.derivative,
            smoothing=result("smoothing"),
            profile=np.concatenate(profiles) if profiles else None,
            values=result("values"),
            neighbours=_neighbours(number, n),
            red=_chequerboard(number, n),
        )
        return cls(pixels, number, window, settings)

    def number_in(self, block: Block) -> NDArray[np.int64]:
        """Give the numbers of the pixels of a block inside the rectangle; -1 where there is no estimate."""
        rows = slice(block.row0 - self.window.row0, block.row1 - self.window.row0)
        cols = slice(block.col0 - self.window.col0, block.col1 - self.window.col0)
        return self.number[rows, cols].ravel()


def engine_for(
    pixels: CoupledPixels, settings: InversionSettings, threads: int = 1
) -> CoupledPixels | TorchCoupledPixels:
    """Return what solves a coupled problem on the device that the settings name.

    Parameters
    ----------
    pixels : CoupledPixels
    settings : InversionSettings
    threads : int
        How many may work on it, on the CPU.

    Raises
    ------
    SettingsError
        If the device is not available.
    ItsliveError
        If the problem is too large for the memory of the CPU.
    """
    if pick_device(settings.device, len(pixels.layout.size), pixels.multiplications) == "cuda":
        return TorchCoupledPixels(pixels)
    if pixels.nbytes > _MOST_MEMORY:
        raise ItsliveError(
            f"spatial smoothing needs {pixels.nbytes / 1e9:.0f} GB at an interval of "
            f"{settings.interval:g} days: choose a longer interval or a shorter period"
        )
    return replace(pixels, threads=threads)


def couple(
    patch: Patch,
    cores: Sequence[PixelFits],
    mu: float,
    correlation: float,
    *,
    uncertainty: bool,
    threads: int = 1,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Solve a patch and give the coupled estimates of the blocks in its middle.

    Parameters
    ----------
    patch : Patch
    cores : sequence of PixelFits
        Uncoupled estimates of the blocks, of P pixels each.
    mu : float
        Above 0.
    correlation : float
        rho.
    uncertainty : bool
        Compute standard deviations.
    threads : int
        How many may work on it.

    Returns
    -------
    list of (values, std), ndarray, shape (P, 2, M)
        As in `BatchResult`, for each block.

    Raises
    ------
    ItsliveError
        If the iterations do not converge.
    """
    engine = engine_for(patch.pixels, patch.settings, threads)
    try:
        found = engine.solve(mu)
    except np.linalg.LinAlgError as error:
        raise ItsliveError(f"spatial smoothing: {error}; try a larger smoothing") from error
    if not found.residual <= TOLERANCE:
        raise ItsliveError(
            f"spatial smoothing {mu:g} did not converge (residual {found.residual:.1e} after "
            f"{found.iterations} iterations): choose a smaller one"
        )
    places = [patch.number_in(core.block) for core in cores]
    wanted = np.concatenate([place[place >= 0] for place in places])
    series = patch.pixels.values(found.flat, wanted)
    less = np.ones_like(series[:, 0])
    if uncertainty and len(wanted):
        less = np.sqrt(correlation + (1.0 - correlation) * engine.variance_ratio(mu, wanted))
    out = []
    for core, place in zip(cores, places, strict=True):
        here = np.flatnonzero(place >= 0)
        values, std = core.result.values.copy(), core.result.std.copy()
        values[here] = np.where(np.isnan(values[here]), np.nan, series[: len(here)])
        if uncertainty:
            std[here] *= less[: len(here), None, :]
        series, less = series[len(here) :], less[len(here) :]
        out.append((values, std))
    return out


def neighbour_correlation(patches: Sequence[Patch]) -> float:
    """Estimate the correlation of the noise of one pair at two neighbouring pixels, between 0 and 1.

    Parameters
    ----------
    patches : sequence of Patch
    """
    products, squares = np.sum([patch.pixels.residual_products() for patch in patches], axis=0)
    return float(np.clip(products / squares, 0.0, 1.0)) if squares > 0.0 else 0.0


def choose_coupling(patches: Sequence[Patch], threads: int = 1) -> float:
    """Choose mu by pairs that were held out.

    Parameters
    ----------
    patches : sequence of Patch
        Blocks to choose on.
    threads : int
        How many may work on them.

    Returns
    -------
    float
        0 where neighbours do not help.
    """
    score = _HeldOut.make(patches, threads)
    known = {0.0: score(0.0)}

    def at(k: int) -> float:
        mu = float(_SEARCH[k])
        if mu not in known:
            known[mu] = score(mu)
        return known[mu]

    best = _START
    step = 1 if at(best + 1) < at(best) else -1
    while 0 <= best + step < len(_SEARCH) and at(best + step) < at(best):
        best += step
    if known[0.0] <= at(best):
        return 0.0
    half = np.sqrt(_SEARCH[1] / _SEARCH[0])
    for mu in (_SEARCH[best] / half, _SEARCH[best] * half):
        known[float(mu)] = score(float(mu))
    return float(f"{min(known, key=lambda mu: known[mu]):.4g}")


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Weighted squared residuals of pairs that were held out, for any mu."""

    patches: Sequence[Patch]
    held: list[NDArray[np.bool_]]
    engines: list[CoupledPixels | TorchCoupledPixels]
    series: list[NDArray[np.float64]]

    @classmethod
    def make(cls, patches: Sequence[Patch], threads: int) -> _HeldOut:
        held = [
            np.random.default_rng(_SEED).random(len(patch.pixels.observed.spans.first)) < _HELD_OUT
            for patch in patches
        ]
        engines = [
            engine_for(patch.pixels.without(some), patch.settings, threads)
            for patch, some in zip(patches, held, strict=True)
        ]
        return cls(patches, held, engines, [patch.pixels.flat for patch in patches])

    def __call__(self, mu: float) -> float:
        total = 0.0
        for k, (patch, engine) in enumerate(zip(self.patches, self.engines, strict=True)):
            self.series[k] = engine.solve(mu, start=self.series[k], tolerance=_SEARCH_TOLERANCE).flat
            total += patch.pixels.score(self.series[k], self.held[k])
        return total


def _neighbours(number: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """List the 4-neighbours of each numbered pixel, shape (n, 4); -1 where there is none."""
    padded = np.pad(number, 1, constant_values=-1)
    around = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]], axis=-1)
    out = np.full((n, 4), -1, dtype=np.int64)
    out[number[number >= 0]] = around[number >= 0]
    return out


def _chequerboard(number: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Colour the numbered pixels so that neighbours differ, shape (n,)."""
    rows, cols = np.nonzero(number >= 0)
    out = np.zeros(n, dtype=bool)
    out[number[rows, cols]] = (rows + cols) % 2 == 0
    return out
