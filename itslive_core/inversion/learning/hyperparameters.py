"""How rough a series is, by years and months, and how much of it repeats: named, bounded, improved.

The precision of change i along the first axis is exp(level + year_i + month_i), that of its difference from
the year before exp(yearly level + yearly month_i): a level for all of it, a slow part for surges and quiet
years (linear between yearly knots), and a part for the seasons (linear between twelve knots of the year,
cyclic). Along the second axis both are exp(stiffer) times as large. All knots have a standard normal prior;
the yearly level a wide one; the level one that frowns on implausibly rough series, see `Scale`.

They maximise the evidence (`itslive_core.inversion.learning.evidence`) by scoring. With e_i the expected
square of a change in units of its prior, of both axes, and h_i what the data hold of it (the effective
number of parameters of MacKay, 1992, doi:10.1162/neco.1992.4.3.415), the gradient along log precision is

    d(-2 log p) / d log own_i = (squares of the mean)_i - h_i.

The expected curvature of one block of changes is close to (3/4) h_i, 3/4 being the ratio of sum (1 + x^4)^-2
to sum (1 + x^4)^-1, the response of a smoothing spline; where the gradient is large the bound of the EM
algorithm is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Spread
    from itslive_core.inversion.learning.region import Borrowed

__all__ = ["Design", "Hyperparameters", "Scale"]

_LARGEST_STEP = 2.0
"""Of any hyperparameter, in logarithms of a precision."""
_LIMIT = 12.0
"""Levels stay this near to what is expected of them, in logarithms of a precision."""
_STIFFEST = 14.0
_YEARLY_SD, _STIFFER_SD = 3.0, 5.0
"""Prior standard deviations of the yearly level, and of how much stiffer the second axis is."""
_SEASON, _CHANGE = 0.1, 0.03
"""A season of a tenth, and changes from year to year of 3 %: where the levels start."""
_ROUGH_RATE = 1.5
"""Rate of the exponential prior of the relative amplitude: more than 3 has a probability of 1 %."""


class Scale(NamedTuple):
    """What a level means: precision of the changes of a season of a given amplitude.

    A season of amplitude a has changes of a root mean square of a (2 pi h / year)^k / sqrt(2). The relative
    amplitude s = a / speed has an exponential prior, which frowns on a series that varies by several times
    its speed and says nothing else (a penalised complexity prior: Simpson et al., 2017,
    doi:10.1214/16-STS576).

    Parameters
    ----------
    speed : float
        Typical speed, or noise where that is larger [m/yr].
    per_speed : float
        Root mean square of the changes of a season of amplitude 1.
    """

    speed: float
    per_speed: float

    @classmethod
    def of(cls, speed: float, interval: float, order: int) -> Scale:
        """Make it for cells of some days, and differences of an order."""
        return cls(speed, (2.0 * math.pi * interval / DAYS_PER_YEAR) ** order / math.sqrt(2.0))

    def level(self, relative: float) -> float:
        """Give the level at which a season of a relative amplitude is usual."""
        return -2.0 * math.log(relative * self.speed * self.per_speed)

    def prior(self, level: float) -> tuple[float, float, float]:
        """Give -2 log prior of a level, and its first and second derivative ."""
        s = _SEASON * math.exp(min(max(0.5 * (self.level(_SEASON) - level), -20.0), 20.0))
        return 2.0 * (_ROUGH_RATE * s - math.log(s)), 1.0 - _ROUGH_RATE * s, 0.5 * _ROUGH_RATE * s


class Design(NamedTuple):
    """Which hyperparameters the logarithm of a precision is made of, one row for each change.

    Parameters
    ----------
    columns : ndarray of int64, shape (M - k, c)
        Where the row is not 0.
    values : ndarray, shape (M - k, c)
        What it is there.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float64]


def _knots(first_time: float, interval: float, order: int, differences: int) -> tuple[NDArray, NDArray]:
    """Give the years since the first change, and the month of each, with fractions; shape (M - k,)."""
    since = np.arange(differences) * interval
    phase = (first_time + since + 0.5 * (order + 1) * interval) / DAYS_PER_YEAR
    return since / DAYS_PER_YEAR, (phase - np.floor(phase)) * MONTHS_PER_YEAR


