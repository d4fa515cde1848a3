"""The kernel of the Gaussian process and its hyperparameters: names, units, priors, and derivatives.

    v(t) = level + trend(t) + season(t) + roughness(t)

trend: Matern 3/2. season: the quasi-periodic kernel exp(-2 sin^2(pi t) / shape^2) exp(-|t| / memory), as J
harmonics whose amplitudes have the variances 2 I_n(1 / shape^2) exp(-1 / shape^2) (I: modified Bessel
function). roughness: a damped process with two time scales, the Ornstein-Uhlenbeck process of one seen
through the memory of the other, between Ornstein-Uhlenbeck itself and Matern 3/2. Trend and amplitudes live
on knots a year apart, with straight lines between. The noise of a pair of mission g is Student-t with
variance factor_g^2 (formal^2 + floor^2).

Every hyperparameter is positive and has a log-normal prior; scales are in units of the robust spread of the
data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ive

from itslive_core.gaussian_process.latent import Latent
from itslive_core.gaussian_process.layout import StateLayout
from itslive_core.observations.missions import MISSIONS
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["KernelShape", "Prior", "kernel_priors", "noise_name", "noise_priors", "offset_priors"]

_BOX = 4.0
"""Hyperparameters stay within so many standard deviations of their prior."""


@dataclass(frozen=True)
class Prior:
    """Log-normal prior of a hyperparameter: its median, and the standard deviation of its logarithm."""

    median: float
    spread: float
    least: float = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Limits of (log value - log median) / spread."""
        low = -_BOX
        if self.least > 0.0:
            low = max(low, float(np.log(self.least / self.median)) / self.spread)
        return low, max(_BOX, low)


def noise_name(mission: int) -> str:
    """Name the noise factor of a mission, given by its position in `MISSIONS`."""
    return f"noise_factor_{MISSIONS[mission]}"


