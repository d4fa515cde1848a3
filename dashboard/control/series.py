"""From a click on the glacier map to a series, and from a moved setting to the next one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.runner import Policy
from dashboard.state.selection import Point
from dashboard.state.settings import LIMITS
from dashboard.views.curves import Curve
from dashboard.views.pair_bars import Bars
from dashboard.views.series_board import PointSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr

    from dashboard.control.session import Session
    from dashboard.views.series_board import SeriesBoard
    from itslive_core import Datacube, ImagePairs, InversionSettings, PairSelection

__all__ = ["FIT_FIELDS", "Fit", "SeriesControl", "summary_of"]

_WIDEN = "Widen the dates, spans or missions under Data."


FIT_FIELDS = (
    "auto_smoothing",
    "log_smoothing",
    "criterion",
    "smoothing_in_time",
    "derivative",
    "interval",
    "weights",
    "robust",
    "outliers",
    *LIMITS,
    "noise",
    "offsets",
    "device",
)
"""Settings that a fit depends on."""


@dataclass(frozen=True)
class Fit:
    """What is known of a point.

    Parameters
    ----------
    pairs : ImagePairs
        All pairs at its pixel.
    shown : ImagePairs
        Those that the filters on metadata leave.
    selection : PairSelection
        Those filters.
    settings : InversionSettings
        Settings of the estimate.
    bars : Bars
        The pairs shown, and which of them the filter on values keeps.
    series : Dataset or None
        The estimate.
    problem : str
        Why there is none.
    """

    pairs: ImagePairs
    shown: ImagePairs
    selection: PairSelection
    settings: InversionSettings
    bars: Bars
    series: xr.Dataset | None = None
    problem: str = ""


def summary_of(fit: Fit) -> str:
    """Say in one line what was used and what was chosen."""
    total = len(fit.pairs)
    if fit.problem:
        return fit.problem
    if fit.series is None:
        return f"{len(fit.shown):,} of {total:,} image pairs"
    attributes = fit.series.attrs
    used = int(attributes.get("n_pairs_used", len(fit.shown)))
    if used == 0:
        return f"All pairs were filtered out: 0 of {total:,} left. {_WIDEN}"
    parts = [f"{used:,} of {total:,} image pairs used"]
    smoothing = attributes.get("smoothing_used")
    if isinstance(smoothing, (int, float)) and smoothing == smoothing:
        parts.append(f"λ = {smoothing:,.3g}")
    if reason := attributes.get("reason"):
        parts.append(str(reason))
    return " · ".join(parts)


def _fit(
    pairs: ImagePairs, settings: InversionSettings, selection: PairSelection, before: Fit | None = None
) -> Fit:
    """Estimate a series; the pairs that are shown stay the same object while the filters do."""
    from itslive_core import invert
    from itslive_core.errors import SelectionError
    from itslive_core.rejections import explain_rejections

    same = before is not None and before.selection == selection
    shown = before.shown if before is not None and same else pairs.select(**asdict(selection))
    if len(shown) == 0:
        problem = f"All pairs were filtered out: 0 of {len(pairs):,} left. {_WIDEN}"
        return Fit(pairs, shown, selection, settings, Bars(shown, np.ones(0, dtype=bool)), problem=problem)
    keep = explain_rejections(shown, settings) == ""
    bars = Bars(shown, keep)
    if before is not None and same and np.array_equal(before.bars.keep, keep):
        bars = before.bars
    try:
        return Fit(pairs, shown, selection, settings, bars, invert(pairs, settings, selection=selection))
    except SelectionError as error:
        return Fit(pairs, shown, selection, settings, bars, problem=str(error))


class SeriesControl:
    """Reads points, fits them again when a setting moves, and sends both to the view.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    view : SeriesBoard
        Where series are shown.
    on_change : callable
        Told when what is known of a point changed, once it is drawn.
    """

    def __init__(self, session: Session, view: SeriesBoard, on_change: Callable[[], None]) -> None:
        self._session = session
        self._view = view
        self._on_change = on_change
        self.on_fit: Callable[[], None] | None = None
        """Called at once when there is another fit: the place to start more work."""
        self.fits: dict[int, Fit] = {}
        session.selection.param.watch(self._points_changed, "points")
        session.settings.param.watch(self._settings_changed, list(FIT_FIELDS))
        session.filters.param.watch(self.refit, ["start", "end", "missions", "span"])

    @property
    def fit(self) -> Fit | None:
        """What is known of the active point."""
        point = self._session.selection.point
        return self.fits.get(point.key) if point else None

    def add(self, cube: Datacube, **position: float) -> Point | None:
        """Select the pixel at a position (lon, lat or x, y) of a cube, and read and fit it."""
        from itslive_core.errors import ItsliveError

        choices = self._session.choices()
        if choices is None:
            return None
        try:
            pixel = cube.locate(**position)
        except ItsliveError as error:
            self._session.messages.error(str(error))
            return None
        selection = self._session.selection
        point = selection.add_point(Point(pixel.lon, pixel.lat, pixel.x, pixel.y, cube.url))
        if point.key in self.fits:
            return point

        def work(should_stop: Callable[[], bool]) -> Iterator[Fit]:
            pairs = cube.pairs_at(x=point.x, y=point.y)
            if should_stop():
                return
            yield _fit(pairs, *choices)

        self._session.begin("Reading image pairs")
        self._session.runner.submit(
            "read",
            work,
            lambda fit: self._arrived(point, fit, choices),
            self._session.messages.error,
            on_done=self._session.end,
            policy=Policy.ALL if selection.compare else Policy.CANCEL,
        )
        return point

    def refit(self, *_: Any) -> None:
        """Fit all points again with the settings of now; the newest request wins."""
        points = list(reversed(self._session.selection.points))
        waiting = [(point.key, self.fits[point.key]) for point in points if point.key in self.fits]
        choices = self._session.choices()
        if not waiting or choices is None:
            return

        def work(_should_stop: Callable[[], bool]) -> Iterator[tuple[int, Fit]]:
            for key, before in waiting:
                yield key, _fit(before.pairs, *choices, before)

        self._session.runner.submit(
            "fit",
            work,
            lambda result: self._refitted(*result),
            self._session.messages.error,
            policy=Policy.CONFLATE,
        )

    def _settings_changed(self, *events: Any) -> None:
        # A slider that only follows the automatic choice asks for nothing new.
        if self._session.settings.auto_smoothing and all(event.name == "log_smoothing" for event in events):
            return
        self.refit()

    def _arrived(self, point: Point, fit: Fit, choices: tuple[Any, Any]) -> None:
        if point not in self._session.selection.points:
            return
        self.fits[point.key] = fit
        self._show()
        if self._session.choices() != choices:
            self.refit()

    def _refitted(self, key: int, fit: Fit) -> None:
        if key in self.fits:
            self.fits[key] = fit
            self._show()

    def _points_changed(self, *_: Any) -> None:
        keys = {point.key for point in self._session.selection.points}
        for key in [key for key in self.fits if key not in keys]:
            del self.fits[key]
        self._show()

    def _show(self) -> None:
        points = self._session.selection.points
        if points and self.fit is None:
            return  # still being read: what is shown stays until it is there
        self._view.show([_drawn(point, self.fits[point.key]) for point in points if point.key in self.fits])
        if self.on_fit is not None:
            self.on_fit()
        self._session.runner.later("series", self._on_change)


def _drawn(point: Point, fit: Fit) -> PointSeries:
    """Say what is drawn of a point."""
    curve = None if fit.series is None else Curve(fit.series, point.colour, point.label)
    return PointSeries(point.key, point.label, point.colour, fit.bars, curve)
