"""Settings of the Gaussian process: validated, immutable, and the same in Python, shell and app."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from itslive_core.errors import SettingsError
from itslive_core.inversion.settings import DEVICES, OUTLIERS, REJECTION_LIMITS, InversionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS", "GaussianProcessSettings"]

METHODS = ("span", "sklearn")
"""The span-aware model, or scikit-learn's on mid-dates, for comparison."""

_INTERVALS = (1.0, 120.0)
_HARMONICS = (1, 12)


@dataclass(frozen=True)
class GaussianProcessSettings:
    """How to fit a Gaussian process to image pairs.

    Parameters
    ----------
    interval : float
        Length of a time cell [days].
    method : {"span", "sklearn"}
        ``"span"`` averages over the span of each pair; ``"sklearn"`` takes a pair for an instant, as
        scikit-learn's Gaussian process must, and is there for comparison.
    trend : bool
        Changes over years.
    season : bool
        A yearly cycle whose shape drifts.
    harmonics : int
        Number of harmonics of the season; sharper peaks need more.
    offsets : bool
        Estimate an offset of each mission from the most trusted one, shrunk towards 0.
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    device : {"auto", "cpu", "cuda"}
        Where to compute; the result does not depend on it. ``"cuda"`` needs torch and a GPU: for areas;
        ``"auto"`` takes a GPU for blocks for which it should pay.
    max_error, max_angle, max_deviation : float, optional
        Limits beyond which pairs are rejected, as in `InversionSettings`.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    interval: float = 12.0
    method: str = "span"
    trend: bool = True
    season: bool = True
    harmonics: int = 6
    offsets: bool = True
    outliers: str = "auto"
    device: str = "auto"
    max_error: float | None = None
    max_angle: float | None = None
    max_deviation: float | None = None

    _CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "method": METHODS,
        "outliers": OUTLIERS,
        "device": DEVICES,
    }

    def __post_init__(self) -> None:
        """Check every value, and bring numbers to one type."""
        object.__setattr__(self, "interval", self._number("interval", *_INTERVALS, " days"))
        harmonics = self._number("harmonics", *_HARMONICS)
        if harmonics != int(harmonics):
            raise SettingsError(f"harmonics is {self.harmonics!r}: give a whole number")
        object.__setattr__(self, "harmonics", int(harmonics))
        for name, choices in self._CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise SettingsError(f"{name} {value!r} is not known: choose from {', '.join(choices)}")
        for name in ("trend", "season", "offsets"):
            value = getattr(self, name)
            if getattr(getattr(value, "dtype", None), "kind", "") != "b" and not isinstance(value, bool):
                raise SettingsError(f"{name} is {value!r}: choose True or False")
            object.__setattr__(self, name, bool(value))
        for name in REJECTION_LIMITS:  # checked by the settings that know them
            object.__setattr__(self, name, getattr(self.filters, name))

    def _number(self, name: str, low: float, high: float, unit: str = "") -> float:
        value = getattr(self, name)
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high:
            raise SettingsError(f"{name} is {value!r}: give a number from {low:g} to {high:g}{unit}")
        return number

    @property
    def filters(self) -> InversionSettings:
        """The same filters on values as settings of the inversion, which `use_pairs` takes."""
        return InversionSettings(
            outliers=self.outliers,
            max_error=self.max_error,
            max_angle=self.max_angle,
            max_deviation=self.max_deviation,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return all settings as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GaussianProcessSettings:
        """Rebuild settings from `to_dict`; what is missing takes its default.

        Raises
        ------
        SettingsError
            If a name is unknown or a value impossible.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            names = ", ".join(cls.__dataclass_fields__)
            raise SettingsError(f"{unknown[0]!r} is no setting of the Gaussian process: choose from {names}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> GaussianProcessSettings:
        """Rebuild settings from `to_json`.

        Raises
        ------
        SettingsError
            If the text is not a JSON object, or holds something impossible.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SettingsError(f"the settings are not JSON ({error}): write one JSON object") from error
        if not isinstance(values, dict):
            raise SettingsError('the settings are not a JSON object: write them as {"interval": 12, ...}')
        return cls.from_dict(values)
