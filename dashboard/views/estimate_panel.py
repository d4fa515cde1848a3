"""The widgets of the estimate, beside the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.state.settings import LIMITS

if TYPE_CHECKING:
    from dashboard.state.settings import Settings

__all__ = ["EstimatePanel"]

_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (6, 10)}
_STEPS = {"max_error": 10.0, "max_angle": 5.0, "max_deviation": 0.5}


class EstimatePanel(Viewer):
    """Widgets of the settings; the slider shows lambda, not its logarithm."""

    def __init__(self, settings: Settings, **params: Any) -> None:
        super().__init__(**params)
        self._settings = settings
        slider = pmui.FloatSlider.from_param(
            settings.param.log_smoothing,
            label="Smoothing λ",
            show_value=False,
            css_classes=["itslive-lambda"],
            size="small",
            **_WIDE,
        )
        self.slider = slider
        self.limits = {name: self._limit(name) for name in LIMITS}
        more = [
            *self.limits.values(),
            *(
                pmui.Select.from_param(
                    settings.param[name],
                    size="small",
                    css_classes=[f"itslive-{name.replace('_', '-')}"],
                    **_WIDE,
                )
                for name in ("noise", "offsets", "smoothing_in_time", "criterion", "device")
            ),
        ]
        self.layout = pmui.Column(
            pmui.Select.from_param(
                settings.param.preset, size="small", css_classes=["itslive-preset"], **_WIDE
            ),
            pmui.Switch.from_param(
                settings.param.auto_smoothing,
                label="Choose λ from the data",
                css_classes=["itslive-auto"],
                size="small",
                **_WIDE,
            ),
            slider,
            pmui.RadioButtonGroup.from_param(
                settings.param.derivative,
                label="Penalise",
                size="small",
                css_classes=["itslive-derivative"],
                **_WIDE,
            ),
            pmui.FloatSlider.from_param(
                settings.param.interval,
                label="Interval h [days]",
                size="small",
                css_classes=["itslive-interval"],
                **_WIDE,
            ),
            pmui.Select.from_param(
                settings.param.weights, size="small", css_classes=["itslive-weights"], **_WIDE
            ),
            pmui.Switch.from_param(
                settings.param.robust, size="small", css_classes=["itslive-robust"], **_WIDE
            ),
            pmui.Select.from_param(
                settings.param.outliers, size="small", css_classes=["itslive-outliers"], **_WIDE
            ),
            pmui.Accordion(
                ("More choices", pmui.Column(*more, sizing_mode="stretch_width", margin=0)),
                active=[],
                sizing_mode="stretch_width",
                margin=0,
                disable_gutters=True,
                elevation=0,
                square=True,
                title_variant="body2",
                css_classes=["itslive-more"],
            ),
            sizing_mode="stretch_width",
        )
        settings.param.watch(self._relabel, ["log_smoothing", "auto_smoothing"])
        self._relabel()

    def __panel__(self) -> pmui.Column:
        return self.layout

    def _limit(self, name: str) -> pmui.FloatInput:
        """Make the field of a limit, which may be empty; a number out of bounds is put right."""
        settings = self._settings
        of = settings.param[name]
        field = pmui.FloatInput(
            label=of.label,
            description=of.doc,
            value=getattr(settings, name),
            placeholder="no limit",
            step=_STEPS[name],
            size="small",
            css_classes=[f"itslive-{name.replace('_', '-')}"],
            **_WIDE,
        )
        field.param.watch(lambda event: field.param.update(value=settings.limit(name, event.new)), "value")
        settings.param.watch(lambda event: field.param.update(value=event.new), name)
        return field

    def _relabel(self, *_: Any) -> None:
        automatic = self._settings.auto_smoothing
        chosen = " (from the data)" if automatic else ""
        self.slider.param.update(
            label=f"Smoothing λ = {self._settings.smoothing:,.3g}{chosen}", disabled=automatic
        )
