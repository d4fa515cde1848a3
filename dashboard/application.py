"""The dashboard of one session: state, worker and views, wired together."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import panel as pn
from panel.viewable import Viewer

from dashboard.address import OWN_KEYS, apply_query, query_in, query_of
from dashboard.control.area import MODES, AreaControl
from dashboard.control.diagnosis import DiagnosisControl
from dashboard.control.examples import available, example_of
from dashboard.control.headline import HeadlineControl
from dashboard.control.history import HistoryControl
from dashboard.control.link import Place, missing, place_in, restore, written_place
from dashboard.control.lookup import box_of, footprint, overlaps
from dashboard.control.pair import PairControl
from dashboard.control.periods import PeriodControl
from dashboard.control.places import PlaceControl
from dashboard.control.references import ReferenceControl
from dashboard.control.series import SeriesControl
from dashboard.control.session import Session
from dashboard.control.space_time import SpaceTimeControl
from dashboard.extension import kernels, let_go, shared_host
from dashboard.runner import JobRunner, once
from dashboard.screen.connection import reopen_when_lost
from dashboard.screen.frame import Frame, Parts
from dashboard.views.diagnosis.tab import DiagnosisView
from dashboard.views.glacier_map import GlacierMapView
from dashboard.views.on_page import on_page
from dashboard.views.series_board import SeriesBoard
from dashboard.views.space_time import SpaceTimeView
from dashboard.views.world_map import WorldMapView

if TYPE_CHECKING:
    from collections.abc import Iterator

    import panel_material_ui as pmui

    from dashboard.control.examples import Example, Opened
    from dashboard.hosting.host import Host
    from dashboard.state.headline import Fact
    from dashboard.state.references import Held
    from dashboard.views.figures import Bounds
    from itslive_core import Datacube, Glacier

__all__ = ["Dashboard"]

_TITLE = "ITS_LIVE velocity"
_CELL_DELAY = 1.5
"""Time that a notebook is given to draw the cell [s]."""


class Dashboard(Viewer):
    """Glacier velocity series from ITS_LIVE, from a click on the map.

    Shown in a notebook cell as it is; `servable` (or `page`) makes the whole page of a server.

    Parameters
    ----------
    cube : Datacube, str, Path or None
        A datacube, or its path or URL. None opens the demo.
    outlines : str, Path, Glacier, list of Glacier or None
        Outlines to begin with, or the file that holds them.
    demo : bool
        Open an example where no cube is given.
    example : str or None
        Which one: parlung, a real glacier, where it is there; synthetic. None opens the first that is there.
    begin : {"series", "map"}
        Begin with the series of the fastest well observed pixel of the only glacier, or of the example; or
        with the map, and nothing selected.
    host : Host, optional
        What is shared with other sessions, and what visitors may do.

    Examples
    --------
    >>> Dashboard("cube.zarr", outlines="outlines.gpkg")  # doctest: +SKIP
    """

    def __init__(
        self,
        cube: Any = None,
        outlines: Any = None,
        *,
        demo: bool = True,
        example: str | None = None,
        begin: str = "series",
        host: Host | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        from itslive_core.places.catalog_refresh import load_catalog

        self._doc = pn.state.curdoc
        self._cube, self._outlines, self._demo = cube, outlines, demo and cube is None
        self._example, self._begin = example, begin
        self._place, self._arriving = Place(), Place()
        self._example_cubes: tuple[str, ...] = ()
        self._asked: set[str] = set()
        self._job = ""
        self._started = False
        self._task: asyncio.Task[None] | None = None
        host = host or shared_host()
        runner = JobRunner(
            self._applying,
            on_crash=self._crashed,
            urgent=("read", "fit"),
            kernels=kernels(),
            at_work=host.at_work,
        )
        self.session = Session(runner, host)
        host.welcome(self)
        self.world = WorldMapView(load_catalog().segments_mercator(), self._click_world)
        self.glacier_map = GlacierMapView(self._click_glacier)
        self.series_view = SeriesBoard(
            on_time=self._click_time, on_pairs=self._click_pairs, on_period=self._brush
        )
        self.area = AreaControl(self.session, self.glacier_map, self._click_glacier)
        self.periods = PeriodControl(self.area, self.series_view)
        self.series = SeriesControl(self.session, self.series_view, self._series_changed)
        self.diagnosis = DiagnosisControl(
            self.session,
            self.series,
            self.series_view,
            lambda: DiagnosisView(self.session.settings, runner.later),
        )
        self.history = HistoryControl(self.session, self.series)
        self.pair = PairControl(self.session, self.series, self.diagnosis, self.series_view)
        self.headline = HeadlineControl(self.session, self.series, self._tell_facts)
        self.space_time = SpaceTimeControl(
            self.session,
            self.area,
            self.glacier_map,
            self.world,
            lambda: SpaceTimeView(self.space_time.pick),
            self._click_time,
            self._keep_place,
        )
        self.references = ReferenceControl(self.session, self.series, self._show_reference)
        self.places = PlaceControl(self.session, self._show_glacier, self._show_point, self._show_box)
        runner.on_drained = self.area.flush
        self.area.jobs.on_open = self._result_opened
        self.frame = Frame(
            Parts(
                self.session,
                self.places,
                self.area,
                self.series,
                self.diagnosis,
                self.pair,
                self.history,
                self.periods,
                self.space_time,
                self.references,
                self.world,
                self.glacier_map,
                self.series_view,
                self._choose_example,
            )
        )
        selection = self.session.selection
        selection.param.watch(self._known_changed, "known")
        selection.param.watch(self._cubes_changed, "cubes")
        selection.param.watch(lambda *_: self.frame.series.expect(), "points")
        self.area.param.watch(self._moment_changed, "moment")
        selection.param.watch(self._glaciers_changed, "glaciers")
        selection.param.watch(lambda *_: runner.later("points", self._points_changed), ["points", "cube"])
        shown = (self.session.looks, self.session.looks.FIELDS), (self.area, ("mode", "moment"))
        for state, fields in (*self.session.chosen().values(), *shown):
            state.param.watch(lambda *_: runner.later("address", self._write_address), list(fields))
            state.param.watch(lambda *_: runner.later("size", self._measure), list(fields))
        self.session.jobs.param.watch(self._job_changed, ["current", "opening"])

    def __panel__(self) -> Any:
        try:
            # In a notebook the cell must be drawn before anything changes in it: a change that comes earlier
            # speaks of parts that the page does not know yet.
            asyncio.get_running_loop().call_later(_CELL_DELAY, self.start)
        except RuntimeError:
            self.start()
        return self.frame.plain()

    def page(self) -> pmui.Page:
        """Return the page of a server."""
        location = pn.state.location
        if location is not None and pn.state.curdoc is not None:
            query = query_in(location.search)
            apply_query(self.session, query)
            self._place = place_in(query)
            self._example = query.get("example", self._example)
            self._begin = query.get("begin", self._begin)
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.onload(self.start)
            pn.state.on_session_destroyed(lambda _: self.close())
            reopen_when_lost(pn.state.curdoc)
        else:
            self.start()
        page = self.frame.page(_TITLE)
        let_go(page)
        return page

    def servable(self, title: str = _TITLE) -> pmui.Page:
        """Make this what `panel serve` serves."""
        return self.page().servable(title=title)

    def start(self) -> None:
        """Begin to take in results, and open what was asked for."""
        if self._started:
            return
        self._started = True
        self.history.begin()
        self._doc = self._doc or pn.state.curdoc
        try:
            self._task = asyncio.get_running_loop().create_task(self.session.runner.consume())
        except RuntimeError:
            # With `panel serve --num-threads` this is a pool thread; Panel knows the way to the event loop.
            # Without a session, as in a plain script, there is none: whoever wants results calls `drain`.
            if self._doc is not None and self._doc.session_context is not None:
                pn.state.execute(self.session.runner.consume)
        self.session.runner.later("figures", self.frame.complete)
        self._open_first()

    @property
    def document(self) -> Any:
        """Where it is shown; None outside of a server."""
        return self._doc

    @property
    def working(self) -> int:
        """Jobs at work."""
        return self.session.runner.working

    def close(self) -> None:
        """Stop all work of this session; the estimate of a glacier goes on where that is wished."""
        self.area.jobs.close()
        self.session.runner.close()

    @contextmanager
    def _applying(self) -> Iterator[None]:
        """Make the context in which results reach the page: its document, its messages sent together."""
        with on_page(self._doc):
            yield

    def _open_first(self) -> None:
        from itslive_core import Glacier

        outlines = self._outlines
        if self._demo:
            self.open_example(self._example)
            return
        if isinstance(outlines, (str, Path)):
            self.places.load_outlines(str(outlines), own=True)
        elif isinstance(outlines, Glacier):
            self.session.selection.learn([outlines])
        elif outlines:
            self.session.selection.learn(list(outlines))
        if isinstance(self._cube, (str, Path)):
            self.places.open_cube(str(self._cube), then=self._cube_ready, own=True)
        elif self._cube is not None:
            self.places.adopt(self._cube)
            self._cube_ready(self._cube)
        else:
            self._go_to_place()

    def open_example(self, key: str | None) -> None:
        """Open an example, and begin with it."""
        example = example_of(key)
        self._example = example.key
        self.session.runner.submit(
            "open",
            once(example.read, self.session.host.open_cube),
            lambda opened: self._example_ready(example, opened),
            self.session.messages.error,
            on_done=self.session.begin(f"Opening {example.title}", "open"),
        )

    def _choose_example(self, key: str) -> None:
        """Open an example that a person asked for, with its series."""
        self._begin = "series"
        self.session.selection.points = []
        self.open_example(key)

    def _example_ready(self, example: Example, opened: Opened) -> None:
        self._example_cubes = tuple(cube.url for cube in opened.cubes)
        for cube in reversed(opened.cubes):
            self.places.adopt(cube)
        known = {one.rgi_id for one in self.session.selection.known}
        self.session.selection.learn([one for one in opened.glaciers if one.rgi_id not in known])
        self.space_time.offer(opened.lines)
        self.frame.tell_source(example.words)
        self._zoom_to(opened.glaciers, opened.cubes)
        if not self._go_to_place():
            self._begin_with(opened.glaciers[0], example.first)

    def _begin_with(self, glacier: Glacier, first: tuple[float, float] | None = None) -> None:
        """Select a glacier and its fastest well observed pixel: the first picture is a curve."""
        if self._begin == "map":
            return
        self.area.first_wanted = first is None
        self.places.select(glacier, first)

    def _cube_ready(self, cube: Datacube) -> None:
        self._zoom_to([], [cube])
        if self._go_to_place():
            return
        here = [one for one in self.session.selection.known if overlaps(cube, one)]
        if len(here) == 1:
            self._begin_with(here[0])

    def _go_to_place(self) -> bool:
        """Go to where a link points; says whether it points anywhere."""
        place, active = self._place, self._place.active
        if place.job:
            self._place, self._arriving = Place(), place
            self.area.jobs.open(place.job)
            return True
        if active is None:
            return False
        addresses, others = missing(place, self.session.selection.cubes)
        if addresses:  # one that cannot be opened is told of, and nothing else takes its place
            if addresses[0] not in self._asked:
                self._asked.add(addresses[0])
                self.places.open_cube(addresses[0], then=self._go_on)
            return True
        if others:
            self.session.messages.tell(
                f"This link was made with {others[0]}, a datacube of its maker: open your copy of it under "
                "Open, and the link goes on.",
                "warning",
            )
            return True
        self._place, self._arriving = Place(), place
        known = [one for one in self.session.selection.known if str(one.rgi_id) == place.glacier]
        if known:
            self.places.select(known[0], (active.lon, active.lat))
        else:
            self.places.search(f"{active.lat}, {active.lon}")
        return True

    def _go_on(self, *_: Any) -> None:
        """Go on to where a link points, now that one more cube is open."""
        self._go_to_place()

    def _arrive(self, cube: Datacube) -> None:
        """Bring back what a link says of points and maps, now that its cubes and its glacier are there."""
        place, self._arriving = self._arriving, Place()
        note = restore(self.session, place, cube, self._example_cubes, self.series.read_again)
        if place.layer in MODES.values():
            self.area.mode = place.layer
        if place.time:
            self.area.choose_time(np.datetime64(place.time, "ns"), quietly=True)
        if note:
            self.session.messages.tell(note, "warning")
        self.history.begin()

    def _zoom_to(self, glaciers: list[Glacier], cubes: list[Datacube]) -> None:
        boxes = [glacier.outline.bounds for glacier in glaciers] or [cube.lonlat_bounds for cube in cubes]
        if boxes:
            self._show_box(box_of(boxes), margin=3.0)

    def _show_box(self, box: Bounds, margin: float = 0.35) -> None:
        """Bring a box into view on the world map: west, south, east, north [degrees]."""
        self.world.zoom(box, margin)
        self.world.refresh()

    def _show_glacier(self, glacier: Glacier, cubes: list[Datacube]) -> None:
        outlines = [one.outline for one in self.session.selection.glaciers]
        self.world.show_selected(outlines, zoom=glacier.outline.bounds)
        self.area.show(glacier, cubes)
        self.space_time.redraw_lines()
        self.space_time.update()
        self.frame.glacier_chosen(glacier)
        self._points_changed()

    def _result_opened(self, glacier: Glacier, cubes: list[Datacube]) -> None:
        """Turn to the glacier of a result, and to the pixel that its link names."""
        selection, active = self.session.selection, self._arriving.active
        for cube in reversed(cubes):
            self.places.adopt(cube)
        same = [one for one in selection.known if one.outline.equals(glacier.outline)]
        selection.select_glacier(same[0] if same else glacier)
        self._show_glacier(selection.glacier or glacier, cubes)
        if active is not None:
            self._arrive(next((cube for cube in cubes if cube.covers(active.lon, active.lat)), cubes[0]))

    def _measure(self) -> None:
        self.area.jobs.measure(self.session.selection.glacier, self.area.cubes)

    def _job_changed(self, *_: Any) -> None:
        """Keep the id of the result that is shown in the address."""
        if (job := self.session.jobs.shown) != self._job:
            self._job = job
            self.session.runner.later("address", self._write_address)

    def _show_point(self, cube: Datacube, lon: float, lat: float) -> None:
        if self._arriving.points:
            self._arrive(cube)
        else:
            self.series.add(cube, lon=lon, lat=lat)

    def _crashed(self, text: str) -> None:
        self.session.messages.error(text)

    def _click_world(self, lon: float, lat: float) -> None:
        if not self.space_time.vertex(lon, lat):
            self.places.click(lon, lat)

    def _click_glacier(self, x: float, y: float, keep: bool = False) -> None:
        found = self.area.cube_at(x, y)
        if found is None:
            self.session.messages.tell("Choose a glacier first: click one on the world map.", "warning")
            return
        cube, position = found
        if self.space_time.vertex(*self.area.lonlat_of(x, y)):
            return
        self.session.messages.clear()
        self.series.add(cube, keep=keep, **position)

    def _click_time(self, milliseconds: float, on_a_pair: bool = False) -> None:
        moment = np.datetime64(round(milliseconds), "ms").astype("datetime64[ns]")
        self.area.choose_time(moment, quietly=on_a_pair)

    def _click_pairs(self, rows: list[int]) -> None:
        self.pair.pick(rows)

    def _brush(self, begin: float, end: float) -> None:
        self.periods.brushed(begin, end)

    def _keep_place(self, lon: float, lat: float) -> None:
        """Have the series of a place beside those that are there."""
        cube = next((one for one in self.area.cubes if one.covers(lon, lat)), None)
        if cube is not None:
            self.series.add(cube, keep=True, lon=lon, lat=lat)

    def _moment_changed(self, event: Any) -> None:
        moment = event.new
        shown = None if moment is None else float(moment.astype("datetime64[ms]").astype(np.int64))
        self.series_view.show_time(shown)
        self.space_time.show_time(shown)

    def _series_changed(self) -> None:
        fit = self.series.fit
        self.frame.series_changed(fit)
        if fit is not None and fit.series is not None and self.session.settings.auto_smoothing:
            self.frame.follow_smoothing(fit.series.attrs.get("smoothing_used"))
        self.pair.update()
        self.diagnosis.update()
        self.headline.update()
        self.references.update()

    def _tell_facts(self, facts: list[Fact]) -> None:
        self.frame.series.tell(facts)

    def _show_reference(self, held: Held | None) -> None:
        self.frame.series.show_reference(held)

    def _known_changed(self, *_: Any) -> None:
        known = self.session.selection.known
        self.world.show_known([one.outline for one in known])
        self.frame.names_changed(known)

    def _cubes_changed(self, *_: Any) -> None:
        if self._place.points and self._started:  # a link waits for a cube
            self.session.runner.later("link", self._go_on)
        self.world.show_footprints([footprint(cube) for cube in self.session.selection.cubes])

    def _glaciers_changed(self, *_: Any) -> None:
        self.world.show_selected([one.outline for one in self.session.selection.glaciers])

    def _points_changed(self, *_: Any) -> None:
        points = self.session.selection.points
        self.world.show_points(points)
        self.glacier_map.show_points(self.area.on_map(points))
        self._write_address()

    def _write_address(self) -> None:
        """Put what a person would want back into the address of the page."""
        location = pn.state.location
        shown = self.session.selection.points or self.session.jobs.shown
        if location and (shown or "job" in query_in(location.search)):
            foreign = {key: v for key, v in query_in(location.search).items() if key not in OWN_KEYS}
            if self._example != available()[0].key and self._example is not None:
                foreign["example"] = self._example
            moment = self.area.moment
            time = "" if moment is None else np.datetime_as_string(moment, "D")
            place = written_place(self.session, self._example_cubes, self.area.mode, time)
            query = {**foreign, **place, **query_of(self.session)}
            location.search = "?" + urlencode(query, safe=":/@,;|~")