@dataclass(frozen=True)
class KernelShape:
    """Which parts a kernel has, on which cells.

    Parameters
    ----------
    interval : float
        Length of a cell [days].
    trend : bool
        Has a trend.
    harmonics : int
        Number of harmonics J of the season; 0 is none.
    """

    interval: float
    trend: bool
    harmonics: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hyperparameters of the kernel, in their order."""
        return (
            *(("trend_scale", "trend_time") if self.trend else ()),
            *(("season_scale", "season_shape", "season_memory") if self.harmonics else ()),
            "roughness_scale",
            "roughness_time",
            "rounding_time",
            "shared_noise",
        )

    @property
    def scales(self) -> tuple[str, ...]:
        """Names of the hyperparameters that say how much the velocity varies."""
        return tuple(n for n in ("trend_scale", "season_scale", "roughness_scale") if n in self.names)

    @property
    def spacing(self) -> int:
        """Cells between knots: about a year."""
        return max(2, round(DAYS_PER_YEAR / self.interval))

    @property
    def n_trend(self) -> int:
        """States of the trend at a knot: its value, and its slope, which makes it a Markov process."""
        return 2 if self.trend else 0

    def layout(self, grid: TimeGrid, reach: int) -> StateLayout:
        """Place the unknowns of a series.

        Parameters
        ----------
        grid : TimeGrid
            M cells of this interval.
        reach : int
            Largest distance of two cells of one pair.
        """
        t = grid.centres / DAYS_PER_YEAR
        columns = [np.ones(grid.size), np.zeros(grid.size)] if self.trend else []
        for n in range(1, self.harmonics + 1):
            # The mean of a harmonic over a cell is its value at the centre times sinc.
            mean = np.sinc(n * self.interval / DAYS_PER_YEAR)
            columns += [mean * np.cos(2 * np.pi * n * t), mean * np.sin(2 * np.pi * n * t)]
        loadings = np.stack(columns, axis=1) if columns else np.zeros((grid.size, 0))
        return StateLayout.build(grid, loadings, self.spacing, reach)

    def latent(self, values: dict[str, float]) -> Latent:
        """Turn the hyperparameters of the kernel into those of the solver.

        Parameters
        ----------
        values : dict
            By name; times in years.
        """
        h = self.interval / DAYS_PER_YEAR
        gap = self.spacing * h
        d = self.n_trend + 2 * self.harmonics
        amplitudes, transition = np.zeros(d), np.zeros((d, d))
        noise = np.zeros((d, d))
        if self.trend:
            amplitudes[0] = values["trend_scale"]
            a = np.sqrt(3.0) * gap / values["trend_time"]
            transition[:2, :2], noise[:2, :2] = _matern(a)
        if self.harmonics:
            k = slice(self.n_trend, None)
            amplitudes[k] = values["season_scale"] * np.repeat(
                np.sqrt(_harmonic_variances(values["season_shape"], self.harmonics)), 2
            )
            step = gap / values["season_memory"]
            transition[k, k] = np.exp(-step) * np.eye(2 * self.harmonics)
            noise[k, k] = -np.expm1(-2 * step) * np.eye(2 * self.harmonics)
        return Latent(
            roughness=values["roughness_scale"],
            decay=(h / values["roughness_time"], h / values["rounding_time"]),
            amplitudes=amplitudes,
            transition=transition,
            precision=np.asarray(np.linalg.inv(noise), dtype=np.float64),
            log_noise=float(np.linalg.slogdet(noise)[1]),
            shared=values["shared_noise"],
        )

    def gradient(self, values: dict[str, float], posterior: Posterior) -> NDArray[np.float64]:
        """Differentiate -log p(y) by the logarithm of every hyperparameter of the kernel.

        Parameters
        ----------
        values : dict
            By name; times in years.
        posterior : Posterior
            At these values, with variances.

        Returns
        -------
        ndarray, shape (len(names),)
            In the order of `names`.
        """
        m, latent, layout = posterior.moments, posterior.latent, posterior.layout
        gap = self.spacing * self.interval / DAYS_PER_YEAR
        out: list[float] = []
        if layout.states:
            by_amplitude = _by_amplitude(posterior)
        if self.trend:
            out.append(float(by_amplitude[:2].sum()))
            a = np.sqrt(3.0) * gap / values["trend_time"]
            d_transition = np.exp(-a) * np.array([[-a, 1 - a], [a - 1, a - 2]])
            out.append(-a * _by_transition(posterior, slice(0, 2), d_transition))
        if self.harmonics:
            k = slice(self.n_trend, None)
            out.append(float(by_amplitude[k].sum()))
            slopes = 0.5 * np.repeat(_harmonic_slopes(values["season_shape"], self.harmonics), 2)
            out.append(float(slopes @ by_amplitude[k]))
            step = gap / values["season_memory"]
            change = step * np.exp(-step) * np.eye(2 * self.harmonics)
            out.append(_by_transition(posterior, k, change))
        out.append(layout.size - float(latent.coefficients @ m.forms))
        out += _by_decay(posterior)
        out.append(layout.size - m.shared / latent.shared**2)
        return np.array(out)


def kernel_priors(shape: KernelShape) -> dict[str, Prior]:
    """Give the priors of the hyperparameters of a kernel, and of ratios of the minor axis to the major.

    Scales are in units of the spread of the data, times in years.

    The roughness lasts two cells at least: below, it would be noise under another name.
    """
    priors = {
        "trend_scale": Prior(1.0, 1.0),
        "trend_time": Prior(3.0, 0.7),
        "season_scale": Prior(0.6, 1.0),
        "season_shape": Prior(1.0, 0.5),
        "season_memory": Prior(6.0, 0.7),
        "roughness_scale": Prior(0.4, 1.0),
        "roughness_time": Prior(0.15, 0.7, least=2 * shape.interval / DAYS_PER_YEAR),
        "rounding_time": Prior(0.05, 1.0),
        # White over cells: shorter cells have more of it.
        "shared_noise": Prior(0.2 * float(np.sqrt(12.0 / shape.interval)), 1.5),
    }
    ratios = {"minor_ratio": Prior(0.3, 1.0), "minor_shared": Prior(1.0, 1.0)}
    return {**{name: priors[name] for name in shape.names}, **ratios}


def _harmonic_variances(shape: float, harmonics: int) -> NDArray[np.float64]:
    """Give the variances 2 I_n(z) exp(-z), z = 1 / shape^2, of the harmonics n = 1..J."""
    return 2.0 * ive(np.arange(1, harmonics + 1), shape**-2.0)


def _harmonic_slopes(shape: float, harmonics: int) -> NDArray[np.float64]:
    """Give the logarithmic derivatives of `_harmonic_variances` by the logarithm of the shape."""
    n, z = np.arange(1, harmonics + 1), shape**-2.0
    return -2.0 * z * (0.5 * (ive(n - 1, z) + ive(n + 1, z)) / ive(n, z) - 1.0)


def _matern(a: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the transition of (f, scaled slope) of a unit Matern 3/2 process, and its noise.

    Over a step of a = sqrt(3) gap / time.
    """
    transition = np.exp(-a) * np.array([[1 + a, a], [-a, 1 - a]])
    # I - F F' with the terms that cancel taken together: 1 - exp(-2a) (...) = exp(-2a) (exp(2a) - ...).
    e = np.exp(-2 * a)
    off = 2 * a**2 * e
    return transition, np.array(
        [
            [-np.expm1(-2 * a) - 2 * a * (1 + a) * e, off],
            [off, -np.expm1(-2 * a) + 2 * a * (1 - a) * e],
        ]
    )


