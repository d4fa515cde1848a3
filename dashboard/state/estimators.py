"""Which estimator a person has chosen, and the parts of the Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dashboard.state.mirror import Mirror, mirrored
from itslive_core import GaussianProcessSettings
from itslive_core.settings import Choice, ValueFilters

if TYPE_CHECKING:
    from itslive_core import InversionSettings

__all__ = ["METHODS", "PARTS", "Estimators"]

METHODS = {"Inversion": "inversion", "Gaussian process": "gp", "Both": "both"}
"""Names of the methods as a person reads them."""
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


@mirrored
class Estimators(Mirror):
    """The method, and mirror of what `itslive_core.GaussianProcessSettings` has of its own.

    The interval and the filters on values are those of `dashboard.state.settings.Settings`, for both methods.
    """

    core = GaussianProcessSettings
    apart = ("method", "interval", "device", *ValueFilters.kinds())
    own: ClassVar = {"method": _METHOD}

    @property
    def inverts(self) -> bool:
        """The inversion is wanted."""
        return bool(self.method != "gp")

    @property
    def fits_process(self) -> bool:
        """The Gaussian process is wanted."""
        return bool(self.method != "inversion")

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that are switched on."""
        return tuple(name for name in PARTS if getattr(self, name))

    def to_core(self, settings: InversionSettings) -> GaussianProcessSettings:
        """Return the core's settings of the Gaussian process.

        Parameters
        ----------
        settings : InversionSettings
            Whose interval and filters on values hold for both methods. The device does not: the Gaussian
            process of a point runs where it runs best.

        Raises
        ------
        itslive_core.errors.SettingsError
            If a value is impossible.
        """
        return self.core(
            interval=settings.interval,
            **settings.filters.to_dict(),
            **{name: getattr(self, name) for name in self.fields},
        )
