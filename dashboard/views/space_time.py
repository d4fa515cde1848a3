"""Speed over time and distance, and the profile at one time beside it; pure functions and a thin view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import colorcet
import holoviews as hv
import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import DatetimeTicker, DatetimeTickFormatter, HoverTool, Range1d
from panel.viewable import Viewer

from dashboard.colours import ACCENT, GROUP_COLOUR, MARKER, SPEED_MAP
from dashboard.state.space_time import SpaceTime, across, picture_of
from dashboard.views.clicks import on_tap
from dashboard.views.figures import Limits, calm, live, named, pane_of, time_cursor, weakly
from dashboard.views.hover import follow, hover_line
from itslive_core.support.band_level import BAND_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["NOISE_COLOUR", "SpaceTimeView", "front_path", "known_image", "noise_image", "profile_area"]

NOISE_COLOUR = "#B4BCC2"
"""Of what is seen, but cannot be told from noise: grey in both themes."""
_CURSOR = "itslive-time"
_PALETTES = {"speed": SPEED_MAP, "anomaly": list(colorcet.CET_CBD1)}
_FONTS = {"labels": "12px", "ticks": "11px", "clabel": "12px", "cticks": "11px"}
_DISTANCE = "Distance [m]"
_EMPTY = SpaceTime(
    np.array(["1970-01-01", "1970-01-02"], "datetime64[ns]"),
    1.0,
    np.array([0.0, 1.0]),
    np.full((2, 2), np.nan, np.float32),
    np.full((2, 2), np.nan, np.float32),
    (0.0, 100.0),
    "Speed [m/yr]",
    "speed",
)


def _image(picture: SpaceTime, values: Any, name: str) -> hv.Image:
    """Make an image over milliseconds since 1970 and metres."""
    time = picture.time.astype("datetime64[ms]").astype(float)
    # By way of xarray: an array of NaN alone would be warned of.
    data = xr.DataArray(values, {"distance": picture.distance, "time": time}, ("distance", "time"), name)
    return hv.Image(data, ["time", "distance"], name)


def known_image(picture: SpaceTime | None) -> hv.Image:
    """Draw what is told from noise; all else is transparent."""
    shown = picture or _EMPTY
    return _image(shown, shown.values, "value").opts(
        cmap=_PALETTES[shown.quantity],
        clim=shown.limits,
        colorbar=True,
        clabel=shown.title,
        apply_ranges=False,
        framewise=True,
    )


def noise_image(picture: SpaceTime | None) -> hv.Image:
    """Draw in one grey where pairs are, but the value cannot be told from noise."""
    shown = picture or _EMPTY
    return _image(shown, shown.noise, "noise").opts(
        cmap=[NOISE_COLOUR], clim=(0.0, 1.0), colorbar=False, apply_ranges=False
    )


def front_path(sightings: list[tuple[float, float]]) -> hv.Curve:
    """Draw the sightings of a front and the line between them: milliseconds since 1970, metres."""
    rows = sightings or [(np.nan, np.nan)]
    return hv.Curve(np.array(rows, dtype=float), "time", "distance")


def profile_area(data: pd.DataFrame | None) -> hv.Area:
    """Draw the band of a profile; gaps stay gaps."""
    table = across(None, None, "speed") if data is None else data
    return hv.Area(table, "distance", ["low", "high"])


def profile_line(data: pd.DataFrame | None, column: str) -> hv.Curve:
    """Draw a profile: ``value``, or ``clear`` where it is told from noise."""
    table = across(None, None, "speed") if data is None else data
    return hv.Curve(table, "distance", column)


class SpaceTimeView(Viewer):
    """The picture of a line, and the profile at the cursor.

    Parameters
    ----------
    on_pick : callable, optional
        Told the time [ms since 1970] and the distance [m] of a click, and whether the shift key was held.

    Examples
    --------
    >>> view = SpaceTimeView()
    >>> view.show(itslive.profile(cube, line))  # doctest: +SKIP
    """

    def __init__(self, on_pick: Callable[[float, float, bool], None] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_pick = on_pick
        self._dataset: xr.Dataset | None = None
        self._quantity = "speed"
        self._moment: np.datetime64 | None = None
        self.picture: SpaceTime | None = None
        self._limits = Limits()
        self._along = Range1d(0.0, 1.0)
        self._cursor, self._place = time_cursor(_CURSOR), time_cursor("itslive-place")
        self._place.dimension = "width"
        self._picture_pipe = hv.streams.Pipe(data=None)
        self._front_pipe = hv.streams.Pipe(data=[])
        self._profile_pipe = hv.streams.Pipe(data=None)
        hover = HoverTool(
            tooltips=[("", "@image{0,0.[0]} m/yr"), ("Date", "$x{%d %b %Y}"), ("Distance", "$y{0,0} m")],
            formatters={"$x": "datetime"},
            visible=False,
        )
        said = HoverTool(
            tooltips=[("", "below the noise"), ("Date", "$x{%d %b %Y}"), ("Distance", "$y{0,0} m")],
            formatters={"$x": "datetime"},
            visible=False,
        )
        overlay = (
            live(noise_image, self._picture_pipe).opts(hv.opts.Image(tools=[said]))
            * live(known_image, self._picture_pipe).opts(
                hv.opts.Image(tools=[hover], colorbar_opts={"width": 10, "padding": 4})
            )
            * live(front_path, self._front_pipe).opts(
                hv.opts.Curve(color=MARKER, line_width=2.5, apply_ranges=False)
            )
        )
        self.image = pane_of(
            overlay.opts(
                responsive=True,
                xlabel="",
                ylabel=_DISTANCE,
                show_legend=False,
                show_title=False,
                active_tools=["pan", "wheel_zoom"],
                default_tools=["pan", "wheel_zoom", "box_zoom", "reset"],
                fontsize=_FONTS,
                hooks=[calm, named("itslive-space-time"), weakly(self._dress)],
            ),
            "itslive-space-time-plot",
        )
        profile = (
            live(profile_area, self._profile_pipe).opts(
                hv.opts.Area(color=ACCENT, alpha=0.2, line_alpha=0.0, invert_axes=True, apply_ranges=False)
            )
            * live(lambda data: profile_line(data, "value"), self._profile_pipe).opts(
                hv.opts.Curve(color=GROUP_COLOUR, line_width=1.2, invert_axes=True, apply_ranges=False)
            )
            * live(lambda data: profile_line(data, "clear"), self._profile_pipe).opts(
                hv.opts.Curve(color=ACCENT, line_width=2.4, invert_axes=True, apply_ranges=False)
            )
        )
        self.profile = pane_of(
            profile.opts(
                responsive=True,
                xlabel=_DISTANCE,
                ylabel="m/yr",
                show_grid=True,
                show_legend=False,
                show_title=False,
                default_tools=[],
                toolbar=None,
                fontsize=_FONTS,
                hooks=[calm, named("itslive-profile"), weakly(self._dress_profile)],
            ),
            "itslive-profile-plot",
        )
        self._profile_limits = Limits(moves_x=True)
        self._profile_figure: Any = None
        beside = pn.Column(self.profile, sizing_mode="stretch_both", max_width=230, margin=0)
        self.layout = pn.Row(self.image, beside, sizing_mode="stretch_both", margin=0)

    def __panel__(self) -> pn.Row:
        return self.layout

    def show(self, dataset: xr.Dataset | None, quantity: str = "speed", *, anew: bool = True) -> None:
        """Show a profile.

        Parameters
        ----------
        dataset : Dataset or None
            From `itslive_core.profile`: dimensions (time, distance).
        quantity : {"speed", "anomaly"}
        anew : bool
            Fit the axes and the colours to it; else the colours only grow.
        """
        before = self.picture
        self._dataset, self._quantity = dataset, quantity
        if dataset is None:
            self.picture = None
        else:
            grows = not anew and before is not None and before.quantity == quantity
            self.picture = picture_of(dataset, quantity, before.limits[1] if grows and before else 0.0)
            if anew or before is None:
                self._limits.set(self.picture.bounds)
        self._picture_pipe.send(self.picture)
        if self._limits.figure is not None and dataset is not None and (anew or before is None):
            self._limits.apply()
        self._show_profile()

    def show_time(self, moment: float | None) -> None:
        """Mark a time [milliseconds since 1970], and show the profile at it; None for none."""
        self._cursor.update(visible=moment is not None, **({} if moment is None else {"location": moment}))
        self._moment = None if moment is None else np.datetime64(round(moment), "ms").astype("datetime64[ns]")
        self._show_profile()

    def show_place(self, distance: float | None) -> None:
        """Mark a place [m along the line]; None for none."""
        self._place.update(
            visible=distance is not None, **({} if distance is None else {"location": distance})
        )

    def show_front(self, sightings: list[tuple[float, float]]) -> None:
        """Show the sightings of a front: milliseconds since 1970, metres."""
        self._front_pipe.send(list(sightings))

    def _show_profile(self) -> None:
        data = across(self._dataset, self._moment, self._quantity)
        self._profile_pipe.send(data)
        if self._profile_figure is not None:
            self._name_profile()

    def _dress(self, plot: Any, element: Any) -> None:
        """Dates on the axis, cursors, and clicks; a hook."""
        figure = plot.handles["plot"]
        self._limits.hook(plot, element)
        if self._cursor not in figure.center:
            figure.y_range = self._along
            dates = DatetimeTickFormatter(years="%Y", months="%b %Y")
            figure.xaxis[0].update(ticker=DatetimeTicker(), formatter=dates)
            for line in (self._cursor, self._place, hover_line("height"), hover_line("width")):
                figure.add_layout(line)
            follow(figure, along=True)
            self._limits.apply()
        if self._on_pick is not None:
            on_tap(plot, self._pick)

    def _pick(self, x: float, y: float, shift: bool) -> None:
        if self._on_pick is not None:
            self._on_pick(float(x), float(y), shift)

    def _dress_profile(self, plot: Any, _element: Any) -> None:
        """Share the axis of distance, and say what is shown; a hook."""
        self._profile_figure = figure = plot.handles["plot"]
        figure.y_range = self._along
        figure.yaxis[0].visible = False
        figure.xaxis[0].ticker.desired_num_ticks = 3  # it is narrow, and speeds have five digits
        self._name_profile()

    def _name_profile(self) -> None:
        """Fit the axis of values, and name it."""
        picture, data = self.picture, self._profile_pipe.data
        low, high = picture.limits if picture is not None else (0.0, 100.0)
        if data is not None and len(data) and np.isfinite(data["high"]).any():
            low, high = min(low, float(np.nanmin(data["low"]))), max(high, float(np.nanmax(data["high"])))
        self._profile_figure.x_range.update(start=low, end=high)
        when = "" if self._moment is None else f"{str(self._moment)[:10]}, "
        self._profile_figure.xaxis[0].axis_label = f"{when}{BAND_WORDS} band [m/yr]"
