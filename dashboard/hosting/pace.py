"""How long a job may take: as long as such results of this server took."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dashboard.hosting.results import NoResultError
from itslive_core.estimators import estimator_of

if TYPE_CHECKING:
    from dashboard.hosting.results import Results
    from itslive_core.settings import Settings

__all__ = ["kind_of", "pace_of"]

_ENOUGH = 30
"""Pixels that say something of the pace."""
_LAST = 20
"""Results that are looked through, the newest first."""


def kind_of(estimator: str, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Return what decides the pace among settings: choices, and not by how much."""
    kinds = {
        name: value if isinstance(value, (str, bool)) else bool(value)
        for name, value in settings.items()
        if name != "device"
    }
    return (estimator, *sorted(kinds.items()))


def pace_of(results: Results, settings: Settings) -> float | None:
    """Return the time that a pixel took in the newest result that was made with such settings here.

    Parameters
    ----------
    results : Results
    settings : Settings

    Returns
    -------
    float or None
        Of the clock, with all that the server does beside it [s]; None where there is no such result.
    """
    name = estimator_of(settings).name
    wanted = kind_of(name, settings.to_dict())
    for job in results.ids()[:_LAST]:
        end = results.end(job)
        if end.pixels < _ENOUGH:
            continue
        with suppress(NoResultError, ValueError, KeyError, TypeError):
            recipe = json.loads(results.record(job).size.recipe)
            if kind_of(recipe["estimator"], recipe["settings"]) == wanted:
                return end.seconds / end.pixels
    return None
