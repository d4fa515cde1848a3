"""The settings of the estimate, as a person moves them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import param

from itslive_core import InversionSettings
from itslive_core.inversion.settings import PRESETS as CORE_PRESETS
from itslive_core.inversion.settings import REJECTION_LIMITS

__all__ = ["LIMITS", "LOG_SMOOTHING_BOUNDS", "PRESETS", "Settings"]

LOG_SMOOTHING_BOUNDS = (-2.0, 6.0)
"""Range of log10(lambda): below it no 1e-8 accuracy is promised, above it every series is a straight line."""

_NAMES = {"itslive-tool": "ITS_LIVE-tool"}
PRESETS = {_NAMES.get(key, key.replace("-", " ").capitalize()): key for key in CORE_PRESETS}
"""Names of the core's presets as a person reads them."""
_CUSTOM = "Custom"
LIMITS = tuple(REJECTION_LIMITS)
"""Limits of rejections by value; None switches them off."""
_FIELDS = ("derivative", "interval", "weights", "robust", "outliers", *LIMITS, "device")
_LEARNT = {
    "noise": ("learns_noise", "learnt", "formal"),
    "offsets": ("estimates_offsets", "mission", "none"),
    "smoothing_in_time": ("varies_smoothing", "varying", "constant"),
}
"""Settings that the core couples to the choice of lambda where they are "auto": the property that tells what
that means, and the two answers. Here they are said outright: a lambda set by hand changes lambda only."""


