"""The model of a series with one event, and what the series says of it.

Along the mean flow the cells of a series are

    v_k = background(t_k) + size * f_k(begin, peak, finish) + noise,

the background a straight line with an annual and a semi-annual wave, f the mean over cell k of a shape that
rises from 0 at ``begin`` to 1 at ``peak`` and falls to 0 at ``finish``, anything from a triangle to halves
of a cosine, blurred as the estimate blurs it. The noise is that of the estimate's posterior: standard
deviations of the cells, correlated as exp(-d / tau) (`itslive_core.physics.fields.correlation_in_time`),
times what the scatter of the series itself adds. Noise of this kind is a Markov chain, so that differences of
neighbours whiten it: with x_k = r_k / s_k and phi = exp(-d / tau), (x_k - phi x_{k-1}) / sqrt(1 - phi^2) are
independent. Around an event the series may be off by a share of its size more (`MISFIT`): a smoothed series
rounds what is sharp, and no event is quite of this shape. The coefficients of the background and the size
enter linearly and are integrated over; the others are sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize

from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EDGE", "MISFIT", "Candidate", "Chain", "Noisy", "cell_means", "sample_shape", "scan"]

_HALF_WIDTHS = (30.0, 60.0, 120.0, 240.0, 480.0, 900.0)
"""Half widths of the triangles that are tried everywhere [days]."""
MISFIT = 0.05, 0.05
"""Standard deviation of what series and shape are off by, over the size of an event: around it, and more
where the departure is at its most; tuned on surges as in `benchmarks/events.py`, with other seeds."""
_LEAST_PART = 6.0
"""Shortest rise or fall [days]."""
_LONGEST = 2500.0
"""Longest rise or fall [days]."""
EDGE = 0.1
"""An event begins and ends where the departure is this share of its most."""
_SWEEPS, _BURN, _CHAINS = 1500, 500, 2
_YEARS_FOR_SEASON, _YEARS_FOR_TREND = 2.0, 1.5


class Candidate(NamedTuple):
    """A triangle that may be an event.

    Parameters
    ----------
    shape : ndarray, shape (5,)
        begin [days], logarithms of the lengths of rise and fall [days], the blur [days], and the roundness,
        from 0 of a triangle to 1 of cosines.
    gain : float
        By how much it lowers the sum of squares of the whitened residuals.
    size : float
        Of the event [m/yr], with its sign.
    """

    shape: NDArray[np.float64]
    gain: float
    size: float


class Chain(NamedTuple):
    """Draws from the posterior of an event: onset, peak and end [days], and size [m/yr]."""

    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    end: NDArray[np.float64]
    size: NDArray[np.float64]


def cell_means(days: NDArray, interval: float, shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the shape of an event over cells, exactly but for the blur.

    Parameters
    ----------
    days : ndarray, shape (M,)
        Centres of cells that follow each other [days].
    interval : float
        Their length [days].
    shape : ndarray, shape (5,)
        As in `Candidate`.

    Returns
    -------
    ndarray, shape (M,)
    """
    begin, rise, fall, blur, roundness = shape[0], *np.exp(shape[1:3]), shape[3], shape[4]
    peak, finish = begin + rise, begin + rise + fall

    def whole(t: NDArray) -> NDArray:
        up, down = np.clip(t - begin, 0.0, rise), np.clip(t - peak, 0.0, fall)
        straight = 0.5 * up**2 / rise + down - 0.5 * down**2 / fall
        waves = fall * np.sin(np.pi * down / fall) - rise * np.sin(np.pi * up / rise)
        total: NDArray = (1.0 - roundness) * straight + roundness * 0.5 * (up + down + waves / np.pi)
        return total

    edges = np.concatenate([days - 0.5 * interval, days[-1:] + 0.5 * interval])
    edges = np.clip(edges, begin, finish)
    means = np.diff(whole(edges)) / interval
    if blur > 0.1 * interval:
        means = gaussian_filter1d(means, blur / interval, mode="nearest")
    out: NDArray[np.float64] = means
    return out


