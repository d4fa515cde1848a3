"""Glacier velocity series from ITS_LIVE image pairs.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from itslive_core._version import __version__

if TYPE_CHECKING:
    from itslive_core.comparison.compare import Comparison, compare
    from itslive_core.cubes.datacube import Datacube, open_cube
    from itslive_core.errors import ItsliveError
    from itslive_core.estimators import calendar_means
    from itslive_core.events.detect import detect_events
    from itslive_core.gaussian_process.point import fit_gaussian_process, fit_gaussian_process_steps
    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.inversion.diagnosis import Diagnosis, diagnose
    from itslive_core.inversion.point import invert
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.smoothing import smoothing_curve
    from itslive_core.jobs.glacier import run_glacier
    from itslive_core.jobs.overview import read_glacier
    from itslive_core.jobs.points import run_points
    from itslive_core.jobs.profile_steps import ProfileStep, profile_steps
    from itslive_core.jobs.profiles import profile
    from itslive_core.moving_median.estimate import fit_moving_median
    from itslive_core.moving_median.settings import MovingMedianSettings
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.physics.acceleration import acceleration
    from itslive_core.physics.gates import flux
    from itslive_core.physics.pathlines import pathlines
    from itslive_core.physics.strain import strain_rates
    from itslive_core.places.cube_record import CubeRecord
    from itslive_core.places.glaciers import Glacier
    from itslive_core.places.lookup import cubes_at
    from itslive_core.recipes import rerun
    from itslive_core.season.point import fit_season
    from itslive_core.series.propagation import FrontSpeed, Sighting, front_speed
    from itslive_core.warming import warm_up

_HOMES = {
    "Comparison": "comparison.compare",
    "CubeRecord": "places.cube_record",
    "Datacube": "cubes.datacube",
    "Diagnosis": "inversion.diagnosis",
    "FrontSpeed": "series.propagation",
    "GaussianProcessSettings": "gaussian_process.settings",
    "Glacier": "places.glaciers",
    "ImagePairs": "observations.pairs",
    "InversionSettings": "inversion.settings",
    "ItsliveError": "errors",
    "MovingMedianSettings": "moving_median.settings",
    "PairSelection": "observations.selection",
    "ProfileStep": "jobs.profile_steps",
    "Sighting": "series.propagation",
    "acceleration": "physics.acceleration",
    "calendar_means": "estimators",
    "compare": "comparison.compare",
    "cubes_at": "places.lookup",
    "detect_events": "events.detect",
    "diagnose": "inversion.diagnosis",
    "fit_gaussian_process": "gaussian_process.point",
    "fit_gaussian_process_steps": "gaussian_process.point",
    "fit_moving_median": "moving_median.estimate",
    "fit_season": "season.point",
    "front_speed": "series.propagation",
    "flux": "physics.gates",
    "invert": "inversion.point",
    "open_cube": "cubes.datacube",
    "pathlines": "physics.pathlines",
    "profile": "jobs.profiles",
    "profile_steps": "jobs.profile_steps",
    "read_glacier": "jobs.overview",
    "rerun": "recipes",
    "run_glacier": "jobs.glacier",
    "run_points": "jobs.points",
    "smoothing_curve": "inversion.smoothing",
    "strain_rates": "physics.strain",
    "warm_up": "warming",
}

__all__ = [
    "Comparison",
    "CubeRecord",
    "Datacube",
    "Diagnosis",
    "FrontSpeed",
    "GaussianProcessSettings",
    "Glacier",
    "ImagePairs",
    "InversionSettings",
    "ItsliveError",
    "MovingMedianSettings",
    "PairSelection",
    "ProfileStep",
    "Sighting",
    "__version__",
    "acceleration",
    "calendar_means",
    "compare",
    "cubes_at",
    "detect_events",
    "diagnose",
    "fit_gaussian_process",
    "fit_gaussian_process_steps",
    "fit_moving_median",
    "fit_season",
    "front_speed",
    "flux",
    "invert",
    "open_cube",
    "pathlines",
    "profile",
    "profile_steps",
    "read_glacier",
    "rerun",
    "run_glacier",
    "run_points",
    "smoothing_curve",
    "strain_rates",
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
