"""Lines on the ice, their profiles through the worker, and clicks in the picture of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import param
import shapely

from dashboard.control.uploads import uploaded
from dashboard.runner import Policy, once
from dashboard.state.lines import MAX_LINES, Line, spacing_of
from dashboard.state.progress import Progress
from dashboard.state.space_time import sighting_cells
from itslive_core.errors import ItsliveError
from itslive_core.estimators import estimator_of
from itslive_core.jobs.points import time_axis
from itslive_core.jobs.profile_steps import ProfileStep, profile_steps
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.places.lines import lines_in_file
from itslive_core.series.propagation import Sighting, front_speed
from itslive_core.support.band_level import BAND_REACH
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr

    from dashboard.control.area import AreaControl
    from dashboard.control.session import Session
    from dashboard.state.choices import Choices
    from dashboard.views.glacier_map import GlacierMapView
    from dashboard.views.space_time import SpaceTimeView
    from dashboard.views.world_map import WorldMapView
    from itslive_core import Datacube
    from itslive_core.settings import Settings

__all__ = ["LINE_SUFFIXES", "SpaceTimeControl"]

LINE_SUFFIXES = (".geojson", ".json", ".csv", ".txt", ".gpkg", ".kml", ".zip")
"""Of files with lines that may be uploaded."""
_PATIENCE = 0.6
"""Settings that move within this time are one change [s]."""
_OF_LOOK = 0.1
"""Part of the work on a point that its first look takes."""
_NAME = 40
"""Characters of the name of a file that are shown."""


class SpaceTimeControl(param.Parameterized):
    """Estimates the profile of the line that is looked at, while somebody looks at it.

    Parameters
    ----------
    session : Session
    area : AreaControl
        Knows the cubes of the glacier.
    glacier_map, world
        Where lines are drawn.
    make_view : callable
        Makes the figures when they are first looked at.
    on_time : callable
        Told the time of a click [ms since 1970].
    on_point : callable
        Told longitude and latitude of a place whose series somebody wants.
    """

    progress = param.Parameter(doc="How far the profile is.")
    status = param.String(default="", doc="What the picture is, in a sentence.")
    front = param.String(default="", doc="The speed of the front between two clicks.")
    result = param.Parameter(doc="The profile that is shown, a Dataset; None for none.")

    def __init__(
        self,
        session: Session,
        area: AreaControl,
        glacier_map: GlacierMapView,
        world: WorldMapView,
        make_view: Callable[[], SpaceTimeView],
        on_time: Callable[[float], None],
        on_point: Callable[[float, float], None],
        **params: Any,
    ) -> None:
        super().__init__(progress=Progress(), **params)
        self._session, self._area, self._lines = session, area, session.lines
        self._map, self._world = glacier_map, world
        self._make_view, self._on_time, self._on_point = make_view, on_time, on_point
        self.view: SpaceTimeView | None = None
        self._open = False
        self._asked: Any = None
        self._answered: Any = None
        self._sightings: list[tuple[float, float]] = []
        lines = self._lines
        lines.param.watch(self._lines_changed, ["lines", "active", "sketch", "drawing"])
        lines.param.watch(self._place_changed, "place")
        lines.param.watch(lambda *_: self._show(anew=True), "quantity")
        lines.param.watch(self._changed, ["active", "points"])
        lines.param.watch(self._begin_front, "measuring")
        settings = session.settings
        settings.param.watch(self._changed, list(settings.fit_fields))
        session.filters.param.watch(self._changed, ["start", "end", "missions", "span"])
        session.estimators.watch(self._changed)
        session.selection.param.watch(self._lines_changed, "glaciers")

    def open(self, shown: bool) -> None:
        """Show the picture, or leave it."""
        self._open = shown
        if shown and self.view is None:
            self.view = self._make_view()
            self.view.show_time(self._moment())
        if shown:
            self.update()

    def offer(self, found: list[Any]) -> None:
        """Take in the centrelines of an example: shapely lines [degrees]."""
        lines = [(f"Centreline {k}", shapely.get_coordinates(one)) for k, one in enumerate(found, start=1)]
        self._lines.add(lines)

    def upload(self, content: bytes, name: str) -> None:
        """Take in the lines of a file that a person chose in the browser."""
        if Path(name).suffix.lower() not in LINE_SUFFIXES:
            self._session.messages.error(
                f"{name!r} is no file of lines: choose a GeoJSON, a GeoPackage, a KML or a CSV with lon, lat."
            )
            return
        rules, glacier = self._session.host.rules, self._session.selection.glacier
        outline = glacier.outline if glacier is not None else None

        def work() -> list[Any]:
            with uploaded(content, name, rules) as path:
                found = lines_in_file(path, outline)
            rules.check_outlines([shapely.LineString(one) for one in found])
            return found

        def take(found: list[Any]) -> None:
            stem = Path(name).stem[:_NAME]
            names = [stem] if len(found) == 1 else [f"{stem} {k}" for k in range(1, len(found) + 1)]
            self._lines.add(zip(names, found, strict=True))
            if len(found) > MAX_LINES:
                self._session.messages.tell(
                    f"{name} has {len(found)} lines: {MAX_LINES} are taken, main and long ones first.",
                    "warning",
                )

        self._ask(f"Loading {name}", work, take)

    def fetch_centrelines(self) -> None:
        """Take in OGGM's centrelines of the active glacier."""
        glacier = self._session.selection.glacier
        if glacier is None:
            self._session.messages.tell("Choose a glacier first: click one on the world map.", "warning")
            return

        def work() -> list[Any]:
            lines = [shapely.line_merge(one) for one in glacier.centrelines().geometry]
            return [one for one in lines if one.geom_type == "LineString"]

        self._ask("Fetching centrelines", work, self.offer)

    def vertex(self, lon: float, lat: float) -> bool:
        """Take a click on a map for a vertex, while a line is drawn; says whether it was."""
        if self._lines.drawing:
            self._lines.put(lon, lat)
        return self._lines.drawing

    def update(self) -> None:
        """Estimate the profile that is wanted now, unless it is there."""
        line, choices, cubes = self._lines.active, self._session.choices(), self._cubes()
        if not self._open or choices is None:
            return
        if line is None or not cubes:
            self._session.runner.cancel("profile", silent=True)
            self._asked = self._answered = None
            self.result, self.status = None, ""
            self.progress.finish("")
            self._show(anew=True)
            return
        settings = choices.settings if choices.inverts or choices.process is None else choices.process
        wanted = (line.key, self._lines.points, settings, choices.selection, tuple(one.url for one in cubes))
        if wanted in (self._asked, self._answered):
            return
        self._start(line, settings, choices, cubes, wanted)

    def stop(self) -> None:
        """Stop the estimate; what is there stays."""
        self.progress.stop()
        self._session.runner.cancel("profile")

    def pick(self, moment: float, distance: float, shift: bool = False) -> None:
        """Mark the time and the place of a click in the picture; or take it for a sighting of a front.

        Parameters
        ----------
        moment : float
            [ms since 1970].
        distance : float
            [m].
        shift : bool
            Have the series of the place, too.
        """
        ds: xr.Dataset | None = self.result
        if ds is None:
            return
        along = ds["distance"].values
        distance = float(np.clip(distance, along[0], along[-1]))
        if self._lines.measuring:
            self._sight(moment, distance, ds)
        self._lines.place = distance
        self._on_time(moment)
        if shift:
            at = int(np.argmin(np.abs(along - distance)))
            self._on_point(float(ds["lon"][at]), float(ds["lat"][at]))

    def show_time(self, moment: float | None) -> None:
        """Mark a time [ms since 1970]; None for none."""
        if self.view is not None:
            self.view.show_time(moment)

    def redraw_lines(self) -> None:
        """Draw the lines on both maps."""
        lines, sketch = self._lines.lines, np.array(self._lines.sketch, dtype=float).reshape(-1, 2)
        shown = [shapely.LineString(one.vertices) for one in lines]
        self._world.show_lines([*shown, *([shapely.LineString(sketch)] if len(sketch) > 1 else [])])
        if not self._area.cubes:
            return
        active, ds = self._lines.active, self.result
        on_map = {one.key: self._on_map(one.vertices) for one in lines}
        others = [on_map[one.key] for one in lines if one is not active]
        if ds is not None:
            track = self._on_map(np.column_stack([ds["lon"].values, ds["lat"].values]))
            self._map.track.show(track, ds["distance"].values, others)
        else:
            track = np.empty((0, 2)) if active is None else on_map[active.key]
            self._map.track.show(track, np.full(len(track), np.nan), others)
        self._map.track.sketch(self._on_map(sketch))
        self._mark()

    def _start(
        self, line: Line, settings: Settings, choices: Choices, cubes: list[Datacube], wanted: Any
    ) -> None:
        host, points, selection = self._session.host, self._lines.points, choices.selection
        anew = self._answered is None or self._answered[0] != line.key
        if anew:
            self.result = None
        self._asked = wanted
        self._sightings, self.front = [], ""
        self.progress.start()
        self.status = "The profile is on its way."
        first = True

        def work(stop: Callable[[], bool]) -> Iterator[Any]:
            spacing = spacing_of(line, points, abs(cubes[0].pixel_size[0]))
            here = [one for one in cubes if _meets(one, line)] or cubes
            if host.rules.values:
                cells = time_axis(here, selection, settings.interval).size
                host.rules.check_values(line.length / spacing + 1, cells)
            with host.glaciers.turn() as waits:
                yield from waits
                yield from profile_steps(
                    here, line.vertices, settings, spacing=spacing, selection=selection, should_stop=stop
                )

        def take(step: int | ProfileStep) -> None:
            nonlocal first
            if isinstance(step, int):
                self.progress.text = f"Waiting for the server, {step} before this" if step else "Next in turn"
                return
            self.result, self._answered = step.dataset, (line.key, None)
            self.progress.step(step.done, step.total, 0 if step.complete else step.looked, _OF_LOOK)
            self.status = _words(step)
            self._show(anew=first)
            if first:
                self.redraw_lines()
            if step.complete:
                self._answered = wanted
            first = False

        def done(stopped: bool) -> None:
            self.progress.finish("")
            if stopped:  # until something is changed
                self._answered = wanted
                self.status = f"Stopped. {self.status}"

        def failed(message: str) -> None:
            self.status = self._session.host.rules.shown(message, cubes)
            self.result, self._answered = None, None
            self._show(anew=True)
            self._session.messages.error(self.status)

        self._session.runner.submit(
            "profile",
            work,
            take,
            failed,
            on_done=done,
            policy=Policy.CANCEL,
            needs=estimator_of(settings).kernels(settings, area=False),
        )

    def _changed(self, *_: Any) -> None:
        if self._open:
            self._session.runner.after(_PATIENCE, "space-time", self.update)

    def _lines_changed(self, *_: Any) -> None:
        self._session.runner.later("lines", self.redraw_lines)

    def _cubes(self) -> list[Datacube]:
        return list(self._area.cubes or self._session.selection.cubes)

    def _on_map(self, lonlat: Any) -> Any:
        if not len(lonlat):
            return np.empty((0, 2))
        to = transformer(LONLAT, self._area.cubes[0].crs)
        return np.column_stack(to.transform(lonlat[:, 0], lonlat[:, 1]))

    def _moment(self) -> float | None:
        moment = self._area.moment
        return None if moment is None else float(moment.astype("datetime64[ms]").astype(np.int64))

    def _show(self, *, anew: bool) -> None:
        if self.view is not None:
            self.view.show(self.result, self._lines.quantity, anew=anew)
            self.view.show_front(self._sightings)

    def _place_changed(self, *_: Any) -> None:
        if self.view is not None:
            self.view.show_place(self._lines.place)
        self._mark()

    def _mark(self) -> None:
        """Mark the place on the map."""
        ds, place = self.result, self._lines.place
        if ds is None or place is None or not self._area.cubes:
            self._map.track.mark(None)
            return
        at = int(np.argmin(np.abs(ds["distance"].values - place)))
        [xy] = self._on_map(np.array([[float(ds["lon"][at]), float(ds["lat"][at])]]))
        self._map.track.mark((float(xy[0]), float(xy[1])))

    def _begin_front(self, *_: Any) -> None:
        self._sightings = []
        self.front = "Click the front at two places and times." if self._lines.measuring else ""
        if self.view is not None:
            self.view.show_front([])

    def _sight(self, moment: float, distance: float, ds: xr.Dataset) -> None:
        """Take a click for a sighting of a front; two give its speed."""
        self._sightings = [*self._sightings, (moment, distance)] if len(self._sightings) < 2 else []
        self._sightings = self._sightings or [(moment, distance)]
        if self.view is not None:
            self.view.show_front(self._sightings)
        if len(self._sightings) < 2:
            self.front = "Now where the front is at another time."
            return
        pixel = abs(self._cubes()[0].pixel_size[0])
        seen = []
        for when, where in self._sightings:
            date = np.datetime64(round(when), "ms").astype("datetime64[ns]")
            seen.append(Sighting(when / 86.4e6, where, *sighting_cells(ds, date, where, pixel)))
        try:
            found = front_speed(*seen)
        except ItsliveError as error:
            self.front = str(error)
            return
        a_day = found.speed / DAYS_PER_YEAR
        reach = BAND_REACH * found.std
        self.front = (
            f"Front: {found.speed:,.0f} ± {reach:,.0f} m/yr ({a_day:,.1f} ± {reach / DAYS_PER_YEAR:,.1f} m/d)"
        )

    def _ask(self, what: str, work: Callable[[], list[Any]], take: Callable[[list[Any]], None]) -> None:
        self._session.messages.clear()
        self._session.runner.submit(
            "lines",
            once(work),
            take,
            self._session.messages.error,
            on_done=self._session.begin(what, "lines"),
            policy=Policy.ALL,
        )


def _meets(cube: Datacube, line: Line) -> bool:
    """Whether a cube has a part of a line; bounds tell enough."""
    west, south, east, north = cube.lonlat_bounds
    (lon0, lat0), (lon1, lat1) = line.vertices.min(axis=0), line.vertices.max(axis=0)
    crosses = east < west or abs(lon0) > 180.0 or abs(lon1) > 180.0
    return bool(lat0 <= north and lat1 >= south and (crosses or (lon0 <= east and lon1 >= west)))


def _words(step: ProfileStep) -> str:
    """Say what the picture is."""
    empty = int((~step.dataset["v"].notnull().any("time")).sum())
    if step.looked < step.total:
        return f"First look: {step.looked} of {step.total} points."
    without = f" {empty} have no series." if empty else ""
    if not step.complete:
        return f"{step.done} of {step.total} points as asked for, the others a first look with one λ."
    problems = str(step.dataset.attrs.get("problems", "")).splitlines()
    failed = f" {len(problems)} failed: {problems[0]}" if problems else ""
    spacing = float(step.dataset["distance"][1]) if step.total > 1 else 0.0
    return f"{step.total} points, every {spacing:,.0f} m.{without}{failed}"
