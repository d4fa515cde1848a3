"""Which estimator a person has chosen, and the parts of the Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import param

from itslive_core import GaussianProcessSettings

if TYPE_CHECKING:
    from itslive_core import InversionSettings

__all__ = ["ESTIMATOR_FIELDS", "METHODS", "PARTS", "Estimators"]

METHODS = {"Inversion": "inversion", "Gaussian process": "gp", "Both": "both"}
"""Names of the methods as a person reads them."""
PARTS = ("trend", "season", "offsets")
"""Parts of the Gaussian process that can be switched off."""
ESTIMATOR_FIELDS = ("method", *PARTS, "harmonics")
"""What the series depends on."""

_HARMONICS = (1, 12)


class Estimators(param.Parameterized):
    """The method, and mirror of what `itslive_core.GaussianProcessSettings` has of its own.

    The interval and the filters on values are those of `dashboard.state.settings.Settings`, for both methods.
    """

    method = param.Selector(
        default="inversion",
        objects=METHODS,
        label="Method",
        doc="The inversion follows the pairs and leaves gaps open; the Gaussian process splits the series in "
        "trend, season and rest, and fills gaps with bands that widen.",
    )
    trend = param.Boolean(default=True, label="Trend", doc="Changes over years.")
    season = param.Boolean(default=True, label="Season", doc="A yearly cycle whose shape drifts.")
    offsets = param.Boolean(
        default=True,
        label="Offsets between missions",
        doc="Allow each mission a constant offset from the others, shrunk towards 0.",
    )
    harmonics = param.Integer(
        default=6, bounds=_HARMONICS, label="Harmonics", doc="Sharper peaks of the season need more."
    )

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
        return GaussianProcessSettings(
            interval=settings.interval,
            trend=self.trend,
            season=self.season,
            harmonics=self.harmonics,
            offsets=self.offsets,
            outliers=settings.outliers,
            max_error=settings.max_error,
            max_angle=settings.max_angle,
            max_deviation=settings.max_deviation,
        )
