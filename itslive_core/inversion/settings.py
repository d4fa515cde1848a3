"""Settings of the inversion: validated, immutable, and the same in Python, shell and app."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEVICES",
    "NOISE",
    "OFFSETS",
    "OUTLIERS",
    "PRESETS",
    "SMOOTHING_IN_TIME",
    "WEIGHTS",
    "InversionSettings",
]

WEIGHTS = ("none", "span", "error")
"""Choices of weights."""
OUTLIERS = ("none", "auto")
"""Choices of the filter on values."""
DEVICES = ("auto", "cpu", "cuda")
"""Choices of the device."""
SMOOTHINGS = ("auto", "evidence", "gcv")
"""Ways to choose lambda; ``auto``: that of ``gcv``, if it is sure or not below a third of ``evidence``'s."""

NOISE = ("auto", "formal", "learnt")
"""Choices of the noise model."""
OFFSETS = ("auto", "none", "mission")
"""Choices of the offsets between missions."""
SMOOTHING_IN_TIME = ("auto", "constant", "varying")
"""Choices of how the smoothing changes in time."""

REJECTION_LIMITS = {
    "max_error": (0.1, 1e5, " m/yr"),
    "max_angle": (1.0, 180.0, " degrees"),
    "max_deviation": (1.0, 1e3, " robust standard deviations"),
}
"""Least and largest value of each limit of a rejection, and its unit."""

_INTERVALS = (0.5, 3650.0)
_LAMBDAS = (1e-6, 1e12)
_COUPLINGS = (0.0, 1e3)


