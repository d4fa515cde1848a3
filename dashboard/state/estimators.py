"""Which estimators a person has chosen, and what they have of their own beside the inversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dashboard.state.mirror import Mirror, mirrored
from itslive_core import GaussianProcessSettings
from itslive_core.estimators import all_estimators
from itslive_core.settings import Choice, ValueFilters

if TYPE_CHECKING:
    from collections.abc import Callable

    from itslive_core import InversionSettings
    from itslive_core.settings import Settings

__all__ = ["METHODS", "OTHERS", "PARTS", "Estimators"]

OTHERS = {one.command: one for one in all_estimators() if one.command not in ("invert", "gp")}
"""Estimators that need no widget of their own, by their names in a link."""
METHODS = {
    "Inversion": "inversion",
    "Gaussian process": "gp",
    "Both": "both",
    **{one.label: name for name, one in OTHERS.items()},
}
"""Names of the methods as a person reads them."""
_ELSEWHERE = ("interval", "device", *ValueFilters.kinds())
"""Settings of every estimator that stand with those of the inversion."""
PARTS = ("trend", "season", "offsets")
"""Parts of the Gaussian process that can be switched off."""

_METHOD = Choice(
    default="inversion",
    choices=tuple(METHODS.values()),
    names=METHODS,
    label="Method",
    help="The inversion follows the pairs and leaves gaps open; the Gaussian process splits the series in"
    " trend, season and rest, and fills gaps with bands that widen",
)


class _Own(Mirror):
    """Base of the mirrors of what an estimator has of its own."""

    def to_core(self, settings: InversionSettings) -> Settings:
        """Return the core's settings of the estimator.

        Parameters
        ----------
        settings : InversionSettings
            Whose interval and filters on values hold for all methods. The device does not: a point is
            estimated where it is done best.

        Raises
        ------
        itslive_core.errors.SettingsError
            If a value is impossible.
        """
        shared: dict[str, Any] = {"interval": settings.interval, **settings.filters.to_dict()}
        return self.core(**shared, **{name: getattr(self, name) for name in self.fields})


def _mirror_of(settings: type[Settings]) -> type[_Own]:
    """Make the state that mirrors what other settings have of their own."""
    return mirrored(type(f"{settings.__name__}State", (_Own,), {"core": settings, "apart": _ELSEWHERE}))


_MIRRORS = {name: _mirror_of(one.settings) for name, one in OTHERS.items()}


@mirrored
class Estimators(_Own):
    """The method, and mirror of what `itslive_core.GaussianProcessSettings` has of its own.

    The interval and the filters on values are those of `dashboard.state.settings.Settings`, for all methods.
    """

    core = GaussianProcessSettings
    apart = ("method", *_ELSEWHERE)
    own: ClassVar = {"method": _METHOD}

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.others = {name: mirror() for name, mirror in _MIRRORS.items()}

    @property
    def inverts(self) -> bool:
        """The inversion is wanted."""
        return self.method in ("inversion", "both")

    @property
    def fits_process(self) -> bool:
        """The Gaussian process is wanted."""
        return self.method in ("gp", "both")

    def second(self, settings: InversionSettings) -> Settings | None:
        """Return the settings of the estimator that is wanted beside or instead of the inversion, if any.

        Raises
        ------
        itslive_core.errors.SettingsError
            If a value is impossible.
        """
        if self.fits_process:
            return self.to_core(settings)
        other = self.others.get(self.method)
        return None if other is None else other.to_core(settings)

    def watch(self, act: Callable[..., None]) -> None:
        """Be told when the method changes, or what an estimator has of its own."""
        for state in (self, *self.others.values()):
            state.param.watch(act, list(state.kinds))

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that are switched on."""
        return tuple(name for name in PARTS if getattr(self, name))
