"""Glacier velocity series from ITS_LIVE image pairs.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from itslive_core._version import __version__

if TYPE_CHECKING:
    from itslive_core.cube_record import CubeRecord
    from itslive_core.datacube import Datacube, open_cube
    from itslive_core.errors import ItsliveError
    from itslive_core.estimators.diagnosis import Diagnosis, diagnose
    from itslive_core.estimators.gaussian_process import fit_gaussian_process, fit_gaussian_process_steps
    from itslive_core.estimators.gp_settings import GaussianProcessSettings
    from itslive_core.estimators.inversion import invert
    from itslive_core.estimators.season import fit_season
    from itslive_core.estimators.settings import InversionSettings
    from itslive_core.estimators.smoothing import smoothing_curve
    from itslive_core.estimators.warm_up import warm_up
    from itslive_core.glaciers import Glacier
    from itslive_core.jobs.glacier import run_glacier
    from itslive_core.jobs.overview import read_glacier
    from itslive_core.lookup import cubes_at
    from itslive_core.pairs import ImagePairs
    from itslive_core.selection import PairSelection

_HOMES = {
    "CubeRecord": "cube_record",
    "Datacube": "datacube",
    "Diagnosis": "estimators.diagnosis",
    "GaussianProcessSettings": "estimators.gp_settings",
    "Glacier": "glaciers",
    "ImagePairs": "pairs",
    "InversionSettings": "estimators.settings",
    "ItsliveError": "errors",
    "PairSelection": "selection",
    "cubes_at": "lookup",
    "diagnose": "estimators.diagnosis",
    "fit_gaussian_process": "estimators.gaussian_process",
    "fit_gaussian_process_steps": "estimators.gaussian_process",
    "fit_season": "estimators.season",
    "invert": "estimators.inversion",
    "open_cube": "datacube",
    "read_glacier": "jobs.overview",
    "run_glacier": "jobs.glacier",
    "smoothing_curve": "estimators.smoothing",
    "warm_up": "estimators.warm_up",
}

__all__ = [
    "CubeRecord",
    "Datacube",
    "Diagnosis",
    "GaussianProcessSettings",
    "Glacier",
    "ImagePairs",
    "InversionSettings",
    "ItsliveError",
    "PairSelection",
    "__version__",
    "cubes_at",
    "diagnose",
    "fit_gaussian_process",
    "fit_gaussian_process_steps",
    "fit_season",
    "invert",
    "open_cube",
    "read_glacier",
    "run_glacier",
    "smoothing_curve",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
