"""The tab of space and time: lines, what is shown along them, how far it is, and its files."""

from __future__ import annotations

import io
import tempfile
import zipfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.space_time import LINE_SUFFIXES
from dashboard.hosting.secrets import without_folders
from dashboard.screen.uploads import bound_upload
from dashboard.state.lines import QUANTITIES
from dashboard.views.parts import hint, hint_text, html, stylesheet
from dashboard.views.space_time import NOISE_COLOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.session import Session
    from dashboard.control.space_time import SpaceTimeControl

__all__ = ["SpaceTimeTab"]

_NO_LINE = (
    "No line yet",
    "Draw one on the glacier map, load a file of lines, or fetch the glacier's centrelines.",
)
_DRAWING = (
    "Draw the line",
    "Click its vertices on the glacier map, from the first to the last, then press Finish.",
)
_COMING = ("The profile is on its way", "A first look comes within seconds, then each point is refined.")
_LEGEND = (
    f"<span class='swatch' style='background:{NOISE_COLOUR}'></span> below the noise"
    " <span class='swatch empty'></span> no pair there"
)


class SpaceTimeTab(Viewer):
    """Head, figures and foot.

    Parameters
    ----------
    session : Session
    control : SpaceTimeControl
    """

    def __init__(self, session: Session, control: SpaceTimeControl, **params: Any) -> None:
        super().__init__(**params)
        self._session, self._control, self._lines = session, control, session.lines
        lines = session.lines
        self._choice = pmui.Select(
            label="Line",
            options={},
            size="small",
            width=150,
            margin=(0, 3),
            visible=False,
            css_classes=["itslive-line"],
        )
        self._choice.param.watch(self._choose, "value")
        self._draw = self._button("Draw a line", "edit", self._begin, "itslive-draw")
        self._back = self._button("Undo", "undo", lines.take_back, "itslive-take-back", visible=False)
        self._drop = pmui.IconButton(
            icon="delete",
            size="small",
            description="Remove the line",
            margin=0,
            align="center",
            visible=False,
            css_classes=["itslive-remove-line"],
        )
        self._drop.on_click(lambda _: self._remove())
        self._fetch = self._button(
            "Centrelines",
            "timeline",
            control.fetch_centrelines,
            "itslive-fetch-lines",
            description="Centrelines of the glacier from OGGM (RGI 6), fetched once",
        )
        upload = pmui.FileInput(
            label="Upload",
            accept=",".join(LINE_SUFFIXES),
            multiple=False,
            variant="outlined",
            size="small",
            width=112,
            margin=(0, 3),
            css_classes=["itslive-upload-line"],
        )
        bound_upload(upload, session.host.rules.upload, self._too_large)
        upload.param.watch(
            lambda event: control.upload(event.new, str(upload.filename or "")) if event.new else None,
            "value",
            onlychanged=False,
        )
        quantity = pmui.RadioButtonGroup.from_param(
            lines.param.quantity,
            label="Show",
            options=QUANTITIES,
            size="small",
            margin=(0, 3),
            css_classes=["itslive-quantity", "itslive-quiet-label"],
            stylesheets=[stylesheet()],
        )
        points = pmui.Select.from_param(
            lines.param.points, label="Points", size="small", width=70, margin=(0, 3)
        )
        front = pmui.Toggle.from_param(
            lines.param.measuring,
            label="Front",
            icon="trending_up",
            size="small",
            margin=(0, 3),
            description="Front: two clicks along it give its propagation speed",
            css_classes=["itslive-front"],
            align="center",
            sx={"padding": "3px 9px", "textTransform": "none"},
        )
        self._bar = pmui.LinearProgress(
            value=0, variant="determinate", width=90, margin=(0, 8), visible=False, align="center"
        )
        self._stop = self._button("Stop", "stop", control.stop, "itslive-stop-profile", visible=False)
        self._status = html("", "itslive-status", margin=(0, 12), sizing_mode="stretch_width", align="center")
        self._downloads = [self._download("nc", "NetCDF"), self._download("csv", "CSV")]
        self._hint = hint(*_NO_LINE)
        self._room = pn.Column(
            self._hint,
            sizing_mode="stretch_both",
            css_classes=["itslive-stack"],
            stylesheets=[stylesheet()],
            margin=0,
        )
        row: dict[str, Any] = {
            "sizing_mode": "stretch_width",
            "margin": (2, 8),
            "sx": {"alignItems": "center", "flexWrap": "wrap", "rowGap": "4px"},
        }
        of_lines = (self._choice, self._draw, self._back, self._drop, upload, self._fetch)
        self.layout = pn.Column(
            pmui.Row(*of_lines, quantity, points, front, *self._downloads, **row),
            pmui.Row(self._bar, self._stop, self._status, **row),
            self._room,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-space-time-tab"],
        )
        lines.param.watch(self._lines_changed, ["lines", "active"])
        lines.param.watch(self._tell, ["drawing", "sketch"])
        control.param.watch(self._tell, ["status", "front", "result"])
        control.progress.param.watch(self._tell, ["running", "stopping", "share", "text"])
        self._lines_changed()

    def __panel__(self) -> pn.Column:
        return self.layout

    def open(self, shown: bool) -> None:
        """Show the tab, or leave it; its figures are made when it is first opened."""
        self._control.open(shown)
        view = self._control.view
        if view is not None and len(self._room) == 1:
            self._session.runner.later("space-time figures", lambda: self._complete(view.layout))
        if not shown and self._lines.drawing:
            self._lines.param.update(drawing=False, sketch=[])

    def _complete(self, figures: Any) -> None:
        if len(self._room) == 1:
            self._room.insert(0, figures)

    def _begin(self) -> None:
        if self._lines.drawing:
            self._lines.finish()
        else:
            self._lines.begin()

    def _remove(self) -> None:
        if self._lines.active is not None:
            self._lines.remove(self._lines.active)

    def _choose(self, event: Any) -> None:
        chosen = next((one for one in self._lines.lines if one.key == event.new), None)
        if chosen is not None and chosen is not self._lines.active:
            self._lines.active = chosen

    def _lines_changed(self, *_: Any) -> None:
        lines = self._lines.lines
        options = {f"{one.label} ({one.length / 1000:,.1f} km)": one.key for one in lines}
        active = self._lines.active
        self._choice.param.update(
            options=options, value=None if active is None else active.key, visible=bool(lines)
        )
        self._drop.visible = active is not None
        self._tell()

    def _tell(self, *_: Any) -> None:
        """Say how far it is, and what to do."""
        lines, control = self._lines, self._control
        progress = control.progress
        self._draw.param.update(
            label="Finish" if lines.drawing else "Draw a line",
            icon="check" if lines.drawing else "edit",
            variant="contained" if lines.drawing else "outlined",
        )
        self._back.visible = lines.drawing and bool(lines.sketch)
        self._bar.param.update(visible=progress.running, value=round(100 * progress.share))
        self._stop.param.update(
            visible=progress.running,
            disabled=progress.stopping,
            label="Stopping" if progress.stopping else "Stop",
        )
        ready = control.result is not None
        parts = [progress.text if progress.running else "", control.status, control.front]
        words = " · ".join(escape(one) for one in parts if one)
        if lines.drawing:
            count = len(lines.sketch)
            words = f"{count} vert{'ex' if count == 1 else 'ices'}: click the next one on the glacier map."
        self._status.object = f"<p>{words}{' · ' + _LEGEND if ready and not lines.drawing else ''}</p>"
        empty = _DRAWING if lines.drawing else _NO_LINE if lines.active is None else _COMING
        if lines.active is not None and not progress.running and control.status and not ready:
            empty = ("No profile here", escape(control.status))
        self._hint.param.update(object=hint_text(*empty), visible=not ready)
        for button in self._downloads:
            button.disabled = not ready or progress.running

    def _too_large(self, name: str) -> None:
        self._session.messages.error(self._session.host.rules.too_large(name))

    def _button(
        self, label: str, icon: str, act: Callable[[], None], name: str, **options: Any
    ) -> pmui.Button:
        usual: dict[str, Any] = {"size": "small", "variant": "outlined", "margin": (0, 4), "color": "default"}
        button = pmui.Button(label=label, icon=icon, css_classes=[name], **{**usual, **options})
        button.on_click(lambda _: act())
        return button

    def _download(self, suffix: str, label: str) -> pmui.FileDownload:
        what = "with all attributes" if suffix == "nc" else "with its recipe beside it, zipped"
        return pmui.FileDownload(
            label=label,
            description=f"{label}: the profile, {what}",
            filename="profile.nc" if suffix == "nc" else "profile_csv.zip",
            callback=lambda: self._file(suffix),
            embed=False,
            auto=True,
            size="small",
            disabled=True,
            margin=(0, 3),
            width=86 if suffix == "nc" else 64,
            icon="",
            css_classes=[f"itslive-profile-{suffix}"],
        )

    def _file(self, suffix: str) -> io.BytesIO:
        """Write the profile as the core does; a table and its recipe are packed together."""
        from itslive_core.export import write_profile

        ds = self._control.result
        if ds is None:
            return io.BytesIO()
        if self._session.host.rules.public:
            ds = ds.assign_attrs(without_folders(ds.attrs))
        with tempfile.TemporaryDirectory() as folder:
            path = write_profile(ds, Path(folder) / f"profile.{suffix}")
            if suffix == "nc":
                return io.BytesIO(path.read_bytes())
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for one in sorted(Path(folder).iterdir()):
                    archive.write(one, one.name)
            packed.seek(0)
            return packed
