"""From a click on the glacier map to a series, and from a moved setting to the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dashboard.colours import partner_colour
from dashboard.control.fit import fit_point, fit_process
from dashboard.runner import Policy
from dashboard.state.fit import Process, shown_series
from dashboard.state.pictures import Curve, PointSeries
from dashboard.state.selection import Point
from itslive_core.estimators import estimator_of
from itslive_core.warming import FIRST_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.control.session import Session
    from dashboard.state.choices import Choices
    from dashboard.state.fit import Fit
    from dashboard.views.series_board import SeriesBoard
    from itslive_core import Datacube

__all__ = ["SeriesControl"]


class SeriesControl:
    """Reads points, fits them again when a setting moves, and sends both to the view.

    Pairs and inversions come through one lane of the worker, Gaussian processes through another: they take
    longer, and a new click or another setting stops them.

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
        self.trouble = ""
        """Why the active point could not be read; empty where it could."""
        self.fits: dict[int, Fit] = {}
        self.processes: dict[int, Process] = {}
        self._running: frozenset[int] = frozenset()
        self._asked = 0
        session.selection.param.watch(self._points_changed, "points")
        session.settings.param.watch(self._settings_changed, list(session.settings.fit_fields))
        session.filters.param.watch(self._changed, list(session.filters.FIELDS))
        session.estimators.watch(self._changed)

    @property
    def fit(self) -> Fit | None:
        """What is known of the active point."""
        point = self._session.selection.point
        return self.fits.get(point.key) if point else None

    @property
    def process(self) -> Process | None:
        """The Gaussian process of the active point, where it is wanted."""
        point = self._session.selection.point
        return self.processes.get(point.key) if point else None

    def add(self, cube: Datacube, *, keep: bool = False, **position: float) -> Point | None:
        """Select the pixel at a position (lon, lat or x, y) of a cube, and read and fit it.

        Parameters
        ----------
        cube : Datacube
        keep : bool
            Beside the points that are selected, also where a person has not asked for that once and for all.
        **position : float
        """
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
        keep = keep or selection.compare
        point = selection.add_point(Point(pixel.lon, pixel.lat, pixel.x, pixel.y, cube.url), keep=keep)
        if point.key not in self.fits:
            self._read_pixel(cube, point, choices, keep=keep)
        return point

    def read_again(self) -> None:
        """Read the points that are selected and not known: they were given up, and came back."""
        choices, selection = self._session.choices(), self._session.selection
        cubes = {cube.url: cube for cube in selection.cubes}
        for point in selection.points:
            if choices is not None and point.key not in self.fits and point.cube_url in cubes:
                self._read_pixel(cubes[point.cube_url], point, choices, keep=True)

    def _read_pixel(self, cube: Datacube, point: Point, choices: Choices, *, keep: bool) -> None:
        """Read a point and fit it; unless the others are kept, in place of what is being read."""

        def work(should_stop: Callable[[], bool]) -> Iterator[Fit]:
            pairs = cube.pairs_at(x=point.x, y=point.y)
            if should_stop():
                return
            yield fit_point(pairs, choices)

        self._stop_processes()
        self.trouble = ""
        told = self._session.begin("Reading image pairs", "read")
        self._session.runner.submit(
            "read",
            work,
            lambda fit: self._arrived(point, fit, choices),
            lambda message: self._unread(point, message),
            on_done=lambda stopped: self._read(stopped, told),
            policy=Policy.ALL if keep else Policy.CANCEL,
            needs=FIRST_STAGES,
        )

    def refit(self, *_: Any) -> None:
        """Fit all points again with the settings of now; the newest request wins."""
        points = list(reversed(self._session.selection.points))
        waiting = [(point.key, self.fits[point.key]) for point in points if point.key in self.fits]
        choices = self._session.choices()
        if not waiting or choices is None:
            return
        if not all(self._has_process(key, choices) for key, _ in waiting):
            self._stop_processes()

        def work(_should_stop: Callable[[], bool]) -> Iterator[tuple[int, Fit]]:
            for key, before in waiting:
                yield key, fit_point(before.pairs, choices, before)

        told = self._session.begin("Estimating", "fit")
        self._session.runner.submit(
            "fit",
            work,
            lambda result: self._refitted(*result),
            self._session.messages.error,
            on_done=lambda stopped: self._read(stopped, told),
            policy=Policy.CONFLATE,
            needs=FIRST_STAGES,
        )

    def _settings_changed(self, *events: Any) -> None:
        # A slider that only follows the automatic choice asks for nothing new.
        if self._session.settings.auto_smoothing and all(event.name == "log_smoothing" for event in events):
            return
        self._changed()

    def _changed(self, *_: Any) -> None:
        """Estimate anew what a person changed; what was told of the choices before no longer holds."""
        self._session.messages.clear()
        self.refit()

    def _read(self, stopped: bool, told: Callable[[bool], None]) -> None:
        told(stopped)
        self._fit_processes()

    def _unread(self, point: Point, message: str) -> None:
        self._session.messages.error(message)
        if point is self._session.selection.point:
            self.trouble = message
            self._session.runner.later("series", self._on_change)

    def _arrived(self, point: Point, fit: Fit, choices: Choices) -> None:
        if point not in self._session.selection.points:
            return
        self.fits[point.key] = fit
        if self._session.choices() != choices:
            self._show()
            self.refit()
            return
        self._fit_processes()  # first: it works while the pairs are drawn
        self._show()

    def _refitted(self, key: int, fit: Fit) -> None:
        if key in self.fits:
            self.fits[key] = fit
            if fit.problem:
                self.processes.pop(key, None)
            self._show()

    def _has_process(self, key: int, choices: Choices) -> bool:
        """Whether the Gaussian process of a point is as wanted, or will be."""
        process = self.processes.get(key)
        if choices.process is None or process is None:
            return choices.process is None and process is None
        return process.answers(choices) and (not process.pending or key in self._running)

    def _is_fitted(self, key: int, choices: Choices) -> bool:
        """Whether the Gaussian process of a point is there as wanted."""
        process = self.processes.get(key)
        return process is not None and process.answers(choices) and not process.pending

    def _fit_processes(self) -> None:
        """Fit the Gaussian processes that are wanted and not there, that of the active point first."""
        choices = self._session.choices()
        if choices is None:
            return
        if choices.process is None:
            if self.processes:
                self._stop_processes()
                self.processes.clear()
                self._show()
            return
        points = reversed(self._session.selection.points)
        known = [
            (point.key, fit.pairs)
            for point in points
            if (fit := self.fits.get(point.key)) is not None and not fit.problem
        ]
        if all(self._has_process(key, choices) for key, _ in known):
            return
        # What runs is stopped by what is asked for now: its points, too, are asked for again.
        wanted = [(key, pairs) for key, pairs in known if not self._is_fitted(key, choices)]
        for key, _ in wanted:
            before = self.processes.get(key)
            self.processes[key] = Process(
                choices.process, choices.selection, before.series if before else None, pending=True
            )

        def work(should_stop: Callable[[], bool]) -> Iterator[tuple[int, Process]]:
            for key, pairs in wanted:
                for process in fit_process(pairs, choices, should_stop):
                    yield key, process

        self._running = frozenset(key for key, _ in wanted)
        self._asked += 1
        number = self._asked
        estimator = estimator_of(choices.process)
        self._session.begin(f"Fitting the {estimator.noun}", "process")
        self._session.runner.submit(
            "process",
            work,
            lambda result: self._process_arrived(*result),
            self._process_failed,
            on_done=lambda _stopped: self._processes_done(number),
            policy=Policy.CANCEL,
            needs=estimator.kernels(choices.process, area=False),
        )
        self._session.runner.later("series", self._on_change)

    def _stop_processes(self) -> None:
        """Stop what runs: something else is wanted."""
        self._session.runner.cancel("process", silent=True)
        if self._running:
            self._running = frozenset()
            self._session.end("process")

    def _process_arrived(self, key: int, process: Process) -> None:
        if key in self.fits:
            self.processes[key] = process
            self._show()

    def _process_failed(self, message: str) -> None:
        for key in self._running & set(self.processes):
            if self.processes[key].pending:
                known = self.processes[key]
                self.processes[key] = replace(known, series=None, pending=False, problem=message)
        self._show()
        self._session.messages.error(message)

    def _processes_done(self, number: int) -> None:
        if number != self._asked:
            return  # something newer runs
        self._running = frozenset()
        self._session.end("process")

    def _points_changed(self, *_: Any) -> None:
        self.trouble = ""
        keys = {point.key for point in self._session.selection.points}
        for known in (self.fits, self.processes):
            for key in set(known) - keys:
                del known[key]
        self._show()

    def _show(self) -> None:
        points = self._session.selection.points
        if points and self.fit is None:
            return  # still being read: what is shown stays until it is there
        self._view.show(
            [
                _drawn(point, self.fits[point.key], self.processes.get(point.key))
                for point in points
                if point.key in self.fits
            ]
        )
        if self.on_fit is not None:
            self.on_fit()
        self._session.runner.later("series", self._on_change)


def _drawn(point: Point, fit: Fit, process: Process | None) -> PointSeries:
    """Say what is drawn of a point."""
    main = shown_series(fit, process)
    curve = None if main is None else Curve(main, point.colour, point.label)
    second = None
    if fit.series is not None and process is not None and process.series is not None:
        second = Curve(process.series, partner_colour(point.colour), point.label)
    name = f"{point.number} · {point.label}"
    return PointSeries(point.key, name, point.colour, fit.bars, curve, second)
