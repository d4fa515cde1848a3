"""The settings of the estimate, as a person moves them."""

from __future__ import annotations

import math
from typing import Any

import param

from itslive_core import InversionSettings

__all__ = ["LOG_SMOOTHING_BOUNDS", "PRESETS", "Settings"]

LOG_SMOOTHING_BOUNDS = (-2.0, 6.0)
"""Range of log10(lambda): below it no 1e-8 accuracy is promised, above it every series is a straight line."""

PRESETS = {"Recommended": "recommended", "ITS_LIVE-tool": "itslive-tool"}
_CUSTOM = "Custom"
_FIELDS = ("derivative", "interval", "weights", "robust", "outliers", "device")


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
    device = param.Selector(
        default="auto",
        objects={"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"},
        label="Device",
        doc="Where the estimate is computed.",
    )

    def __init__(self, **params: Any) -> None:
        self._applying = False
        super().__init__(**params)

    @property
    def smoothing(self) -> float:
        """Lambda of the slider, whether in use or not."""
        return float(10.0**self.log_smoothing)

    def to_core(self) -> InversionSettings:
        """Return the core's settings.

        Raises
        ------
        itslive_core.errors.SettingsError
            If a value is impossible or the device is not there.
        """
        return InversionSettings(
            smoothing="auto" if self.auto_smoothing else self.smoothing,
            **{name: getattr(self, name) for name in _FIELDS},
        )

    def from_core(self, settings: InversionSettings) -> None:
        """Take over the core's settings; what lies outside a slider is moved to its end."""
        values: dict[str, Any] = {name: getattr(settings, name) for name in _FIELDS}
        low, high = self.param["interval"].bounds
        values["interval"] = min(max(float(settings.interval), low), high)
        values["auto_smoothing"] = settings.smoothing == "auto"
        if settings.smoothing != "auto":
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

    @param.depends("auto_smoothing", "log_smoothing", *_FIELDS, watch=True)
    def _name_preset(self) -> None:
        if self._applying:
            return
        current = self.to_core_or_none()
        name = next(
            (label for label, key in PRESETS.items() if InversionSettings.preset(key) == current), _CUSTOM
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
