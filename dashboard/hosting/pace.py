"""How long a job may take: as the results of this server took, else as was measured elsewhere."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itslive_core.estimators import estimator_of
from itslive_core.jobs.plan import available_workers

if TYPE_CHECKING:
    from dashboard.hosting.results import Results
    from itslive_core.settings import Settings

__all__ = ["Pace", "kind_of", "pace_of"]

_ENOUGH = 30
"""Pixels that say something of the pace."""
_LAST = 20
"""Results that are looked through, the newest first."""
_MEASURED: dict[tuple[str, bool], float] = {}
"""CPU seconds of a pixel by estimator, and whether the smoothing is found from the data."""


@dataclass(frozen=True)
class Pace:
    """Time that a pixel takes.

    Parameters
    ----------
    seconds : float
        Of the clock, with all cores at work.
    here : bool
        Measured on this server, with such settings.
    """

    seconds: float
    here: bool


def kind_of(estimator: str, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Return what decides the pace among settings: choices, and not by how much."""
    kinds = {
        name: value if isinstance(value, (str, bool)) else bool(value)
        for name, value in settings.items()
        if name != "device"
    }
    return (estimator, *sorted(kinds.items()))


def pace_of(results: Results, settings: Settings) -> Pace | None:
    """Return the pace of the newest result that was made with such settings, else one measured elsewhere.

    Parameters
    ----------
    results : Results
    settings : Settings

    Returns
    -------
    Pace or None
        None where nothing is known.
    """
    name = estimator_of(settings).name
    wanted = kind_of(name, settings.to_dict())
    for job in results.ids()[:_LAST]:
        end = results.end(job)
        if end.pixels < _ENOUGH:
            continue
        with suppress(Exception):
            recipe = json.loads(results.record(job).size.recipe)
            if kind_of(recipe["estimator"], recipe["settings"]) == wanted:
                return Pace(end.seconds / end.pixels, here=True)
    if getattr(settings, "spatial_smoothing", 0.0) or getattr(settings, "device", "auto") == "cuda":
        return None
    automatic = getattr(settings, "smoothing", None) == "auto"
    seconds = _MEASURED.get((name, automatic))
    return None if seconds is None else Pace(seconds / available_workers(()), here=False)
