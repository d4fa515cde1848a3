"""The screen: where everything is, and the small texts that say what to do next."""

from __future__ import annotations

import io
import math
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from dashboard.colours import ACCENT
from dashboard.control.series import summary_of
from dashboard.resources import asset
from dashboard.views.panels import EstimatePanel, FiltersPanel, SelectionPanel
from dashboard.views.series import COMPONENTS

if TYPE_CHECKING:
    from dashboard.application import Dashboard
    from dashboard.control.series import Fit
    from itslive_core import Glacier

__all__ = ["CITATION", "Frame"]

CITATION = (
    "Velocity data: ITS_LIVE, NASA MEaSUREs (Gardner et al., 2025, "
    "<a href='https://doi.org/10.5194/tc-19-3517-2025' target='_blank' rel='noopener'>"
    "doi:10.5194/tc-19-3517-2025</a>). Outlines: RGI and GLIMS. Land: Natural Earth. "
    "The band is a 95 % Bayesian interval under independent noise."
)
_SHARED: dict[str, Any] = {
    "typography": {
        "fontFamily": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "body1": {"fontSize": "0.875rem"},
        "h3": {"fontSize": "1.2rem", "fontWeight": 600},
        "button": {"textTransform": "none"},
    },
    "shape": {"borderRadius": 8},
}
_THEME: dict[str, Any] = {
    "light": {
        "palette": {
            "primary": {"main": ACCENT},
            "background": {"default": "#F3F6F8", "paper": "#FFFFFF"},
        },
        **_SHARED,
    },
    "dark": {
        "palette": {
            "primary": {"main": "#5CB8E6"},
            "background": {"default": "#12191F", "paper": "#1B242B"},
        },
        **_SHARED,
    },
}
_HEADER = "#0B3B57"
_NOTEBOOK_HEIGHT = 860
_GLACIER = (
    "<svg viewBox='0 0 48 48' fill='none' stroke='currentColor' stroke-width='2.5' stroke-linejoin='round' "
    "aria-hidden='true'><path d='M4 36 16 14l7 10 5-7 16 19z'/><path d='M12 42h24'/></svg>"
)


