"""State in the address of the page. What comes from there is untrusted and put within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from dashboard.hosting.results import is_id
from dashboard.hosting.secrets import has_secret
from dashboard.state.estimators import METHODS, PARTS, Estimators
from dashboard.state.mirror import bounds_of
from dashboard.state.settings import LOG_SMOOTHING_BOUNDS, Settings
from itslive_core.settings import Choice, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.control.session import Session
    from dashboard.state.mirror import Mirror
    from itslive_core.settings import Kind

__all__ = [
    "OWN_KEYS",
    "Place",
    "apply_query",
    "keys_of",
    "keys_of_others",
    "keys_of_process",
    "place_in",
    "query_in",
    "query_of",
]

_SHORT = {"derivative": "k", "interval": "h"}
"""Settings that a link calls otherwise than the core does."""
_ALWAYS = ("derivative", "interval", "robust", "weights", "outliers")
"""Settings that a link always holds; the others only where they are not the usual ones."""
_NOT_SHARED = ("device",)
"""Settings that are not for those who get the link: their machine is another one."""


def _keys(state: type[Mirror], apart: tuple[str, ...], taken: tuple[str, ...] = ()) -> dict[str, str]:
    """Return by their names in a link the settings that need no rule of their own."""
    return {
        f"gp_{name}" if name in taken else _SHORT.get(name, name): name
        for name in (*(one for one in _ALWAYS if one in state.kinds), *state.kinds)
        if name not in apart
    }


def keys_of(settings: type[Settings]) -> dict[str, str]:
    """Return the settings of the inversion by their names in a link."""
    return _keys(settings, _NOT_SHARED)


def keys_of_process(estimators: type[Estimators], settings: type[Settings]) -> dict[str, str]:
    """Return the settings of the Gaussian process alone by their names in a link."""
    return _keys(estimators, ("method", *PARTS), tuple(settings.kinds))


def keys_of_others(estimators: Estimators) -> dict[str, dict[str, str]]:
    """Return by estimator the settings of those that have no rules of their own, by their names in a link."""
    return {
        name: {f"{name}_{field}": field for field in other.fields}
        for name, other in estimators.others.items()
    }


OWN_KEYS = frozenset(
    {
        *("lambda", "neighbours", "lon", "lat", "cube", "job", "method", "kernel"),
        *keys_of(Settings),
        *keys_of_process(Estimators, Settings),
        *(key for keys in keys_of_others(Estimators()).values() for key in keys),
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
    job : str
        Id of the estimate of a whole glacier, empty for none.
    """

    lon: float | None = None
    lat: float | None = None
    cube: str = ""
    job: str = ""


LONGEST = 4000
"""Characters of a query that are read; no link of ours comes near."""


def query_in(search: str) -> dict[str, str]:
    """Read the query of an address, as far as that is sensible; values stay text.

    Parameters
    ----------
    search : str
        With or without the question mark; of any length.
    """
    try:
        return dict(parse_qsl(search.removeprefix("?")[:LONGEST], max_num_fields=200))
    except ValueError:
        return {}


def _number(text: Any, low: float, high: float) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def _read(kind: Kind, text: Any) -> Any:
    """Return the value of a setting that a link holds; None where it is none."""
    if isinstance(kind, Flag):
        return {"true": True, "1": True, "false": False, "0": False}.get(str(text).lower())
    if isinstance(kind, Choice):
        choices = tuple(kind.names.values()) or kind.choices
        return next((one for one in choices if str(one) == str(text)), None)
    assert isinstance(kind, Number)
    if text in kind.words:
        return text
    value = _number(text, *bounds_of(kind))
    if value is None or not kind.whole:
        return value
    return int(value) if value == int(value) else None


def _written(value: Any) -> Any:
    """Return the value of a setting as a link holds it."""
    if isinstance(value, float):
        return f"{value:g}"
    return int(value) if isinstance(value, bool) else value


def _values_in(state: Mirror, keys: Mapping[str, str], query: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _read(state.kinds[name], query[key]) for key, name in keys.items() if key in query}
    return {name: value for name, value in found.items() if value is not None}


def _written_of(state: Mirror, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: _written(value)
        for key, name in keys.items()
        if (value := getattr(state, name)) != state.param[name].default or name in _ALWAYS
    }


def place_in(query: Mapping[str, Any]) -> Place:
    """Read the place from the query of an address; what is impossible is left out."""
    lon, lat = _number(query.get("lon"), -180.0, 180.0), _number(query.get("lat"), -90.0, 90.0)
    cube = str(query.get("cube", ""))
    remote = cube.startswith(("https://", "s3://")) and "::" not in cube and len(cube) < 500
    if lon is None or lat is None:
        lon = lat = None
    job = str(query.get("job", ""))
    return Place(lon, lat, cube if remote else "", job if is_id(job) else "")


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
    values |= _values_in(settings, keys_of(type(settings)), query)
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
    values |= _values_in(estimators, keys_of_process(type(estimators), type(session.settings)), query)
    estimators.param.update(**values)
    for name, keys in keys_of_others(estimators).items():
        other = estimators.others[name]
        other.param.update(**_values_in(other, keys, query))


def query_of(session: Session) -> dict[str, Any]:
    """Return what a link should hold, so that it leads back to what is on the screen."""
    settings, point = session.settings, session.selection.point
    query: dict[str, Any] = {
        "lambda": "auto" if settings.auto_smoothing else f"{settings.smoothing:.4g}",
        **_written_of(settings, keys_of(type(settings))),
    }
    if settings.neighbours != "none":
        coupling = settings.spatial_smoothing
        query["neighbours"] = coupling if isinstance(coupling, str) else f"{coupling:.4g}"
    estimators = session.estimators
    if estimators.method in estimators.others:
        query["method"] = estimators.method
        other = estimators.others[estimators.method]
        query |= _written_of(other, keys_of_others(estimators)[estimators.method])
    if estimators.fits_process:
        query["method"] = estimators.method
        query["kernel"] = ",".join(estimators.parts) or "none"
        query |= _written_of(estimators, keys_of_process(type(estimators), type(settings)))
    if point is not None:
        query.update(lon=f"{point.lon:.5f}", lat=f"{point.lat:.5f}")
        if point.cube_url.startswith(("https://", "s3://")) and not has_secret(point.cube_url):
            query["cube"] = point.cube_url
    if session.jobs.shown:
        query["job"] = session.jobs.shown
    return query