def _by_amplitude(posterior: Posterior) -> NDArray[np.float64]:
    """Differentiate -log p(y) by the logarithms of the amplitudes, summed over knots.

    The rows of the posterior precision that belong to z are those of the prior, because data touch v only;
    so E[(P s)_j z_j] = 1 gives -E[(Phi'Q x)_j z_j] = 1 - E[(Q_z z)_j z_j] for every state j.
    """
    m, latent = posterior.moments, posterior.latent
    r, f = latent.precision, latent.transition
    of_z = m.first + r @ (m.total - m.first) + f.T @ r @ f @ (m.total - m.last)
    of_z = of_z - f.T @ r @ m.cross - r @ f @ m.cross.T
    return posterior.layout.knots - np.diag(of_z)


def _by_transition(posterior: Posterior, k: slice, change: NDArray[np.float64]) -> float:
    """Differentiate -log p(y) along a change of the transition of some states, whose noise is I - F F'."""
    m, latent = posterior.moments, posterior.latent
    f, r = latent.transition[k, k], latent.precision[k, k]
    before, after, cross = (m.total - m.last)[k, k], (m.total - m.first)[k, k], m.cross[k, k]
    noise = -(change @ f.T + f @ change.T)
    error = after - cross @ f.T - f @ cross.T + f @ before @ f.T
    moved = change @ (before @ f.T - cross.T)
    trace = np.trace(r @ noise) * (posterior.layout.knots - 1) - np.trace(r @ noise @ r @ error)
    return float(0.5 * trace + np.trace(r @ moved))


def _by_decay(posterior: Posterior) -> list[float]:
    """Differentiate -log p(y) by the logarithms of both times of the roughness, a_i = h / time_i."""
    latent, forms = posterior.latent, posterior.moments.forms
    size = posterior.layout.size
    p, q = np.exp(-latent.decay[0]), np.exp(-latent.decay[1])
    one, two = p + q, -p * q
    noise = latent.roughness**2 * latent.variance_ratio
    square = float(latent.coefficients @ forms)
    out = []
    for a, own, other in ((latent.decay[0], p, q), (latent.decay[1], q, p)):
        # Along the logarithm of the time, exp(-a) changes by a exp(-a).
        d_one, d_two = a * own, -a * own * other
        change = np.array([0.0, 2 * one * d_one, 2 * two * d_two, -d_one, one * d_two + two * d_one, -d_two])
        by_single = -2 * a * own**2 / -np.expm1(-2 * a)
        by_both = -a * p * q / -np.expm1(-sum(latent.decay))
        log_noise = by_single + by_both - a * p * q / (1 + p * q)
        quadratic = float(change @ forms) / noise - square * log_noise
        out.append(0.5 * (quadratic - (by_single + 2 * by_both - size * log_noise)))
    return out


def noise_priors(missions: Sequence[int]) -> dict[str, Prior]:
    """Give the priors of the noise: the floor, in units of the spread, and a factor for each mission."""
    return {"noise_floor": Prior(0.1, 1.0), **{noise_name(g): Prior(1.0, 0.7) for g in missions}}


def offset_priors() -> dict[str, Prior]:
    """Give the prior of the size that offsets between missions have, in units of the spread."""
    return {"offset_scale": Prior(0.1, 1.5)}
