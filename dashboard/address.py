"""State in the address of the page. What comes from there is untrusted and put within bounds."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from dashboard.control.link import PLACE_KEYS
from dashboard.state.estimators import METHODS, PARTS, Estimators
from dashboard.state.filters import DATE_BOUNDS, MOST_LEFT_OUT, SPAN_BOUNDS
from dashboard.state.looks import Looks
from dashboard.state.mirror import bounds_of
from dashboard.state.settings import LOG_SMOOTHING_BOUNDS, Settings
from itslive_core.errors import SettingsError
from itslive_core.observations.left_out import parse_left_out
from itslive_core.observations.missions import MISSIONS
from itslive_core.settings import Choice, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.control.session import Session
    from dashboard.state.filters import Filters
    from dashboard.state.mirror import Mirror
    from itslive_core.settings import Kind

__all__ = [
    "OWN_KEYS",
    "apply_query",
    "keys_of",
    "keys_of_others",
    "keys_of_process",
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


LOOKS_KEYS = Looks.FIELDS
_FILTERS = ("start", "end", "mission", "min_span", "max_span", "leave_out")
OWN_KEYS = frozenset(
    {
        *("lambda", "neighbours", "method", "kernel"),
        *PLACE_KEYS,
        *LOOKS_KEYS,
        *_FILTERS,
        *keys_of(Settings),
        *keys_of_process(Estimators, Settings),
        *(key for keys in keys_of_others(Estimators()).values() for key in keys),
    }
)
"""Everything that a link may hold; what `query_of` leaves out has its usual value."""


LONGEST = 8000
"""Characters of a query that are read; no link of ours is as long."""


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
    """Return the value of a setting as a link holds it, so that it comes back to the last digit."""
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
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
    _apply_filters(session.filters, query)
    _apply_looks(session.looks, query)


def _apply_looks(looks: Looks, query: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {}
    for name in ("tab", "component", "arrangement"):
        choices = {str(one): one for one in looks.param[name].objects}
        if str(query.get(name)) in choices:
            values[name] = choices[str(query[name])]
    if str(query.get("rejected")) in ("0", "1"):
        values["rejected"] = str(query["rejected"]) == "1"
    looks.param.update(**values)


def _apply_filters(filters: Filters, query: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {}
    for name in ("start", "end"):
        try:
            date = dt.date.fromisoformat(str(query[name]))
        except (KeyError, ValueError):
            continue
        if DATE_BOUNDS[0] <= date <= DATE_BOUNDS[1]:
            values[name] = date
    if values.get("start", DATE_BOUNDS[0]) > values.get("end", DATE_BOUNDS[1]):
        values = {}
    missions = [one for one in MISSIONS if one in str(query.get("mission", "")).split(",")]
    if missions:
        values["missions"] = missions
    low, high = (_number(query.get(name), *SPAN_BOUNDS) for name in ("min_span", "max_span"))
    span = (SPAN_BOUNDS[0] if low is None else round(low), SPAN_BOUNDS[1] if high is None else round(high))
    if span[0] <= span[1]:
        values["span"] = span
    if "leave_out" in query:
        with suppress(SettingsError):  # what a link spells wrong is left out of it, as everywhere
            values["leave_out"] = list(parse_left_out(str(query["leave_out"])))[:MOST_LEFT_OUT]
    filters.param.update(**values)


def _written_filters(filters: Filters) -> dict[str, Any]:
    low, high = filters.span
    return {
        **({"start": filters.start.isoformat()} if filters.start else {}),
        **({"end": filters.end.isoformat()} if filters.end else {}),
        **({"mission": ",".join(filters.missions)} if len(filters.missions) < len(MISSIONS) else {}),
        **({"min_span": low} if low > SPAN_BOUNDS[0] else {}),
        **({"max_span": high} if high < SPAN_BOUNDS[1] else {}),
        **({"leave_out": ",".join(filters.leave_out)} if filters.leave_out else {}),
    }


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
    settings = session.settings
    query: dict[str, Any] = {
        "lambda": "auto" if settings.auto_smoothing else _written(settings.smoothing),
        **_written_of(settings, keys_of(type(settings))),
        **_written_filters(session.filters),
    }
    if settings.neighbours != "none":
        coupling = settings.spatial_smoothing
        query["neighbours"] = _written(coupling)
    estimators = session.estimators
    if estimators.method != estimators.param.method.default:
        query["method"] = estimators.method
    if estimators.fits_process or any(
        getattr(estimators, one) != estimators.param[one].default for one in PARTS
    ):
        query["kernel"] = ",".join(estimators.parts) or "none"
    query |= _written_of(estimators, keys_of_process(type(estimators), type(settings)))
    for name, keys in keys_of_others(estimators).items():
        query |= _written_of(estimators.others[name], keys)
    looks = session.looks
    query |= {
        name: _written(value)
        for name in LOOKS_KEYS
        if (value := getattr(looks, name)) != looks.param[name].default
    }
    return query