@lru_cache(maxsize=64)
def _designs(first_time: float, interval: float, order: int, differences: int) -> tuple[Design, Design, int]:
    """Make the designs of both precisions, and say where the yearly level stands: alike at many pixels."""
    years, months = _knots(first_time, interval, order, differences)
    n_years = math.ceil(differences * interval / DAYS_PER_YEAR) + 1
    month_at, yearly_at = 1 + n_years, 1 + n_years + MONTHS_PER_YEAR
    year, month = np.floor(years), np.floor(months)
    after_year, after_month = years - year, months - month
    columns = np.zeros((differences, 5), dtype=np.int64)
    values = np.ones((differences, 5))
    columns[:, 1], values[:, 1] = 1 + year, 1.0 - after_year
    columns[:, 2], values[:, 2] = np.minimum(2 + year, n_years), after_year
    columns[:, 3], values[:, 3] = month_at + month % MONTHS_PER_YEAR, 1.0 - after_month
    columns[:, 4], values[:, 4] = month_at + (month + 1) % MONTHS_PER_YEAR, after_month
    repeats = columns[:, [0, 3, 4]] + (yearly_at - month_at + 1)
    repeats[:, 0] = yearly_at
    return Design(columns, values), Design(repeats, values[:, [0, 3, 4]].copy()), yearly_at


