"""scikit-learn's Gaussian process on mid-dates: what others use, done right, for comparison.

The kernel is Constant x Matern 3/2 + Constant x ExpSineSquared + White, each component on its own; the formal
errors stand on the diagonal beside the white noise. A pair counts as an instant, the middle of its span. Time
grows with the cube of the number of pairs, memory with its square.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.gaussian_process.component import CancelledError
from itslive_core.observations.missions import mission_numbers
from itslive_core.observations.weights import observation_variance
from itslive_core.series import speed_and_std
from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["LARGE", "fit_reference"]

LARGE = 3000
"""Pairs from which on a warning is given: a fit takes minutes and gigabytes."""


def fit_reference(
    used: ImagePairs,
    grid: TimeGrid,
    settings: GaussianProcessSettings,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Fit both components with scikit-learn and evaluate them at the centres of cells.

    Parameters
    ----------
    used : ImagePairs
        n pairs.
    grid : TimeGrid
        M cells.
    settings : GaussianProcessSettings
        Whether there is a trend and a season.
    cancelled : callable, optional
        Asked before each component.

    Returns
    -------
    columns : dict of ndarray, shape (M,)
        vx, vy, v and their standard deviations [m/yr], those of the velocity, not of pairs.
    words : dict
        Attributes: the kernels that were found.

    Raises
    ------
    SettingsError
        If scikit-learn is missing.
    CancelledError
        If `cancelled` said so.
    """
    try:
        from sklearn import gaussian_process
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise SettingsError(
            "method 'sklearn' needs scikit-learn: pip install scikit-learn, or use method 'span'"
        ) from error
    n = len(used)
    if n > LARGE:
        warnings.warn(
            f"scikit-learn's Gaussian process on {n:,} pairs takes minutes and gigabytes: select fewer than"
            f" {LARGE:,} pairs, or use method 'span'",
            UserWarning,
            stacklevel=2,
        )
    variance = observation_variance(
        "error",
        np.array([0, n]),
        np.arange(n, dtype=np.int32),
        used.span,
        used.vx_error,
        used.vy_error,
        mission_numbers(used.mission),
    )
    kernels = gaussian_process.kernels
    kernel = kernels.WhiteKernel(0.1, (1e-6, 1e2))
    if settings.trend or not settings.season:
        kernel = kernels.ConstantKernel(1.0, (1e-4, 1e3)) * kernels.Matern(1.0, (0.02, 50.0), nu=1.5) + kernel
    if settings.season:
        wave = kernels.ExpSineSquared(1.0, 1.0, length_scale_bounds=(0.1, 20.0), periodicity_bounds="fixed")
        kernel = kernels.ConstantKernel(0.3, (1e-4, 1e3)) * wave + kernel
    columns: dict[str, NDArray[np.float64]] = {}
    words: dict[str, Any] = {"reason": "", "evidence_gain_over_constant": float("nan"), "refined": 1}
    for name, d in (("vx", used.vx), ("vy", used.vy)):
        if cancelled is not None and cancelled():
            raise CancelledError
        centre = float(np.median(d))
        scale = MAD_TO_STD * float(np.median(np.abs(d - centre))) or float(np.std(d)) or 1.0
        model = gaussian_process.GaussianProcessRegressor(kernel, alpha=variance / scale**2)
        with warnings.catch_warnings():
            # A length at its bound is an answer here; the bounds are wide.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(used.mid[:, None] / DAYS_PER_YEAR, (d - centre) / scale)
        white = sum(value for key, value in model.kernel_.get_params().items() if key.endswith("noise_level"))
        mean, std = model.predict(grid.centres[:, None] / DAYS_PER_YEAR, return_std=True)
        columns[name] = mean * scale + centre
        # The prediction is that of a pair, white noise and all; the velocity varies less.
        columns[f"{name}_std"] = np.sqrt(np.maximum(std**2 - white, 0.0)) * scale
        words[f"kernel_{name}"] = str(model.kernel_)
    v, v_std = speed_and_std(columns["vx"], columns["vy"], columns["vx_std"], columns["vy_std"])
    return {**columns, "v": v, "v_std": np.asarray(v_std)}, words
