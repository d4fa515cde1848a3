"""The settings of the estimate, as a person moves them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import param

from dashboard.state.mirror import Mirror, mirrored
from itslive_core import InversionSettings
from itslive_core.inversion.settings import PRESETS as CORE_PRESETS
from itslive_core.settings import Choice

__all__ = ["LOG_SMOOTHING_BOUNDS", "PRESETS", "Settings"]

LOG_SMOOTHING_BOUNDS = (-2.0, 6.0)
"""Range of log10(lambda): below it no 1e-8 accuracy is promised, above it every series is a straight line."""

_NAMES = {"itslive-tool": "ITS_LIVE-tool"}
PRESETS = {_NAMES.get(key, key.replace("-", " ").capitalize()): key for key in CORE_PRESETS}
"""Names of the core's presets as a person reads them."""
_CUSTOM = "Custom"
_CRITERION = Choice(
    default="auto",
    choices=("auto", "evidence", "gcv"),
    names={"GCV, near the evidence": "auto", "Evidence": "evidence", "GCV": "gcv"},
    label="λ chosen by",
    help="What an automatic λ follows: generalised cross-validation, not far below what the evidence asks"
    " for; the evidence; or generalised cross-validation alone",
)


@mirrored
class Settings(Mirror):
    """Mirror of `itslive_core.InversionSettings`.

    The core's frozen settings are made anew by `to_core`; nothing else holds them. Noise, offsets and
    smoothing in time, which the core couples to the choice of lambda where they are "auto", are said outright
    here: a lambda set by hand changes lambda only.
    """

    core = InversionSettings
    apart = ("smoothing", "spatial_smoothing", "uncertainty")
    own: ClassVar = {"criterion": _CRITERION}

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

    def __init__(self, **params: Any) -> None:
        self._applying = False
        super().__init__(**params)
        self.param.watch(self._name_preset, list(self.fit_fields))

    @property
    def fit_fields(self) -> tuple[str, ...]:
        """Choices that the series of a point depends on."""
        return ("auto_smoothing", "log_smoothing", *self.kinds)

    @property
    def smoothing(self) -> float:
        """Lambda of the slider, whether in use or not; to 12 digits: 30 is 30, and not 29.999999999999996."""
        return float(f"{10.0**self.log_smoothing:.12g}")

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
        values = {name: getattr(self, name) for name in self.fields}
        automatic = [name for name in self.fields if getattr(self.kinds[name], "automatic", None)]
        said = {name: values.pop(name) for name in automatic}
        core = self.core(smoothing=self.criterion if self.auto_smoothing else self.smoothing, **values)
        # What "auto" means anyway stays "auto": the same choices give the same settings everywhere.
        said = {name: value for name, value in said.items() if value != core.meaning_of(name)}
        return replace(core, **said)

    def from_core(self, settings: InversionSettings) -> None:
        """Take over the core's settings; what lies outside a slider is moved to its end."""
        values: dict[str, Any] = {name: self._within(name, settings.meaning_of(name)) for name in self.fields}
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
            self.from_core(self.core.preset(PRESETS[self.preset]))

    def _name_preset(self, *_: Any) -> None:
        if self._applying:
            return
        current = self.to_core_or_none()
        now = _meaning(current) if current is not None else None
        name = next(
            (label for label, key in PRESETS.items() if _meaning(self.core.preset(key)) == now),
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
    return {name: settings.meaning_of(name) for name in settings.kinds()}