@kernel(error_model="numpy")
def _log_precision(
    design: Design, theta: NDArray, base: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    columns, values = design
    for i in range(len(out)):
        total = base[i]
        for a in range(columns.shape[1]):
            total += values[i, a] * theta[columns[i, a]]
        out[i] = np.exp(min(max(total, -80.0), 80.0))


@kernel(error_model="numpy")
def _collect(
    design: Design, mean: NDArray, held: NDArray, slope: NDArray, hessian: NDArray
) -> None:  # pragma: no cover - compiled
    """Add gradient and expected curvature of -2 log evidence; ``mean, held`` of the shape (M - k,)."""
    columns, values = design
    for i in range(len(mean)):
        gradient, curvature = mean[i] - held[i], 0.75 * max(mean[i], held[i])
        for a in range(columns.shape[1]):
            va, ca = values[i, a], columns[i, a]
            slope[ca] += va * gradient
            for b in range(columns.shape[1]):
                hessian[ca, columns[i, b]] += va * values[i, b] * curvature


@dataclass(eq=False)
class Hyperparameters:
    """All of a pixel, as one vector theta: level, years, months, yearly level, its months, stiffer.

    Parameters
    ----------
    own, yearly : Design
    scale : Scale
    theta : ndarray, shape (p,)
    mean, precision : ndarray, shape (p,)
        Of the normal prior; what may not move has an infinite precision.
    level_free : bool
        The level is learnt.

    Attributes
    ----------
    curvature : ndarray, shape (p,)
        Expected second derivative of -2 log posterior at the last step.
    """

    own: Design
    yearly: Design
    scale: Scale
    theta: NDArray[np.float64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    level_free: bool

    @classmethod
    def of(
        cls,
        first_time: float,
        interval: float,
        order: int,
        differences: int,
        speed: float,
        *,
        vary: bool,
        yearly: bool,
        axes: bool,
        level_free: bool,
    ) -> Hyperparameters:
        """Place the changes in their years and months.

        Parameters
        ----------
        first_time : float
            Start of the first cell [days since 1970-01-01].
        interval : float
            h [days].
        order : int
            k; difference i is centred (k + 1) / 2 cells after the start of cell i.
        differences : int
            M - k.
        speed : float
            See `Scale` [m/yr].
        vary : bool
            Precisions may change by years and months.
        yearly : bool
            Changes are compared with those of the year before.
        axes : bool
            The second axis may be stiffer.
        level_free : bool
            The level is learnt.
        """
        own_design, yearly_design, yearly_at = _designs(first_time, interval, order, differences)
        size = yearly_at + 1 + MONTHS_PER_YEAR + 1
        scale = Scale.of(speed, interval, order)
        mean, precision = np.zeros(size), np.ones(size)
        mean[0], mean[yearly_at] = scale.level(_SEASON), scale.level(_CHANGE)
        precision[0], precision[yearly_at], precision[-1] = 0.0, 1.0 / _YEARLY_SD**2, 1.0 / _STIFFER_SD**2
        if not vary:
            precision[1:yearly_at] = precision[yearly_at + 1 : -1] = np.inf
        if not yearly:
            precision[yearly_at:-1] = np.inf
        if not axes:
            precision[-1] = np.inf
        if not level_free:
            precision[0] = np.inf
        made = cls(
            own_design,
            yearly_design,
            scale,
            mean.copy(),
            mean,
            precision,
            level_free,
        )
        made._yearly = yearly
        made._base, made._yearly_base = np.zeros((2, differences))
        return made

    curvature: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    _yearly: bool = True
    _base: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    _yearly_base: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    _frowns: bool = True

    @property
    def relative(self) -> NDArray[np.float64]:
        """Level and yearly level relative to those expected at the speed, and log stiffness; shape (3,)."""
        scale, theta = self.scale, self.theta
        return np.array(
            [theta[0] - scale.level(_SEASON), theta[self.yearly_at] - scale.level(_CHANGE), theta[-1]]
        )

    def borrow(self, borrowed: Borrowed) -> None:
        """Expect what a region says of the levels and of how they change in time, and start there.

        Parameters
        ----------
        borrowed : Borrowed
            Replaces the prior that frowns on rough series: the samples of the region have seen it.
        """
        for at, expected in (
            (0, borrowed.level),
            (self.yearly_at, borrowed.yearly),
            (len(self.theta) - 1, borrowed.stiffer),
        ):
            if at < len(self.theta) - 1:
                self.mean[at] += expected.mean
            else:
                self.mean[at] = expected.mean
            if np.isfinite(self.precision[at]):
                self.precision[at] = 1.0 / expected.variance
                self.theta[at] = self.mean[at]
        self._base = borrowed.profile
        columns, values = self.yearly
        months = np.zeros(len(self.theta))
        months[self.yearly_at + 1 : -1] = borrowed.months
        self._yearly_base = (values * months[columns]).sum(axis=1)
        self._frowns = False

    @property
    def free(self) -> NDArray[np.intp]:
        """Which hyperparameters may move."""
        return np.flatnonzero(np.isfinite(self.precision))

    @property
    def yearly_at(self) -> int:
        """Where the yearly level stands."""
        return len(self.theta) - 2 - MONTHS_PER_YEAR

    @property
    def stiffer(self) -> float:
        """By how much the second axis is stiffer: a factor, 1 or more."""
        return math.exp(self.theta[-1])

    def precisions(self, theta: NDArray[np.float64] | None = None) -> tuple[NDArray, NDArray]:
        """Give the precision of each change, and of its difference from the year before, shape (M - k,)."""
        theta = self.theta if theta is None else theta
        own, yearly = np.zeros((2, len(self.own.columns)))
        _log_precision(self.own, theta, self._base, own)
        if self._yearly:
            _log_precision(self.yearly, theta, self._yearly_base, yearly)
        return own, yearly

    @property
    def shape(self) -> NDArray[np.float64]:
        """Precision of each change relative to the level, shape (M - k,)."""
        return self.precisions()[0] / math.exp(self.theta[0])

    def moved(self, *, level: float | None = None, yearly: float | None = None) -> NDArray[np.float64]:
        """Give theta with other levels, relative to where they are expected."""
        theta = self.theta.copy()
        if level is not None:
            theta[0] = self.mean[0] + level
        if yearly is not None:
            theta[self.yearly_at] = self.mean[self.yearly_at] + yearly
        return theta

    def cost(self, theta: NDArray[np.float64]) -> float:
        """Give -2 log prior, up to a constant."""
        free = self.free
        value = float((self.precision[free] * (theta - self.mean)[free] ** 2).sum())
        return value + (self.scale.prior(float(theta[0]))[0] if self.level_free and self._frowns else 0.0)

    def improve(self, spread: Spread) -> float:
        """Take one scoring step; returns the largest move that was asked for."""
        size = len(self.theta)
        slope, hessian = np.zeros(size), np.zeros((size, size))
        _collect(self.own, spread.own.sum(axis=0), spread.own_held.sum(axis=0), slope, hessian)
        if self._yearly:
            _collect(self.yearly, spread.yearly.sum(axis=0), spread.yearly_held.sum(axis=0), slope, hessian)
        mean = float(spread.own[1].sum() + spread.yearly[1].sum())
        held = float(spread.own_held[1].sum() + spread.yearly_held[1].sum())
        slope[-1] += mean - held
        hessian[-1, -1] += 0.75 * max(mean, held) + 1e-6
        free = self.free
        if free.size == 0:
            return 0.0
        slope[free] += 2.0 * self.precision[free] * (self.theta - self.mean)[free]
        hessian[free, free] += 2.0 * self.precision[free] + 1e-9
        if self.level_free and self._frowns:
            _, first, second = self.scale.prior(float(self.theta[0]))
            slope[0] += first
            hessian[0, 0] += second
        self.curvature = np.diagonal(hessian).copy()
        step = -np.linalg.solve(hessian[np.ix_(free, free)], slope[free])
        largest = float(np.abs(step).max())
        if largest > _LARGEST_STEP:
            step *= _LARGEST_STEP / largest
        self.theta[free] += step
        if not self.level_free and len(self.own.columns):
            # A given level is that of the geometric mean: years and months change about it.
            years = slice(1, self.yearly_at - MONTHS_PER_YEAR)
            self.theta[years] -= np.log(self.shape).mean() if np.isfinite(self.precision[1]) else 0.0
        for at in (0, self.yearly_at) if self.level_free else (self.yearly_at,):
            self.theta[at] = min(max(self.theta[at], self.mean[at] - _LIMIT), self.mean[at] + _LIMIT)
        self.theta[-1] = min(max(self.theta[-1], 0.0), _STIFFEST)
        return largest
