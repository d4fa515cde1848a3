"""State in the address of the page. What comes from there is untrusted and put within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.state.estimators import METHODS, PARTS
from dashboard.state.settings import LIMITS, LOG_SMOOTHING_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.control.session import Session

__all__ = ["OWN_KEYS", "Place", "apply_query", "place_in", "query_of"]


_ALWAYS = ("weights", "outliers")
_WHERE_CHANGED = ("criterion", "smoothing_in_time", "noise", "offsets")
"""Choices that a link holds only where they are not the usual ones."""
_OF_PROCESS = ("method", "kernel", "harmonics")
"""Choices that a link holds only where there is a Gaussian process."""

OWN_KEYS = frozenset(
    {
        "lambda",
        "k",
        "h",
        "robust",
        "neighbours",
        "lon",
        "lat",
        "cube",
        *_ALWAYS,
        *_WHERE_CHANGED,
        *LIMITS,
        *_OF_PROCESS,
    }
)
"""Everything that a link may hold; what `query_of` leaves out has its usual value."""


@dataclass(frozen=True)
class Place:
    """What a link points at.

    Parameters
    ----------
    lon, lat : float or None
        The active point [degrees].
    cube : str
        URL of a cube, empty for none. Paths of the server are not taken from a link.
    """

    lon: float | None = None
    lat: float | None = None
    cube: str = ""


def _number(text: Any, low: float, high: float) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def place_in(query: Mapping[str, Any]) -> Place:
    """Read the place from the query of an address; what is impossible is left out."""
    lon, lat = _number(query.get("lon"), -180.0, 180.0), _number(query.get("lat"), -90.0, 90.0)
    cube = str(query.get("cube", ""))
    remote = cube.startswith(("https://", "s3://")) and "::" not in cube and len(cube) < 500
    if lon is None or lat is None:
        lon = lat = None
    return Place(lon, lat, cube if remote else "")


def apply_query(session: Session, query: Mapping[str, Any]) -> None:
    """Take settings over from the query of an address; what is impossible is left out."""
    settings = session.settings
    values: dict[str, Any] = {}
    smoothing = query.get("lambda")
    if smoothing == "auto":
        values["auto_smoothing"] = True
    elif (
        number := _number(smoothing, 10 ** LOG_SMOOTHING_BOUNDS[0], 10 ** LOG_SMOOTHING_BOUNDS[1])
    ) is not None:
        values.update(auto_smoothing=False, log_smoothing=math.log10(number))
    if (order := _number(query.get("k"), 1, 2)) in {1.0, 2.0}:
        values["derivative"] = int(order or 2)
    if (interval := _number(query.get("h"), *settings.param["interval"].bounds)) is not None:
        values["interval"] = interval
    for name in (*_ALWAYS, *_WHERE_CHANGED):
        if query.get(name) in settings.param[name].names.values():
            values[name] = query[name]
    for name in LIMITS:
        if (limit := _number(query.get(name), *settings.param[name].bounds)) is not None:
            values[name] = limit
    robust = str(query.get("robust", "")).lower()
    if robust in {"true", "1", "false", "0"}:
        values["robust"] = robust in {"true", "1"}
    neighbours = query.get("neighbours")
    if neighbours == "auto":
        values["neighbours"] = "auto"
    elif (mu := _number(neighbours, *settings.param["mu"].bounds)) is not None:
        values.update(neighbours="fixed", mu=mu)
    settings.param.update(**values)
    _apply_method(session, query)


def _apply_method(session: Session, query: Mapping[str, Any]) -> None:
    estimators = session.estimators
    values: dict[str, Any] = {}
    if query.get("method") in METHODS.values():
        values["method"] = query["method"]
    if "kernel" in query:
        parts = str(query["kernel"]).split(",")
        if set(parts) <= {*PARTS, "none"}:
            values |= {name: name in parts for name in PARTS}
    harmonics = _number(query.get("harmonics"), *estimators.param["harmonics"].bounds)
    if harmonics is not None and harmonics == int(harmonics):
        values["harmonics"] = int(harmonics)
    estimators.param.update(**values)


def query_of(session: Session) -> dict[str, Any]:
    """Return what a link should hold, so that it leads back to what is on the screen."""
    settings, point = session.settings, session.selection.point
    query: dict[str, Any] = {
        "lambda": "auto" if settings.auto_smoothing else f"{settings.smoothing:.4g}",
        "k": settings.derivative,
        "h": f"{settings.interval:g}",
        "robust": int(settings.robust),
        **{name: getattr(settings, name) for name in _ALWAYS},
        **{name: f"{limit:g}" for name in LIMITS if (limit := getattr(settings, name)) is not None},
        **{
            name: value
            for name in _WHERE_CHANGED
            if (value := getattr(settings, name)) != settings.param[name].default
        },
    }
    if settings.neighbours != "none":
        coupling = settings.spatial_smoothing
        query["neighbours"] = coupling if isinstance(coupling, str) else f"{coupling:.4g}"
    estimators = session.estimators
    if estimators.fits_process:
        query["method"] = estimators.method
        query["kernel"] = ",".join(estimators.parts) or "none"
        if estimators.harmonics != estimators.param["harmonics"].default:
            query["harmonics"] = estimators.harmonics
    if point is not None:
        query.update(lon=f"{point.lon:.5f}", lat=f"{point.lat:.5f}")
        if point.cube_url.startswith(("https://", "s3://")):
            query["cube"] = point.cube_url
    return query