@dataclass(frozen=True)
class InversionSettings:
    """How to invert image pairs into a regular series.

    Minimised at each pixel, both components with one matrix, velocities in m/yr and h in days:

        sum_j w_j u_j (sum_k A_jk v_k - d_j)^2 + (lambda / h^k)^2 ||D_k v||^2

    Parameters
    ----------
    smoothing : float or {"auto", "evidence", "gcv"}
        lambda > 0; or chosen at each pixel: ``"evidence"`` takes the one of highest evidence, ``"gcv"`` the
        one of least generalised cross-validation, ``"auto"`` the latter, but not below a third of the former
        unless that is nearly a straight line and cross-validation sure that the truth is not.
    derivative : {1, 2}
        k: penalise changes of velocity, or of acceleration.
    interval : float
        h, length of a time cell [days].
    weights : {"none", "span", "error"}
        w: all 1; ~ span^2, which fits displacements; ~ 1 / formal error^2.
    robust : bool
        Reweight by Tukey's bisquare, so that outliers lose their pull.
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    uncertainty : bool
        Compute standard deviations.
    spatial_smoothing : float or "auto"
        mu, for areas only: adds mu^2 times the sum of |v_p - v_q|^2 over neighbouring pixels of the area to
        the objective, in the units of the weights, which are of mean 1 at each pixel. 0 is none; ``"auto"``
        chooses one for the whole area from pairs that are held out; see `itslive_core.neighbours.patches`.
    device : {"auto", "cpu", "cuda"}
        Where to compute; the result does not depend on it. ``"cuda"`` needs torch and a GPU, it leaves noise,
        offsets and smoothing ``"auto"`` to the CPU; ``"auto"`` takes a GPU for work for which it should pay.
    noise : {"auto", "formal", "learnt"}
        Size of the noise: as the formal errors and `weights` say, or learnt from residuals for each mission,
        with less credit for pairs that share images. ``"auto"`` learns it where lambda is chosen
        automatically, and leaves the objective above as it is where lambda is a number.
    offsets : {"auto", "none", "mission"}
        Estimate an offset of each mission from the reference mission, shrunk towards 0; ``"auto"`` as above.
    smoothing_in_time : {"auto", "constant", "varying"}
        One lambda for the whole series, or one that changes by years and months; ``"auto"`` as above. A given
        lambda is then its geometric mean.
    max_error : float, optional
        Reject pairs with a larger formal error, sqrt((vx_error^2 + vy_error^2) / 2) [m/yr].
    max_angle : float, optional
        Reject pairs whose direction differs by more from the median flow [degrees]; not at pixels whose
        median flow is not clear of the scatter.
    max_deviation : float, optional
        Reject pairs that differ from what the others say over the same span by more than this modified
        z-score; 3.5 is usual.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    smoothing: float | str = "auto"
    derivative: int = 2
    interval: float = 12.0
    weights: str = "error"
    robust: bool = True
    outliers: str = "auto"
    uncertainty: bool = True
    spatial_smoothing: float | str = 0.0
    device: str = "auto"
    noise: str = "auto"
    offsets: str = "auto"
    smoothing_in_time: str = "auto"
    max_error: float | None = None
    max_angle: float | None = None
    max_deviation: float | None = None

    _CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "weights": WEIGHTS,
        "outliers": OUTLIERS,
        "device": DEVICES,
        "noise": NOISE,
        "offsets": OFFSETS,
        "smoothing_in_time": SMOOTHING_IN_TIME,
    }

    def __post_init__(self) -> None:
        """Check every value, and bring numbers to one type."""
        if isinstance(self.smoothing, str):
            if self.smoothing not in SMOOTHINGS:
                raise SettingsError(
                    f"smoothing {self.smoothing!r} is not known: give a number above 0, or 'auto'"
                )
        else:
            object.__setattr__(self, "smoothing", self._number("smoothing", *_LAMBDAS))
        if isinstance(self.derivative, bool) or self.derivative not in (1, 2):
            raise SettingsError(f"derivative is {self.derivative!r}: choose 1 (velocity) or 2 (acceleration)")
        object.__setattr__(self, "derivative", int(self.derivative))
        object.__setattr__(self, "interval", self._number("interval", *_INTERVALS, unit=" days"))
        for name, choices in self._CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise SettingsError(f"{name} {value!r} is not known: choose from {', '.join(choices)}")
        for name in ("robust", "uncertainty"):
            value = getattr(self, name)
            numpy_bool = getattr(getattr(value, "dtype", None), "kind", "") == "b"
            if not (isinstance(value, bool) or numpy_bool):
                raise SettingsError(f"{name} is {value!r}: choose True or False")
            object.__setattr__(self, name, bool(value))
        if self.spatial_smoothing != "auto":
            number = self._number("spatial_smoothing", *_COUPLINGS, unit=", or 'auto'")
            object.__setattr__(self, "spatial_smoothing", number)
        for name, (low, high, unit) in REJECTION_LIMITS.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._number(name, low, high, unit))

    @property
    def learns_noise(self) -> bool:
        """The noise is learnt from residuals."""
        return self.noise == "learnt" or (self.noise == "auto" and self._automatic)

    @property
    def estimates_offsets(self) -> bool:
        """Offsets between missions are estimated."""
        return self.offsets == "mission" or (self.offsets == "auto" and self._automatic)

    @property
    def varies_smoothing(self) -> bool:
        """The smoothing may change in time."""
        return self.smoothing_in_time == "varying" or (self.smoothing_in_time == "auto" and self._automatic)

    @property
    def couples_pixels(self) -> bool:
        """Neighbouring pixels are coupled."""
        return self.spatial_smoothing != 0.0

    @property
    def _automatic(self) -> bool:
        return isinstance(self.smoothing, str)

    def _number(self, name: str, low: float, high: float, unit: str = "") -> float:
        value = getattr(self, name)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"{name} is {value!r}: give a number from {low:g} to {high:g}{unit}"
            ) from error
        if isinstance(value, bool) or not low <= number <= high:
            raise SettingsError(f"{name} is {value!r}: give a number from {low:g} to {high:g}{unit}")
        return number

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values; limits of rejections only where they are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def to_json(self) -> str:
        """Return all settings as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InversionSettings:
        """Rebuild settings from `to_dict`; what is missing takes its default.

        Raises
        ------
        SettingsError
            If a name is unknown or a value impossible.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            names = ", ".join(cls.__dataclass_fields__)
            raise SettingsError(f"{unknown[0]!r} is no setting of the inversion: choose from {names}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> InversionSettings:
        """Rebuild settings from `to_json`.

        Raises
        ------
        SettingsError
            If the text is not a JSON object, or holds something impossible.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SettingsError(
                f"the settings are not JSON ({error}): write them as one JSON object"
            ) from error
        if not isinstance(values, dict):
            raise SettingsError('the settings are not a JSON object: write them as {"interval": 12, ...}')
        return cls.from_dict(values)

    @classmethod
    def preset(cls, name: str) -> InversionSettings:
        """Return a named set of settings.

        Parameters
        ----------
        name : {"recommended", "surging glacier", "slow glacier", "ice sheet", "itslive-tool"}

        Raises
        ------
        SettingsError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise SettingsError(f"preset {name!r} is not known: choose from {', '.join(PRESETS)}")
        return replace(cls(), **PRESETS[name])


PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "surging glacier": {"derivative": 1},
    "slow glacier": {"derivative": 1, "interval": 24.0},
    "ice sheet": {"interval": 24.0, "smoothing_in_time": "constant"},
    "itslive-tool": {"smoothing": 10.0, "weights": "none", "robust": False, "outliers": "none"},
}
"""What each preset changes of the defaults; docs/how-we-know-it-is-right.md holds each against the truth.

Surging: velocity may jump (k = 1). Slow: it may wander below what single pairs show, and coarser cells lose
nothing. Ice sheet: coarse cells and one lambda, for many pixels. "itslive-tool" repeats ITS_LIVE_TOOL.
"""
