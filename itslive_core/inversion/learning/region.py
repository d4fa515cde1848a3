"""What neighbouring pixels share: two levels, a region and its pixels.

Noise of missions, the correlation of shared images, offsets, and how the smoothness changes with years and
months belong to satellites and weather more than to a place. They are learnt at a few pixels of a region, its
samples, each for itself; every other pixel takes them as a prior, and departs from it as far as its own pairs
justify. The speed is not shared.

Let q be a number of a pixel: the level of its precisions relative to the one expected at its speed, the
yearly level, the logarithm of the size of the seasonal displacements, ... Samples s tell of it with weights
w_s, how alike they are: exp(-(log10 speed ratio)^2 / (2 l^2)). Pixels of one speed scatter by b, which has a
scaled
inverse chi^2 prior of nu degrees of freedom about b_0; their mean has a normal prior with the mean m_0, what
a pixel alone would expect, and the width S. Then q of another pixel is expected to be normal with

    b^2  = (nu b_0^2 + sum w (q_s - mean)^2) / (nu + sum w),
    m    = (sum w q_s / b^2 + m_0 / S^2) / (sum w / b^2 + 1 / S^2),
    var  = b^2 + 1 / (sum w / b^2 + 1 / S^2):

where no sample is alike, nothing is borrowed (empirical Bayes with a conjugate prior: Gelman et al., Bayesian
Data Analysis, 2013, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.surroundings import ALIKE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.observed import ObservedPairs, Typical

__all__ = ["Borrowed", "Expected", "Region", "Sample"]

_USUAL_SCATTER, _SCATTER_FREEDOM = 1.0, 2.0
"""b_0 and nu, in logarithms of a precision or of a variance."""
_WIDE = 3.0
"""S."""
_NOISE_ALIKE = 0.1
"""Share of its weight with which any sample tells of the noise of satellites, however fast it is."""
_USUAL_NOISE_SCATTER = 0.05
"""Variance of log scale^2 of a mission between pixels that is expected before any is seen."""
_LEAST_SCATTER = 0.05
"""Scales of a mission are not taken to be known better than this, in logarithms of a variance."""


class Sample(NamedTuple):
    """What a pixel of the region that was learnt for itself tells the others.

    Parameters
    ----------
    number : int
        Of the pixel in the region.
    speed : float
        Typical speed, or noise where that is larger [m/yr].
    levels : ndarray, shape (3,)
        Level, yearly level and log of how much stiffer the second axis is, the first two relative to what is
        expected at this speed.
    first_change : int
        Cell, counted from 1970-01-01, of the first change.
    profile : ndarray, shape (M - k,)
        Log precision of each change, relative to the level.
    months : ndarray, shape (12,)
        Part of the yearly precision that goes with the month.
    season_variance, offset_variance : float
        Prior variances of what missions add [m^2] and [m^2/yr^2].
    correlation : float
        Of the noise of pairs that share an image.
    noise : ndarray, shape (3, missions)
        scale^2, floor^2 and jitter^2; NaN where a mission has no pairs.
    pairs : ndarray, shape (missions,)
        Number of pairs of each mission.
    """

    number: int
    speed: float
    levels: NDArray[np.float64]
    first_change: int
    profile: NDArray[np.float64]
    months: NDArray[np.float64]
    season_variance: float
    offset_variance: float
    correlation: float
    noise: NDArray[np.float64]
    pairs: NDArray[np.int64]


class Expected(NamedTuple):
    """A number of a pixel before its pairs are seen: normal, with a mean and a variance."""

    mean: float
    variance: float

    @property
    def worth(self) -> float:
        """As many unknowns as would tell the log of a variance as well."""
        return 2.0 / self.variance


@dataclass(frozen=True, eq=False)
class Borrowed:
    """What the region says of one pixel with n pairs and M cells.

    Parameters
    ----------
    level, yearly, stiffer, season, offset : Expected
        The first two relative to what is expected at the speed of the pixel; the last two are logarithms of
        variances.
    profile, months : ndarray, shape (M - k,) and (12,)
        Expected profile of the log precision, and of the yearly one.
    noise : ndarray, shape (3, missions)
        scale^2, floor^2 and jitter^2; NaN where the pixel has no pairs.
    noise_worth : ndarray, shape (missions,)
        Pairs' worth of trust in the scales.
    correlation : float
    """

    level: Expected
    yearly: Expected
    stiffer: Expected
    season: Expected
    offset: Expected
    profile: NDArray[np.float64]
    months: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_worth: NDArray[np.float64]
    correlation: float


@dataclass(frozen=True, eq=False)
class Region:
    """The samples of a region.

    Parameters
    ----------
    samples : sequence of Sample
        One or more.
    """

    samples: Sequence[Sample]

    def without(self, number: int) -> Region | None:
        """Leave out a pixel, which does not borrow from itself; None if nothing is left."""
        others = [sample for sample in self.samples if sample.number != number]
        return Region(others) if others else None

    def of_pixel(
        self,
        pairs: ObservedPairs,
        typical: Typical,
        first_change: int,
        changes: int,
        expected: tuple[float, float],
    ) -> Borrowed:
        """Say what is expected of another pixel.

        Parameters
        ----------
        pairs : ObservedPairs
            n observations.
        typical : Typical
        first_change : int
            Cell, counted from 1970-01-01, of its first change.
        changes : int
            Their number, M - k.
        expected : (float, float)
            Variances of seasonal displacements and of offsets that a pixel alone would expect.
        """
        samples = self.samples
        weight = self._likeness(typical.speed)
        levels = np.array([sample.levels for sample in samples])
        level, yearly, stiffer = (_expect(levels[:, c], weight, 0.0) for c in range(3))
        season, offset = (
            _expect(np.log([getattr(sample, name) for sample in samples]), weight, float(np.log(alone)))
            for name, alone in zip(("season_variance", "offset_variance"), expected, strict=True)
        )
        tells = weight + _NOISE_ALIKE
        noise, noise_worth = self._noise(pairs, tells)
        return Borrowed(
            level,
            yearly,
            stiffer,
            season,
            offset,
            self._profile(weight, first_change, changes),
            (weight @ [sample.months for sample in samples]) / (weight.sum() + 1.0),
            noise,
            noise_worth,
            float(tells @ [sample.correlation for sample in samples] / tells.sum()),
        )

    def _likeness(self, speed: float) -> NDArray[np.float64]:
        distance = np.log10(speed / np.array([sample.speed for sample in self.samples]))
        likeness: NDArray[np.float64] = np.exp(-0.5 * (distance / ALIKE) ** 2)
        return likeness

    def _profile(self, weight: NDArray[np.float64], first: int, changes: int) -> NDArray[np.float64]:
        """Average the profiles of samples over calendar cells, shrunk to a flat one."""
        total, told = np.zeros(changes), np.ones(changes)
        for sample, w in zip(self.samples, weight, strict=True):
            begin = max(sample.first_change, first)
            end = min(sample.first_change + len(sample.profile), first + changes)
            if begin < end:
                here = slice(begin - first, end - first)
                total[here] += w * sample.profile[begin - sample.first_change : end - sample.first_change]
                told[here] += w
        return total / told

    def _noise(
        self, pairs: ObservedPairs, tells: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average what samples say of the noise of each mission, and tell how well it is known.

        The mean of variances is of their form. Its size is the geometric mean of those of the samples at the
        pairs of the pixel, so that one spoilt sample does not rule.
        """
        noise = np.array([sample.noise for sample in self.samples])
        counts = np.array([sample.pairs for sample in self.samples])
        common = np.exp(np.nanmean(np.log(noise[:, 0])))
        out, worth = np.full((3, len(MISSIONS)), np.nan), np.zeros(len(MISSIONS))
        for m in np.unique(pairs.mission).tolist():
            own = pairs.mission == m
            known = np.isfinite(noise[:, 0, m])
            if not known.any():
                out[:, m] = common, 0.0, 0.0
                continue
            formal, w = pairs.formal[own], tells[known] / tells[known].sum()
            per_span = 1.0 / (pairs.end[own] - pairs.start[own]) ** 2
            scale, floor, jitter = noise[known][:, :, m].T
            size = np.log(scale[:, None] * (formal + floor[:, None] + jitter[:, None] * per_span)).mean(
                axis=1
            )
            typical = float(w @ size)
            parts = w * np.exp(typical - size) * scale
            total = float(parts.sum())
            out[:, m] = total, parts @ floor / total, parts @ jitter / total
            mean = np.log(total * (formal + out[1, m] + out[2, m] * per_span)).mean()
            out[0, m] *= float(np.exp(typical - mean))
            # Scales scatter between samples, and are not known exactly at each: from n pairs to 1 / n.
            apart = float(w @ (size - typical) ** 2) - float(w @ (1.0 / counts[known, m]))
            told = tells[known].sum()
            scatter = (_SCATTER_FREEDOM * _USUAL_NOISE_SCATTER + told * max(apart, 0.0)) / (
                _SCATTER_FREEDOM + told
            )
            worth[m] = 1.0 / max(scatter, _LEAST_SCATTER**2)
        return out, worth


def _expect(values: NDArray[np.float64], weight: NDArray[np.float64], alone: float) -> Expected:
    """Tell what is expected of a number; see the module for the formulas."""
    values = np.asarray(values, dtype=np.float64)
    total = float(weight.sum())
    centre = float(weight @ values) / max(total, 1e-12)
    scatter = (_SCATTER_FREEDOM * _USUAL_SCATTER**2 + float(weight @ (values - centre) ** 2)) / (
        _SCATTER_FREEDOM + total
    )
    precision = total / scatter + 1.0 / _WIDE**2
    mean = (total * centre / scatter + alone / _WIDE**2) / precision
    return Expected(mean, scatter + 1.0 / precision)