class Frame:
    """Lays the parts of a dashboard out, for a page and for a notebook."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app
        self._css = [asset("dashboard.css").read_text(encoding="utf-8")]
        session = app.session
        self.estimate = EstimatePanel(session.settings)
        self.filters = FiltersPanel(session.filters)
        self.selected = SelectionPanel(session.selection, app.places.select, session.runner.later)
        self._counted: Any = None
        self._figures: list[tuple[pn.Column, Any]] = []
        self._build_header()
        self._build_message()
        self._build_sources()
        self.sidebar = self._build_sidebar()
        self.main = self._build_main()

    # ------------------------------------------------------------------ whole screens

    def page(self, title: str) -> pmui.Page:
        """Return the page of a server."""
        return pmui.Page(
            title=title,
            header=[self.header],
            sidebar=[self.sidebar],
            main=[self.main],
            sidebar_width=316,
            theme_config=_THEME,
            favicon=str(asset("logo.svg")),
            logo=str(asset("logo.svg")),
            meta_description="Glacier velocity series from ITS_LIVE image pairs",
            sidebar_variant="persistent",
            sx={
                "& .header": {"backgroundColor": _HEADER, "backgroundImage": "none", "color": "#fff"},
                "& .main": {"backgroundColor": "background.default"},
                "& .sidebar": {"backgroundColor": "background.paper"},
            },
        )

    def plain(self) -> pn.Column:
        """Return the same as a plain layout, for a notebook cell."""
        side = pmui.Column(self.sidebar, width=316, height=_NOTEBOOK_HEIGHT - 60, scroll="y-auto", margin=0)
        self.main.height = _NOTEBOOK_HEIGHT - 60
        self.main.sizing_mode = "stretch_width"
        return pn.Column(
            self.header,
            pn.Row(side, self.main, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
            height=_NOTEBOOK_HEIGHT,
            stylesheets=self._css,
            css_classes=["itslive-notebook"],
        )

    # ------------------------------------------------------------------ parts

    def _html(self, text: str, name: str, **options: Any) -> pn.pane.HTML:
        return pn.pane.HTML(text, css_classes=[name], stylesheets=self._css, **options)

    def _hint(self, title: str, text: str) -> pn.pane.HTML:
        return self._html(_hint_text(title, text), "itslive-hint-pane", sizing_mode="stretch_both", margin=0)

    def _stack(self, plot: Any, hint: pn.pane.HTML) -> pn.Column:
        """Lay a hint over the place of a figure; the figure comes once the page is up (`complete`)."""
        stack = pn.Column(
            hint, sizing_mode="stretch_both", css_classes=["itslive-stack"], stylesheets=self._css, margin=0
        )
        self._figures.append((stack, plot))
        return stack

    def _build_header(self) -> None:
        app, messages, progress = self._app, self._app.session.messages, self._app.area.progress
        self.search = pmui.AutocompleteInput(
            label="",
            placeholder="Glacier, RGI id, or lat, lon",
            restrict=False,
            min_characters=1,
            size="small",
            search_strategy="includes",
            case_sensitive=False,
            width=330,
            margin=(4, 16),
            css_classes=["itslive-search"],
            sx={"& .MuiInputBase-root": {"backgroundColor": "background.paper", "borderRadius": "8px"}},
        )
        self.search.param.watch(lambda event: app.places.search(event.new or ""), "value")
        activity = self._html(
            "<span class='idle'>Ready</span>", "itslive-activity", margin=(0, 12), align="center"
        )

        self.bar = pmui.LinearProgress(
            value=0,
            variant="determinate",
            width=150,
            margin=(0, 8),
            visible=False,
            color="light",
            align="center",
            css_classes=["itslive-progress"],
        )
        self.stop = pmui.Button(
            label="Stop",
            icon="stop",
            size="small",
            color="error",
            variant="contained",
            visible=False,
            margin=(0, 8),
            align="center",
            css_classes=["itslive-stop"],
        )
        self.stop.on_click(lambda _: app.area.stop())

        def tell(*_: Any) -> None:
            text = progress.text if progress.running else messages.activity
            activity.object = f"<span class='{'busy' if text else 'idle'}'>{escape(text) or 'Ready'}</span>"
            self.bar.param.update(
                visible=progress.running,
                value=round(100 * progress.done / progress.total) if progress.total else 0,
            )
            self.stop.visible = progress.running

        messages.param.watch(tell, "activity")
        progress.param.watch(tell, ["running", "done", "total", "text"])
        self.header = pmui.Row(
            self.search,
            pn.layout.HSpacer(),
            activity,
            self.bar,
            self.stop,
            sizing_mode="stretch_width",
            margin=0,
            align="center",
            css_classes=["itslive-header"],
            sx={"alignItems": "center"},
        )

    def _build_message(self) -> None:
        messages = self._app.session.messages
        self.message = pmui.Alert(
            object="",
            severity="info",
            closeable=True,
            visible=False,
            css_classes=["itslive-message"],
            margin=0,
            stylesheets=self._css,
        )

        def show(*_: Any) -> None:
            self.message.param.update(
                object=messages.text, severity=messages.severity, visible=bool(messages.text), closed=False
            )

        messages.param.watch(show, ["text", "severity"], onlychanged=False)
        self.message.param.watch(lambda event: messages.clear() if event.new else None, "closed")

    def _build_sources(self) -> None:
        app = self._app
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "size": "small", "margin": (6, 10)}
        self.cube_path = pmui.TextInput(
            label="Datacube: path or URL",
            placeholder="…/cube.zarr  ·  https://  ·  s3://",
            css_classes=["itslive-cube"],
            **wide,
        )
        self.outline_path = pmui.TextInput(
            label="Outlines: path of a file",
            placeholder="…/outlines.gpkg",
            css_classes=["itslive-outlines-path"],
            **wide,
        )
        self.upload = pmui.FileInput(
            label="Upload outlines",
            accept=".geojson,.json,.gpkg,.zip",
            multiple=False,
            variant="outlined",
            css_classes=["itslive-upload"],
            **wide,
        )
        self.imagery = pmui.Switch(
            label="Satellite imagery (online)", value=False, css_classes=["itslive-imagery"], **wide
        )
        self.cube_path.param.watch(lambda event: app.places.open_cube(event.new), "value")
        self.outline_path.param.watch(lambda event: app.places.load_outlines(event.new), "value")
        self.upload.param.watch(
            lambda event: app.places.upload(event.new, self.upload.filename or "") if event.new else None,
            "value",
        )
        self.imagery.param.watch(lambda event: app.world.show_imagery(event.new), "value")
        self.sources = pmui.Column(
            self.cube_path, self.outline_path, self.upload, self.imagery, sizing_mode="stretch_width"
        )

    def _build_sidebar(self) -> pmui.Column:
        accordion = pmui.Accordion(
            ("Selected", self.selected),
            ("Estimate", self.estimate),
            ("Data", self.filters),
            ("Open", self.sources),
            active=[0, 1],
            sizing_mode="stretch_width",
            margin=0,
            disable_gutters=True,
            elevation=0,
            square=True,
            title_variant="subtitle2",
        )
        about = self._html(
            f"<footer>{CITATION}</footer>", "itslive-about", sizing_mode="stretch_width", margin=(12, 16)
        )
        return pmui.Column(accordion, about, sizing_mode="stretch_width", margin=0)

    def _build_main(self) -> pmui.Column:
        app = self._app
        self._glacier_hint = self._hint(
            "The glacier appears here", "Click a glacier on the map to begin, or search for one."
        )
        self._series_hint = self._hint(
            "No series yet", "Click a glacier on the map, then a pixel of the glacier."
        )
        self.glacier_title = self._html(
            "<h2>Glacier</h2>", "itslive-title", margin=(0, 12), sizing_mode="stretch_width"
        )
        self.mode = pmui.Select.from_param(
            app.area.param.mode,
            label="Map shows",
            size="small",
            width=180,
            margin=(0, 6),
            css_classes=["itslive-mode"],
        )
        self.invert = pmui.Button(
            label="Invert glacier",
            icon="play_arrow",
            size="small",
            color="primary",
            variant="contained",
            margin=(0, 8),
            css_classes=["itslive-invert"],
            disabled=True,
        )
        self.invert.on_click(lambda _: app.area.invert())
        self.date = pmui.IntSlider(
            label="Date",
            value=0,
            start=0,
            end=1,
            step=1,
            visible=False,
            sizing_mode="stretch_width",
            size="small",
            margin=(0, 24, 4, 24),
            show_value=False,
            css_classes=["itslive-date"],
        )
        self.date.param.watch(lambda event: setattr(app.area, "date", event.new), "value")
        app.area.param.watch(lambda *_: self.dates_changed(), ["mode", "date"])
        self.component = pmui.RadioButtonGroup(
            label="Component",
            options=COMPONENTS,
            value="v",
            size="small",
            margin=(0, 6),
            css_classes=["itslive-component", "itslive-quiet-label"],
            stylesheets=self._css,
        )
        self.component.param.watch(lambda event: app.series_view.set_component(event.new), "value")
        self.summary = self._html(
            "", "itslive-summary", margin=(0, 12), sizing_mode="stretch_width", align="center"
        )
        self.downloads = [self._download("csv", "CSV"), self._download("nc", "NetCDF")]
        world = pmui.Paper(
            app.world.pane,
            sizing_mode="stretch_both",
            variant="outlined",
            margin=0,
            css_classes=["itslive-card"],
            stylesheets=self._css,
            min_height=200,
        )
        glacier = pmui.Paper(
            pmui.Row(
                self.glacier_title,
                self.mode,
                self.invert,
                sizing_mode="stretch_width",
                margin=(6, 0),
                sx={"alignItems": "center"},
            ),
            self._stack(app.glacier_map.pane, self._glacier_hint),
            self.date,
            sizing_mode="stretch_both",
            variant="outlined",
            margin=(0, 0, 0, 10),
            css_classes=["itslive-card"],
            stylesheets=self._css,
        )
        series = pmui.Paper(
            pmui.Row(
                self._html("<h2>Series</h2>", "itslive-title", margin=(0, 12)),
                self.component,
                self.summary,
                *self.downloads,
                sizing_mode="stretch_width",
                margin=(6, 0),
                sx={"alignItems": "center"},
            ),
            self._stack(app.series_view.pane, self._series_hint),
            sizing_mode="stretch_both",
            variant="outlined",
            margin=(10, 0, 0, 0),
            css_classes=["itslive-card"],
            stylesheets=self._css,
        )
        top = pn.Row(world, glacier, sizing_mode="stretch_both", margin=0, css_classes=["itslive-top"])
        return pmui.Column(
            top,
            series,
            self.message,
            sizing_mode="stretch_both",
            margin=12,
            css_classes=["itslive-main"],
            stylesheets=self._css,
        )

    def _download(self, suffix: str, label: str) -> pmui.FileDownload:
        return pmui.FileDownload(
            label=label,
            filename=f"series.{suffix}",
            callback=lambda: self._file(suffix),
            embed=False,
            auto=True,
            size="small",
            disabled=True,
            margin=(0, 4),
            width=120,
            css_classes=[f"itslive-download-{suffix}"],
        )

    def _file(self, suffix: str) -> io.BytesIO:
        from itslive_core.export import write_series

        fit = self._app.series.fit
        if fit is None or fit.series is None:
            return io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"series.{suffix}"
            write_series(fit.series, path)
            return io.BytesIO(path.read_bytes())

    # ------------------------------------------------------------------ what changes

    def complete(self) -> None:
        """Put the figures under their hints: the page is there sooner when they come after it."""
        for stack, plot in self._figures:
            stack.insert(0, plot)
        self._figures = []

    def glacier_chosen(self, glacier: Glacier) -> None:
        """Show a glacier's name, and what can be done with it."""
        self.glacier_title.object = f"<h2>{escape(str(glacier.label))}</h2>"
        self._glacier_hint.visible = False
        self.invert.disabled = False
        self._series_hint.object = _hint_text(
            "No series yet", "Click a pixel of the glacier to see how fast it moved."
        )

    def names_changed(self, known: list[Glacier]) -> None:
        """Offer the names of the loaded outlines in the search box."""
        names = {str(one.label) for one in known} | {str(one.rgi_id) for one in known if one.rgi_id}
        self.search.options = sorted(names)[:5000]

    def series_changed(self, fit: Fit | None) -> None:
        """Say what the series rests on."""
        points = self._app.session.selection.points
        self._series_hint.visible = not points or (fit is None and not self.summary.object)
        self.summary.object = f"<span>{escape(summary_of(fit))}</span>" if fit else ""
        ready = fit is not None and fit.series is not None
        point = self._app.session.selection.point
        for button in self.downloads:
            suffix = button.filename.rsplit(".", 1)[1]
            stem = f"series_{point.lat:.4f}_{point.lon:.4f}" if point else "series"
            button.param.update(disabled=not ready, filename=f"{stem}.{suffix}")
        if fit is not None and fit.pairs is not self._counted:
            self._counted = fit.pairs
            self.filters.show_pairs(fit.pairs)

    def follow_smoothing(self, smoothing: Any) -> None:
        """Move the slider, which is not in use, to the lambda that was chosen."""
        settings = self._app.session.settings
        if isinstance(smoothing, (int, float)) and smoothing > 0 and math.isfinite(smoothing):
            low, high = settings.param["log_smoothing"].bounds
            settings.log_smoothing = min(max(math.log10(smoothing), low), high)

    def dates_changed(self) -> None:
        """Show the slider over time where there is a time to choose."""
        canvas = self._app.area.canvas
        times = canvas.times if canvas is not None else None
        shown = self._app.area.mode == "date" and times is not None and len(times) > 1
        values: dict[str, Any] = {"visible": shown}
        if shown and times is not None:
            values["value"] = min(self._app.area.date, len(times) - 1)
            values.update(
                end=len(times) - 1, label=f"Date: {str(times[min(self._app.area.date, len(times) - 1)])[:10]}"
            )
        self.date.param.update(**values)


def _hint_text(title: str, text: str) -> str:
    return f"<div class='itslive-empty'>{_GLACIER}<h3>{title}</h3><p>{text}</p></div>"