class Settings(param.Parameterized):
    """Mirror of `itslive_core.InversionSettings` with bounds and labels for widgets.

    The core's frozen settings are made anew by `to_core`; nothing else holds them.
    """

    preset = param.Selector(
        default="Recommended", objects=[*PRESETS, _CUSTOM], label="Preset", doc="A named set of settings."
    )
    auto_smoothing = param.Boolean(
        default=True, label="Choose λ from the data", doc="Let the evidence choose the smoothing."
    )
    log_smoothing = param.Number(
        default=2.0,
        bounds=LOG_SMOOTHING_BOUNDS,
        step=0.05,
        label="Smoothing log₁₀ λ",
        doc="Strength of the smoothness penalty, on a logarithmic scale.",
    )
    criterion = param.Selector(
        default="auto",
        objects={"GCV, near the evidence": "auto", "Evidence": "evidence", "GCV": "gcv"},
        label="λ chosen by",
        doc="What an automatic λ follows: generalised cross-validation, not far below what the evidence asks "
        "for; the evidence; or generalised cross-validation alone.",
    )
    smoothing_in_time = param.Selector(
        default="varying",
        objects={"Follows the data": "varying", "Same at all times": "constant"},
        label="Smoothing in time",
        doc="Let the smoothing differ between years and months, or keep it the same.",
    )
    derivative = param.Selector(
        default=2,
        objects={"Slope (k = 1)": 1, "Curvature (k = 2)": 2},
        label="Penalise",
        doc="Order k of the derivative that is kept small.",
    )
    interval = param.Number(
        default=12.0,
        bounds=(2.0, 120.0),
        step=1.0,
        label="Interval h [days]",
        doc="Length of a cell of the time grid.",
    )
    weights = param.Selector(
        default="error",
        objects={"By formal error": "error", "By span²": "span", "All equal": "none"},
        label="Weights",
        doc="How much an image pair counts.",
    )
    robust = param.Boolean(default=True, label="Robust fit", doc="Tukey's bisquare on the vector residual.")
    outliers = param.Selector(
        default="auto",
        objects={"Span-consistency filter": "auto", "Keep all": "none"},
        label="Outliers",
        doc="Drop long pairs that lock onto fixed features.",
    )
    max_error = param.Number(
        default=None,
        bounds=REJECTION_LIMITS["max_error"][:2],
        label="Largest formal error [m/yr]",
        doc="Reject pairs whose formal error is larger; empty for no limit.",
    )
    max_angle = param.Number(
        default=None,
        bounds=REJECTION_LIMITS["max_angle"][:2],
        label="Largest angle to the flow [°]",
        doc="Reject pairs that point elsewhere than the median flow; empty for no limit.",
    )
    max_deviation = param.Number(
        default=None,
        bounds=REJECTION_LIMITS["max_deviation"][:2],
        label="Largest deviation [robust std]",
        doc="Reject pairs far from what the others say over the same span; empty for no limit.",
    )
    noise = param.Selector(
        default="learnt",
        objects={"Learnt from residuals": "learnt", "Formal errors": "formal"},
        label="Noise",
        doc="How large the errors of each mission are taken to be.",
    )
    offsets = param.Selector(
        default="mission",
        objects={"Estimated": "mission", "None": "none"},
        label="Offsets between missions",
        doc="Allow each mission a constant offset from the others.",
    )
    neighbours = param.Selector(
        default="none",
        objects={"Each pixel for itself": "none", "Chosen from the data": "auto", "Set by hand": "fixed"},
        label="Spatial smoothing",
        doc="For whole glaciers: let neighbouring pixels help each other, which pays where pairs are few.",
    )
    mu = param.Number(
        default=0.05,
        bounds=(0.001, 100.0),
        label="Coupling of neighbours μ",
        doc="Strength of the coupling, in the units of the weights; some hundredths are usual.",
    )
    device = param.Selector(
        default="auto",
        objects={"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"},
        label="Device",
        doc="Where the estimate is computed.",
    )

    def __init__(self, **params: Any) -> None:
        self._applying = False
        super().__init__(**params)

    def limit(self, name: str, value: float | None) -> float | None:
        """Set the limit of a rejection, or none; what lies outside its bounds is moved to their end."""
        if value is not None:
            low, high = self.param[name].bounds
            value = min(max(float(value), low), high)
        self.param.update(**{name: value})
        return value

    @property
    def smoothing(self) -> float:
        """Lambda of the slider, whether in use or not."""
        return float(10.0**self.log_smoothing)

    @property
    def spatial_smoothing(self) -> float | str:
        """How strongly neighbours are coupled where a whole glacier is estimated, as the core takes it."""
        if self.neighbours == "auto":
            return "auto"
        return float(self.mu) if self.neighbours == "fixed" else 0.0

    def to_core(self) -> InversionSettings:
        """Return the core's settings of a point, which has no neighbours.

        Raises
        ------
        itslive_core.errors.SettingsError
            If a value is impossible or the device is not there.
        """
        core = InversionSettings(
            smoothing=self.criterion if self.auto_smoothing else self.smoothing,
            **{name: getattr(self, name) for name in _FIELDS},
        )
        # What "auto" means anyway stays "auto": the same choices give the same settings everywhere.
        said = {
            name: getattr(self, name)
            for name, (meaning, yes, no) in _LEARNT.items()
            if getattr(self, name) != (yes if getattr(core, meaning) else no)
        }
        return replace(core, **said)

    def from_core(self, settings: InversionSettings) -> None:
        """Take over the core's settings; what lies outside a slider is moved to its end."""
        values: dict[str, Any] = {name: getattr(settings, name) for name in _FIELDS}
        low, high = self.param["interval"].bounds
        values["interval"] = min(max(float(settings.interval), low), high)
        for name, (meaning, yes, no) in _LEARNT.items():
            values[name] = yes if getattr(settings, meaning) else no
        values["auto_smoothing"] = isinstance(settings.smoothing, str)
        if isinstance(settings.smoothing, str):
            values["criterion"] = settings.smoothing
        else:
            low, high = LOG_SMOOTHING_BOUNDS
            values["log_smoothing"] = min(max(math.log10(float(settings.smoothing)), low), high)
        self._applying = True
        try:
            self.param.update(**values)
        finally:
            self._applying = False
        self._name_preset()

    @param.depends("preset", watch=True)
    def _apply_preset(self) -> None:
        if self.preset in PRESETS and not self._applying:
            self.from_core(InversionSettings.preset(PRESETS[self.preset]))

    @param.depends("auto_smoothing", "log_smoothing", "criterion", *_LEARNT, *_FIELDS, watch=True)
    def _name_preset(self) -> None:
        if self._applying:
            return
        current = self.to_core_or_none()
        now = _meaning(current) if current is not None else None
        name = next(
            (label for label, key in PRESETS.items() if _meaning(InversionSettings.preset(key)) == now),
            _CUSTOM,
        )
        self._applying = True
        try:
            self.preset = name
        finally:
            self._applying = False

    def to_core_or_none(self) -> InversionSettings | None:
        """Return the core's settings, or None where they are impossible at present."""
        from itslive_core.errors import SettingsError

        try:
            return self.to_core()
        except SettingsError:
            return None


def _meaning(settings: InversionSettings) -> dict[str, Any]:
    """Return all settings with what their "auto" stands for."""
    return {
        **settings.to_dict(),
        **{name: getattr(settings, meaning) for name, (meaning, *_) in _LEARNT.items()},
    }
