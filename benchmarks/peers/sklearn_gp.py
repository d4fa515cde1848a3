"""ITS_LIVE_TOOL's Gaussian process, made to run: scikit-learn, pairs as instants at their mid-dates.

Its kernel is a sum, with times in years and velocities scaled to mean 0 and variance 1:

    Constant + Matern 3/2 + ExpSineSquared + White

Neither the Matern nor the periodic part has an amplitude, as in ITS_LIVE_TOOL; `amplitudes` gives them one.
Lower bounds of 0 there, whose logarithm the optimiser would need, are scikit-learn's usual 1e-5 here. It is
fitted by L-BFGS from the same start, once. ITS_LIVE_TOOL fits speeds; here it is the velocity along the flow,
because speeds of noise do not average to zero.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.gaussian_process.kernels import Kernel

    import itslive_core as itslive

__all__ = ["GaussianProcessPrediction", "along_flow", "fit_predict", "flow_direction"]

YEAR = 365.25
_SHORT = 60.0
"""Pairs shorter than this tell the direction of flow [days]."""


@dataclass(frozen=True, eq=False)
class GaussianProcessPrediction:
    """Predictions of held-out pairs.

    Parameters
    ----------
    mean, std : ndarray, shape (m,)
        Of the velocity along the flow that the pair would read, noise included [m/yr].
    half_width : ndarray, shape (m,)
        Half of the interval that should hold 95 % of the readings [m/yr].
    log_density : ndarray, shape (m,)
        Natural logarithm of the Gaussian predictive density at what it did read [m/yr].
    n_train : int
        Pairs that were fitted.
    kernel : str
        The fitted kernel; lengths in years, variances relative to that of the data.
    fit_cpu_seconds, predict_cpu_seconds : float
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    half_width: NDArray[np.float64]
    log_density: NDArray[np.float64]
    n_train: int
    kernel: str
    fit_cpu_seconds: float
    predict_cpu_seconds: float


def flow_direction(pairs: itslive.ImagePairs) -> NDArray[np.float64]:
    """Give the unit vector along the median velocity of the short pairs, shape (2,).

    Parameters
    ----------
    pairs : ImagePairs
        The training pairs; where fewer than 10 are shorter than 60 days, all count.
    """
    short = pairs.span < _SHORT
    keep = short if short.sum() >= 10 else np.ones(len(pairs), dtype=bool)
    flow = np.array([np.median(pairs.vx[keep]), np.median(pairs.vy[keep])])
    return flow / np.linalg.norm(flow)


def along_flow(pairs: itslive.ImagePairs, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project velocities on a direction [m/yr], shape (n,)."""
    return pairs.vx * direction[0] + pairs.vy * direction[1]


def fit_predict(
    train: itslive.ImagePairs,
    test: itslive.ImagePairs,
    *,
    max_span: float | None = _SHORT,
    limit: int = 1200,
    seed: int = 0,
    amplitudes: bool = False,
) -> GaussianProcessPrediction:
    """Fit to some pairs and predict others.

    Parameters
    ----------
    train, test : ImagePairs
    max_span : float, optional
        Only training pairs shorter than this are fitted [days]: an instant is a poor model of a long pair.
    limit : int
        At most this many training pairs, drawn at random: the cost grows with their third power.
    seed : int
        Of the draw.
    amplitudes : bool
        Multiply the Matern and the periodic part by a variance each: a stronger kernel than ITS_LIVE_TOOL's.

    Returns
    -------
    GaussianProcessPrediction

    Raises
    ------
    ValueError
        If no training pair is short enough.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from threadpoolctl import threadpool_limits

    direction = flow_direction(train)
    if max_span is not None:
        train = train.take(train.span < max_span)
    if len(train) == 0:
        raise ValueError(f"no training pair is shorter than {max_span:g} days: raise max_span")
    if len(train) > limit:
        train = train.take(np.sort(np.random.default_rng(seed).choice(len(train), limit, replace=False)))
    model = GaussianProcessRegressor(kernel=_kernel(amplitudes=amplitudes), normalize_y=True)
    origin = train.mid.min()

    def years(pairs: itslive.ImagePairs) -> NDArray[np.float64]:
        return ((pairs.mid - origin) / YEAR)[:, None]

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # parameters at their bounds: as it is
        begin = time.process_time()
        model.fit(years(train), along_flow(train, direction))
        fitted = time.process_time()
        mean, std = model.predict(years(test), return_std=True)
        end = time.process_time()
    residual = (along_flow(test, direction) - mean) / std
    log_density = -0.5 * residual**2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    return GaussianProcessPrediction(
        mean, std, 1.96 * std, log_density, len(train), str(model.kernel_), fitted - begin, end - fitted
    )


def _kernel(*, amplitudes: bool) -> Kernel:
    from sklearn.gaussian_process.kernels import ConstantKernel, ExpSineSquared, Matern, WhiteKernel

    wide, variance = (1e-5, 10.0), (1e-5, 1e3)
    rough = Matern(1.5, wide, nu=1.5)
    season = ExpSineSquared(1.0, 1.0, wide, (1e-3, 10.0))
    if amplitudes:
        rough = ConstantKernel(1.0, variance) * rough
        season = ConstantKernel(1.0, variance) * season
    return ConstantKernel(1.0, wide) + rough + season + WhiteKernel(2.0, (1e-6, 1e3))
