"""The widgets of the estimate, beside the maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from bokeh.models import CustomJSTickFormatter
from panel.viewable import Viewer

from dashboard.resources import devices_in_words
from dashboard.state.estimators import PARTS
from itslive_core.settings import Choice, Flag, Number, ValueFilters

if TYPE_CHECKING:
    from dashboard.state.estimators import Estimators
    from dashboard.state.mirror import Mirror
    from dashboard.state.settings import Settings

__all__ = ["EstimatePanel"]

_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (6, 10)}
_TIGHT: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (0, 10)}
_NONE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}

_LAMBDA = "Smoothing λ"
_AS_LAMBDA = """
const digits = Math.pow(10, tick).toPrecision(3)
return Number(digits).toLocaleString("en-US", {maximumSignificantDigits: 3})
"""
"""Writes lambda of its logarithm in the browser: the label follows the hand, and the server has no part."""

_PLACED = ("derivative", "interval", "weights", "robust", "outliers", "device")
"""Settings of the inversion that have their place; those of all others are under "More choices"."""
_PLACED_OF_PROCESS = (*PARTS, "harmonics")
"""The same of the Gaussian process."""


class EstimatePanel(Viewer):
    """Widgets of the methods and their settings; the slider shows lambda, not its logarithm.

    Parameters
    ----------
    settings : Settings
        Of the inversion; interval and filters are those of both methods.
    estimators : Estimators
        The method, and the parts of the Gaussian process.
    """

    def __init__(self, settings: Settings, estimators: Estimators, **params: Any) -> None:
        super().__init__(**params)
        self._settings, self._estimators = settings, estimators
        self.slider = pmui.FloatSlider.from_param(
            settings.param.log_smoothing,
            label=_LAMBDA,
            format=CustomJSTickFormatter(code=_AS_LAMBDA),
            css_classes=["itslive-lambda"],
            size="small",
            **_WIDE,
        )
        filters = [name for name in ValueFilters.kinds() if name in settings.fields and name not in _PLACED]
        self.limits = {name: self._widget(settings, name) for name in filters}
        self.of_inversion = pmui.Column(
            self._select("preset"),
            pmui.Switch.from_param(
                settings.param.auto_smoothing,
                label="Choose λ from the data",
                css_classes=["itslive-auto"],
                size="small",
                **_WIDE,
            ),
            self.slider,
            pmui.RadioButtonGroup.from_param(
                settings.param.derivative,
                label="Penalise",
                size="small",
                css_classes=["itslive-derivative"],
                **_WIDE,
            ),
            self._select("weights"),
            pmui.Switch.from_param(
                settings.param.robust, size="small", css_classes=["itslive-robust"], **_WIDE
            ),
            css_classes=["itslive-of-inversion"],
            **_NONE,
        )
        self.harmonics = pmui.IntSlider.from_param(
            estimators.param.harmonics,
            label="Harmonics of the season",
            size="small",
            css_classes=["itslive-harmonics"],
            **_WIDE,
        )
        self.of_process = pmui.Column(
            pmui.Typography(
                "Parts of the Gaussian process", variant="caption", sx={"opacity": 0.75}, **_TIGHT
            ),
            *(
                pmui.Checkbox.from_param(
                    estimators.param[name],
                    label=estimators.param[name].label,
                    size="small",
                    css_classes=[f"itslive-kernel-{name}"],
                    **_TIGHT,
                )
                for name in PARTS
            ),
            self.harmonics,
            css_classes=["itslive-of-process"],
            **_NONE,
        )
        self.mu = pmui.FloatInput.from_param(
            settings.param.mu, step=0.01, size="small", css_classes=["itslive-mu"], **_WIDE
        )
        self._more_of_inversion = pmui.Column(
            *(self._widget(settings, name) for name in settings.fields if name not in {*_PLACED, *filters}),
            self._select("criterion"),
            self._select("neighbours"),
            self.mu,
            self._select("device"),
            pmui.Typography(
                devices_in_words(),
                variant="caption",
                sx={"opacity": 0.75},
                css_classes=["itslive-devices"],
                **_TIGHT,
            ),
            **_NONE,
        )
        self._more_of_process = pmui.Column(
            *(
                self._widget(estimators, name, "process-")
                for name in estimators.fields
                if name not in _PLACED_OF_PROCESS
            ),
            **_NONE,
        )
        self.of_others = {
            name: pmui.Column(*(self._widget(other, one, f"{name}-") for one in other.fields), **_NONE)
            for name, other in estimators.others.items()
        }
        self.layout = pmui.Column(
            pmui.RadioButtonGroup.from_param(
                estimators.param.method,
                label="Method",
                size="small",
                css_classes=["itslive-method"],
                sx={
                    # The names of all methods are too long for one line.
                    "flexWrap": "wrap",
                    "& .MuiToggleButtonGroup-root": {"flexWrap": "wrap"},
                    "& .MuiToggleButton-root": {
                        "padding": "5px 8px",
                        "whiteSpace": "nowrap",
                        "flex": "1 1 40%",
                        "width": "auto !important",
                        "border": "1px solid rgba(128, 128, 128, 0.4) !important",
                        "borderRadius": "4px !important",
                        "margin": "0 2px 3px 0 !important",
                    },
                },
                **_WIDE,
            ),
            self.of_inversion,
            self.of_process,
            *self.of_others.values(),
            pmui.FloatSlider.from_param(
                settings.param.interval,
                label="Interval h [days]",
                size="small",
                css_classes=["itslive-interval"],
                **_WIDE,
            ),
            self._select("outliers"),
            pmui.Accordion(
                (
                    "More choices",
                    pmui.Column(
                        *self.limits.values(), self._more_of_inversion, self._more_of_process, **_NONE
                    ),
                ),
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
        estimators.param.watch(self._follow_method, ["method", "season"])
        settings.param.watch(self._follow_neighbours, "neighbours")
        self._follow_neighbours()
        self._follow_method()
        settings.param.watch(self._relabel, "auto_smoothing")
        self._relabel()

    def __panel__(self) -> pmui.Column:
        return self.layout

    def _select(self, name: str) -> pmui.Select:
        css = f"itslive-{name.replace('_', '-')}"
        return pmui.Select.from_param(self._settings.param[name], size="small", css_classes=[css], **_WIDE)

    def _widget(self, state: Mirror, name: str, prefix: str = "") -> Any:
        """Make the widget of a setting that wants none of its own."""
        kind = state.kinds[name]
        look = {"size": "small", "css_classes": [f"itslive-{prefix}{name.replace('_', '-')}"], **_WIDE}
        if isinstance(kind, Number) and (kind.optional or kind.words):
            return self._text(state, name, kind, look)
        if isinstance(kind, Choice):
            return pmui.Select.from_param(state.param[name], **look)
        if isinstance(kind, Flag):
            return pmui.Switch.from_param(state.param[name], **look)
        whole = isinstance(kind, Number) and kind.whole
        field = pmui.IntInput if whole else pmui.FloatInput
        return field.from_param(state.param[name], **look)

    def _text(self, state: Mirror, name: str, kind: Number, look: dict[str, Any]) -> pmui.TextInput:
        """Make the field of a number that may be missing or a word: a field for numbers would show 0 there.

        A number out of bounds is moved to their end, and what is neither is taken back.
        """
        of = state.param[name]

        def shown() -> str:
            value = getattr(state, name)
            return "" if value is None else value if isinstance(value, str) else f"{value:g}"

        field = pmui.TextInput(
            label=of.label,
            description=of.doc,
            value=shown(),
            placeholder="no limit" if kind.optional else "",
            **look,
        )

        def take(event: Any) -> None:
            text = event.new.strip()
            if text in kind.words:
                state.param.update(**{name: text})
            elif not text and kind.optional:
                state.limit(name, None)
            else:
                try:
                    number = float(text)
                except ValueError:
                    number = math.nan
                if math.isfinite(number):
                    state.limit(name, number)
            field.value = shown()

        field.param.watch(take, "value")
        state.param.watch(lambda _: field.param.update(value=shown()), name)
        return field

    def _follow_method(self, *_: Any) -> None:
        """Show the widgets of the methods in use."""
        estimators = self._estimators
        self.of_inversion.visible = self._more_of_inversion.visible = estimators.inverts
        self.of_process.visible = self._more_of_process.visible = estimators.fits_process
        self.harmonics.visible = estimators.season
        for name, column in self.of_others.items():
            column.visible = estimators.method == name

    def _follow_neighbours(self, *_: Any) -> None:
        """Show the strength of the coupling where it is set by hand."""
        self.mu.visible = self._settings.neighbours == "fixed"

    def _relabel(self, *_: Any) -> None:
        automatic = self._settings.auto_smoothing
        self.slider.param.update(
            label=f"{_LAMBDA} (from the data)" if automatic else _LAMBDA, disabled=automatic
        )