@dataclass(frozen=True, eq=False)
class Noisy:
    """A series with its background and its noise, ready to be held against events.

    Parameters
    ----------
    days : ndarray, shape (M,)
        Centres of all cells [days].
    interval : float
        Their length [days].
    seen : ndarray of int, shape (n,)
        Cells with an estimate.
    std : ndarray, shape (n,)
        Of these [m/yr].
    tau : float
        Time over which they err together [days].
    design : ndarray, shape (n, b)
        Columns of the background.
    values : ndarray, shape (n,)
        The series, less the events that were found [m/yr].
    """

    days: NDArray[np.float64]
    interval: float
    seen: NDArray[np.intp]
    std: NDArray[np.float64]
    tau: float
    design: NDArray[np.float64]
    values: NDArray[np.float64]

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Orthonormal columns of the whitened background, shape (n, b)."""
        found: NDArray[np.float64] = np.linalg.qr(self.whiten(self.design))[0]
        return found

    @cached_property
    def target(self) -> NDArray[np.float64]:
        """The whitened series, less what the background explains, shape (n,)."""
        whole = self.whiten(self.values)
        left: NDArray[np.float64] = whole - self.basis @ (self.basis.T @ whole)
        return left

    @classmethod
    def of(
        cls, days: NDArray, interval: float, v: NDArray, std: NDArray, tau: float
    ) -> tuple[Noisy, NDArray[np.float64]]:
        """Fit the background, and find by how much the noise exceeds what the estimate says.

        Parameters
        ----------
        days, v, std : ndarray, shape (M,)
            v is NaN where there is no estimate.
        interval, tau : float

        Returns
        -------
        Noisy
        background : ndarray, shape (n,)
            [m/yr]
        """
        seen = np.flatnonzero(np.isfinite(v) & np.isfinite(std) & (std > 0.0))
        t, y, s = days[seen], v[seen], std[seen]
        years = (t - t.mean()) / DAYS_PER_YEAR
        columns = [np.ones_like(t)]
        if np.ptp(years) >= _YEARS_FOR_TREND:
            columns.append(years)
        if np.ptp(years) >= _YEARS_FOR_SEASON:
            columns += [wave(2.0 * np.pi * k * years) for k in (1, 2) for wave in (np.sin, np.cos)]
        design = np.stack(columns, axis=1)
        plain = cls(days, interval, seen, s, tau, design, y)
        # Robust: an event is no reason to move the background, or to call the series noisy.
        weight = np.ones(len(t))
        for _ in range(10):
            X, z = plain.whiten(design) * weight[:, None], plain.whiten(y) * weight
            coefficients = np.linalg.lstsq(X, z, rcond=None)[0]
            left = plain.whiten(y - design @ coefficients)
            scale = max(MAD_TO_STD * float(np.median(np.abs(left))), 1e-12)
            weight = np.sqrt(np.minimum(1.0, 2.0 * scale / np.maximum(np.abs(left), 1e-12)))
        return replace(plain, std=s * max(scale, 1.0)), design @ coefficients

    def whiten(self, values: NDArray) -> NDArray[np.float64]:
        """Make the noise of values independent, of variance 1, shape (n, ...)."""
        x = (values.T / self.std).T
        phi = np.exp(-np.diff(self.days[self.seen]) / max(self.tau, 1e-6))
        out = np.array(x, dtype=np.float64)
        root = np.sqrt(1.0 - phi**2)
        out[1:] = ((x[1:].T - phi * x[:-1].T) / root).T
        return out

    def answer(self, shape: NDArray[np.float64]) -> tuple[float, float, float]:
        """Give gain, size and the variance of the size for one triangle."""
        template = self.whiten(cell_means(self.days, self.interval, shape)[self.seen])
        template = template - self.basis @ (self.basis.T @ template)
        norm = float(template @ template)
        if norm < 1e-9:
            return 0.0, 0.0, np.inf
        size = float(template @ self.target) / norm
        return size**2 * norm, size, 1.0 / norm

    def without(self, shape: NDArray[np.float64], size: float) -> Noisy:
        """Take an event away."""
        return replace(
            self, values=self.values - size * cell_means(self.days, self.interval, shape)[self.seen]
        )

    def with_misfit(self, candidate: Candidate) -> Noisy:
        """Let the series be off around an event by what series and shapes are off."""
        begin, finish = candidate.shape[0], candidate.shape[0] + np.exp(candidate.shape[1:3]).sum()
        beside = np.maximum(np.maximum(begin - self.days, self.days - finish), 0.0)[self.seen]
        near = np.exp(-beside / max(2.0 * self.tau, self.interval))
        high = cell_means(self.days, self.interval, candidate.shape)[self.seen]
        off = MISFIT[0] * near + MISFIT[1] * high
        return replace(self, std=np.hypot(self.std, candidate.size * off))

    def allowed(self, shape: NDArray[np.float64]) -> bool:
        """Whether a triangle can be: its parts of sensible lengths, its rise within the series."""
        begin, rise, fall, blur, roundness = shape
        first, last = self.days[self.seen[0]], self.days[self.seen[-1]]
        return bool(
            np.log(_LEAST_PART) <= rise <= np.log(_LONGEST)
            and np.log(_LEAST_PART) <= fall <= np.log(_LONGEST)
            and first - self.interval <= begin <= last
            and 0.0 <= blur <= max(self.tau, self.interval)
            and 0.0 <= roundness <= 1.0
        )


def scan(noisy: Noisy, *, sign: float = 0.0) -> Candidate | None:
    """Find the triangle that explains most, anywhere in the series; None where there is none.

    Parameters
    ----------
    noisy : Noisy
    sign : float
        Of the size: 1, -1, or 0 for both.
    """
    best: Candidate | None = None
    first, last = noisy.days[noisy.seen[0]], noisy.days[noisy.seen[-1]]
    for half in _HALF_WIDTHS:
        step = max(noisy.interval, half / 6.0)
        for centre in np.arange(first, last + 0.5 * step, step):
            shape = np.array([centre - half, np.log(half), np.log(half), 0.0, 0.5])
            if not noisy.allowed(shape):
                continue
            gain, size, _ = noisy.answer(shape)
            if (best is None or gain > best.gain) and sign * size >= 0.0:
                best = Candidate(shape, gain, size)
    if best is None:
        return None

    def loss(shape: NDArray[np.float64]) -> float:
        if not noisy.allowed(shape):
            return 0.0
        gain, size, _ = noisy.answer(shape)
        return -gain if size * best.size > 0.0 else 0.0

    start = best.shape + np.array([0.0, 0.0, 0.0, 0.3 * max(noisy.tau, noisy.interval), 0.0])
    half = float(np.exp(best.shape[1]))
    moves = np.diag([0.5 * half, -0.7, -0.7, 0.3 * noisy.interval, 0.4])
    options = {
        "initial_simplex": np.stack([start, *(start + moves)]),
        "maxfev": 500,
        "xatol": 0.2,
        "fatol": 0.05,
    }
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    if -found.fun < best.gain:
        return best
    _, size, _ = noisy.answer(found.x)
    return Candidate(found.x, float(-found.fun), size)


def sample_shape(noisy: Noisy, candidate: Candidate, rng: np.random.Generator) -> Chain:
    """Draw from the posterior of one event, by random walks whose steps adapt while they settle.

    Parameters
    ----------
    noisy : Noisy
    candidate : Candidate
    rng : numpy.random.Generator

    Returns
    -------
    Chain
    """
    noisy = noisy.with_misfit(candidate)
    draws, sizes = [], []
    side = np.sign(candidate.size)

    def height(shape: NDArray[np.float64]) -> tuple[float, float, float]:
        if not noisy.allowed(shape):
            return -np.inf, 0.0, 1.0
        gain, size, variance = noisy.answer(shape)
        # The prior of the size widens as the size is less well known: a flat one would favour shapes so
        # narrow, or so blurred, that any size goes with them. Long parts are as likely as short ones.
        value = 0.5 * gain if size * side > 0.0 else -np.inf
        return value, size, variance

    for _ in range(_CHAINS):
        here = candidate.shape.copy()
        value, size, variance = height(here)
        if not np.isfinite(value):
            here[3] = 0.0
            value, size, variance = height(here)
        usual = np.array([noisy.interval, 0.2, 0.2, 0.3 * noisy.interval, 0.3])
        spread = np.diag(usual) ** 2
        past: list[NDArray[np.float64]] = []
        accepted, scale = 0, 1.0
        for turn in range(_SWEEPS + _BURN):
            if turn and turn % 100 == 0 and turn <= _BURN:
                recent = np.array(past[-300:])
                spread = np.cov(recent.T) + np.diag((0.02 * usual) ** 2)
                scale *= float(np.clip(accepted / 100 / 0.25, 0.4, 2.5))
                accepted = 0
            step = (
                np.linalg.cholesky(spread)
                @ rng.standard_normal(len(here))
                * scale
                * (1.2 if turn % 5 else 0.2)
            )
            there = here + step
            new, new_size, new_variance = height(there)
            if np.log(rng.random()) < new - value:
                here, value, size, variance = there, new, new_size, new_variance
                accepted += 1
            past.append(here)
            if turn >= _BURN:
                draws.append(here)
                sizes.append(size + np.sqrt(variance) * rng.standard_normal())
    shapes = np.array(draws)
    rise, fall = np.exp(shapes[:, 1]), np.exp(shapes[:, 2])
    peak, tenth = shapes[:, 0] + rise, _tenth(shapes[:, 4])
    return Chain(shapes[:, 0] + tenth * rise, peak, peak + (1.0 - tenth) * fall, np.array(sizes))


def _tenth(roundness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give which share of a rise has gone by when it has reached `EDGE`."""
    part = np.linspace(0.0, 0.3, 301)
    wave = 0.5 - 0.5 * np.cos(np.pi * part)
    known = np.linspace(0.0, 1.0, 21)
    reached = [np.interp(EDGE, (1.0 - k) * part + k * wave, part) for k in known]
    share: NDArray[np.float64] = np.interp(roundness, known, reached)
    return share
