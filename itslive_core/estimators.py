"""The estimators that there are."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itslive_core.estimator import Estimator
    from itslive_core.settings import Settings

__all__ = ["ESTIMATORS", "all_estimators", "estimator", "estimator_of"]

ESTIMATORS = {
    "inversion": "itslive_core.inversion.door.Inversion",
    "gaussian_process": "itslive_core.gaussian_process.door.GaussianProcess",
    "moving_median": "itslive_core.moving_median.door.MovingMedian",
}
"""Where the door of each is; the first is the default."""


@cache
def estimator(name: str) -> Estimator:
    """Return an estimator by its name; one of `ESTIMATORS`."""
    module, _, cls = ESTIMATORS[name].rpartition(".")
    found: Estimator = getattr(import_module(module), cls)()
    return found


def all_estimators() -> tuple[Estimator, ...]:
    """Return all of them, the default first."""
    return tuple(estimator(name) for name in ESTIMATORS)


def estimator_of(settings: Settings) -> Estimator:
    """Return the estimator that settings are meant for."""
    return next(one for one in all_estimators() if type(settings) is one.settings)
