"""State that mirrors settings of the core: bounds, choices, labels and docs come from their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import param

from itslive_core.settings import Choice, Flag, Kind, Number

if TYPE_CHECKING:
    from itslive_core.settings import Settings

__all__ = ["Mirror", "bounds_of", "mirrored", "parameter_of"]


class Mirror(param.Parameterized):
    """Base of the state that mirrors a class of settings; a class below is completed by `mirrored`."""

    core: ClassVar[type[Settings]]
    """What is mirrored."""
    apart: ClassVar[tuple[str, ...]] = ()
    """Settings of the core that are said in another way, or not at all."""
    own: ClassVar[dict[str, Kind]] = {}
    """What the state knows beside the settings of the core and describes as these are."""
    fields: ClassVar[tuple[str, ...]] = ()
    """Settings that are mirrored, by the names that they have in the core."""
    kinds: ClassVar[dict[str, Kind]] = {}
    """What is known of these, and of `own`."""

    def limit(self, name: str, value: float | None) -> float | None:
        """Set a number, or None for no limit; what lies outside its bounds is moved to their end."""
        value = self._within(name, value)
        self.param.update(**{name: value})
        return value

    def _within(self, name: str, value: Any) -> Any:
        """Move a number to the bounds of its widget; what is no number stays as it is."""
        kind = self.kinds[name]
        if not isinstance(kind, Number) or value is None or isinstance(value, str):
            return value
        low, high = bounds_of(kind)
        found = min(max(float(value), low), high)
        return round(found) if kind.whole else found


MirrorClass = TypeVar("MirrorClass", bound=type[Mirror])


def mirrored(cls: MirrorClass) -> MirrorClass:
    """Give a class of state a parameter for each setting of its `Mirror.core` that it does not have yet."""
    kinds = {name: kind for name, kind in cls.core.kinds().items() if name not in cls.apart}
    cls.fields = tuple(kinds)
    cls.kinds = {**cls.own, **kinds}
    for name, kind in cls.kinds.items():
        if name not in cls.param:
            cls.param.add_parameter(name, parameter_of(name, kind))
    return cls


def parameter_of(name: str, kind: Kind) -> param.Parameter:
    """Make the parameter of a setting.

    Where ``"auto"`` leaves a setting to the estimator, the parameter says outright what that usually means.
    """
    words = {
        "label": kind.label or name.replace("_", " ").capitalize(),
        "doc": kind.doc or f"{kind.help}.",
    }
    if isinstance(kind, Flag):
        return param.Boolean(default=kind.default, **words)
    if isinstance(kind, Choice):
        automatic = kind.automatic
        names = kind.names or {
            str(one).capitalize(): one for one in kind.choices if automatic is None or one != "auto"
        }
        default = kind.default if automatic is None else automatic[0]
        return param.Selector(default=default, objects=dict(names), **words)
    assert isinstance(kind, Number)
    if kind.words:
        return param.Parameter(default=kind.default, **words)
    of = param.Integer if kind.whole else param.Number
    return of(default=kind.default, bounds=bounds_of(kind), step=kind.step, **words)


def bounds_of(kind: Number) -> tuple[float, float]:
    """Range of the widget of a number."""
    return kind.slider or (kind.low, kind.high)
