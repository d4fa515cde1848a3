"""The glacier map: the median of the pairs while they are read, and the estimate of the whole glacier."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import param

from dashboard.control.canvas import PER_PIXEL, Canvas
from dashboard.control.jobs import JobControl
from dashboard.control.period_maps import change_between, mean_over
from dashboard.hosting.standing import StoredBlock
from dashboard.runner import Policy
from dashboard.state.estimators import OTHERS
from dashboard.state.pictures import Raster, nice_limit
from dashboard.state.progress import Progress
from itslive_core.cubes.preference import in_order_of_preference
from itslive_core.jobs.lattices import lattices_of
from itslive_core.places.geodesy import transformer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dashboard.control.session import Session
    from dashboard.state.pictures import Kind, Period
    from dashboard.state.selection import Point
    from dashboard.views.glacier_map import GlacierMapView
    from itslive_core import Datacube, Glacier
    from itslive_core.jobs.glacier import BlockResult

__all__ = ["ACTIONS", "MODES", "NOTES", "SIDES", "AreaControl"]

ACTIONS = {
    "inversion": ("Invert glacier", "Invert glacier: every pixel, block by block"),
    "gp": (
        "Fit glacier",
        "Fit glacier: a Gaussian process at every pixel; those of a block share what is learnt",
    ),
    "both": (
        "Invert glacier",
        "Invert glacier: of both methods the inversion; the other needs to be chosen alone",
    ),
    **{name: ("Fit glacier", f"Fit glacier: {one.noun} at every pixel") for name, one in OTHERS.items()},
}
"""By method, what the button of the whole glacier says, and its tip, which screen readers read instead."""

MODES = {
    "Median of the pairs": "median",
    "Mean speed": "mean",
    "Speed at a date": "date",
    "Mean without season": "mean_speed",
    "Trend": "trend",
    "Season, amplitude": "season_amplitude",
    "Season, fastest day": "season_day",
    "Mean of a period": "period",
    "Change between periods": "period_change",
}


class _Shown(NamedTuple):
    """How a mode is drawn: fields of `Raster`."""

    title: str
    kind: Kind = "size"
    name: str = "Speed"
    unit: str = "m/yr"


_SHOWN = {
    "median": _Shown("Speed of the median velocity [m/yr]"),
    "mean": _Shown("Mean speed [m/yr]"),
    "date": _Shown("Speed [m/yr]"),
    "mean_speed": _Shown("Mean speed without the season [m/yr]"),
    "trend": _Shown("Trend of the speed [m/yr per year]", "change", "Trend", "m/yr per year"),
    "season_amplitude": _Shown("Amplitude of the season [m/yr]", name="Amplitude"),
    "season_day": _Shown("Day of the year when it is fastest", "day", "Fastest on", ""),
    "period": _Shown("Mean speed of the period [m/yr]"),
    "period_change": _Shown("Change between the periods [m/yr]", "change", "Change"),
    "change": _Shown("Change [m/yr]", "change", "Change"),
}
SIDES = {"Neighbours coupled": "after", "Each pixel alone": "before", "Change": "change"}
"""What spatial smoothing did, before and after."""
_COMPARED = ("mean", "date")
"""Modes that can be shown before and after."""
NOTES = {
    "season_amplitude": "On ground without ice, moving shadows feign a season of some 8 m/yr.",
    "season_day": "Where the amplitude is below some 8 m/yr this may be the season of moving shadows.",
    "period_change": "Shown where it exceeds its 95 % interval, for which the errors of all cells of a period"
    " count as one and the same.",
}
"""What to beware of in some modes."""
_DRAW_EVERY = 0.15


class AreaControl(param.Parameterized):
    """Fills the glacier map from the worker.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    view : GlacierMapView
        The map.
    on_first : callable, optional
        Told x and y of the fastest well observed pixel, once a glacier is read and somebody wants to know.
    """

    mode = param.Selector(default="median", objects=MODES, label="Map shows")
    date = param.Integer(default=0, bounds=(0, None), doc="Index of the cell shown.")
    dated = param.Boolean(default=False, doc="A person chose the date; else it is the best covered one.")
    side = param.Selector(default="after", objects=SIDES, label="Spatial smoothing")
    comparable = param.Boolean(default=False, doc="What is shown can be compared with each pixel alone.")
    brushable = param.Boolean(default=False, doc="Periods of what was estimated can be shown.")
    progress = param.Parameter(doc="How far the estimate of the glacier is.")
    action = param.Parameter(default=ACTIONS["inversion"], doc="What the button says, and what it does.")
    moment = param.Parameter(doc="The time that is marked everywhere, datetime64; None for none.")
    periods = param.Tuple(
        default=(None, None), doc="The period that is shown, and the one it is held against."
    )
    times = param.Event(doc="The cells, or which of them is shown, changed without a person's doing.")
    note = param.String(default="", doc="What to beware of in what is shown.")

    def __init__(
        self,
        session: Session,
        view: GlacierMapView,
        on_first: Callable[[float, float], None] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(progress=Progress(), **params)
        self._session = session
        self._view = view
        self.canvas: Canvas | None = None
        self.cubes: list[Datacube] = []
        self._on_first, self.first_wanted = on_first, False
        self._dirty = False
        self._drawn = 0.0
        self._limits: dict[str, float] = {}
        self._choice = self._periods_words = ""
        self.jobs = JobControl(session, self.progress, self)
        session.messages.param.watch(self._forget_end, "activity")
        session.estimators.param.watch(lambda event: setattr(self, "action", ACTIONS[event.new]), "method")

    def show(self, glacier: Glacier, cubes: list[Datacube]) -> None:
        """Turn to a glacier and read its pairs block by block; it is shown on the map of the first cube."""
        from itslive_core import read_glacier

        self.jobs.detach()
        if not self.progress.running:
            self.progress.finish("")
        self.cubes, self._choice = cubes, ""
        outline = glacier.outline_in(cubes[0].crs)
        self.canvas = Canvas.around(cubes, outline.bounds)
        self._limits = {}
        self.param.update(mode="median", side="after", comparable=False, dated=False, moment=None)
        x0, y0, x1, y1 = outline.bounds
        pad = 0.06 * max(x1 - x0, y1 - y0, 1000.0)
        self._view.show_place((x0 - pad, y0 - pad, x1 + pad, y1 + pad), outline)
        canvas = self.canvas

        def take(block: Any) -> None:
            canvas.put_median(block.x, block.y, block.v, block.n_pairs)
            self._session.say(f"Reading the glacier: {block.done} of {block.total} blocks", "map")
            self._dirty = True

        self._session.begin("Reading the glacier", "map")
        self._session.runner.submit(
            "map",
            lambda stop: read_glacier(cubes, glacier, should_stop=stop),
            take,
            self._session.messages.error,
            on_done=self._done_reading,
            policy=Policy.CANCEL,
            needs=("reading",),
        )
        self.jobs.measure(glacier, cubes)

    def cube_at(self, x: float, y: float) -> tuple[Datacube, dict[str, float]] | None:
        """Find the cube that gives the pixel at a place of the map, and where that is on the cube.

        Returns
        -------
        cube : Datacube
        position : dict
            As `Datacube.locate` takes it. None before a glacier is shown.
        """
        if not self.cubes:
            return None
        own, *others = lattices_of(self.cubes)
        for cube in in_order_of_preference(self.cubes[number] for number in own):
            west, south, east, north = cube.bounds
            if west <= x <= east and south <= y <= north:
                return cube, {"x": x, "y": y}
        lon, lat = self.lonlat_of(x, y)
        for cube in in_order_of_preference(self.cubes[number] for group in others for number in group):
            if cube.covers(lon, lat):
                return cube, {"lon": lon, "lat": lat}
        return self.cubes[0], {"x": x, "y": y}

    def lonlat_of(self, x: float, y: float) -> tuple[float, float]:
        """Give longitude and latitude of a place of the map [degrees]."""
        lon, lat = self.cubes[0].lonlat_of(np.asarray(x), np.asarray(y))
        return float(lon), float(lat)

    def on_map(self, points: list[Point]) -> list[Point]:
        """Give the points of the glacier's cubes with x and y on the map that is shown."""
        cubes = {cube.url: cube for cube in self.cubes}
        out = []
        for point in points:
            cube = cubes.get(point.cube_url)
            if cube is None:
                continue
            if not cube.crs.equals(self.cubes[0].crs):
                x, y = transformer(cube.crs, self.cubes[0].crs).transform(point.x, point.y)
                point = replace(point, x=x, y=y)
            out.append(point)
        return out

    def invert(self) -> None:
        """Estimate the whole glacier, block by block, with the method that is chosen."""
        glacier = self._session.selection.glacier
        if glacier is None or self.canvas is None or not self.cubes:
            self._session.messages.tell("Choose a glacier first: click one on the world map.", "warning")
            return
        self.jobs.start(glacier, self.cubes)

    def begin_estimate(self) -> None:
        """Make room for the blocks of an estimate; the median stays."""
        if self.canvas is None:
            return
        canvas = Canvas(self.canvas.x, self.canvas.y)
        canvas.median = self.canvas.median
        self.canvas = canvas
        self.param.update(side="after", comparable=False, dated=False)
        self._limits = {name: limit for name, limit in self._limits.items() if name == "median"}
        self._choice = ""
        if self.mode == "median":
            self.mode = "mean"
        self._draw()

    def take_block(self, block: BlockResult | StoredBlock) -> None:
        """Take in a block of the estimate that is shown."""
        canvas = self.canvas
        if canvas is None or block.dataset is None:
            return
        canvas.put_series(block.dataset)
        if isinstance(block, StoredBlock):
            self._choice = block.choice
        else:
            self._choice = str(block.attributes.get("cube_choice", ""))
            if block.before:
                canvas.put_before(block.x, block.y, block.times[0], block.before["vx"], block.before["vy"])
                canvas.coupling = float(block.attributes["spatial_smoothing_used"])
        self._dirty = True

    def end_estimate(self) -> None:
        """Draw what came last."""
        self._draw()

    def stop(self) -> None:
        """Stop the estimate; what is there stays."""
        self.jobs.stop()

    def flush(self) -> None:
        """Draw what came since; called after every round of results."""
        if self._dirty and time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._draw()

    def _forget_end(self, event: Any) -> None:
        """No longer say how the estimate ended, once something else is done."""
        if event.new and not self.progress.running:
            self.progress.text = ""

    def _done_reading(self, _stopped: bool) -> None:
        self._session.end("map")
        wanted, self.first_wanted = self.first_wanted, False
        if wanted and self.canvas is not None and self._on_first is not None:
            fastest = self.canvas.fastest()
            if fastest is not None and not self._session.selection.points:
                self._on_first(*fastest)
        self._draw()

    @param.depends("mode", watch=True)
    def _explain_mode(self) -> None:
        """Say what to beware of, and what to do where there is nothing to show yet."""
        self._note()
        canvas = self.canvas
        if self.mode in ("period", "period_change") and not self.progress.running:
            self._explain_periods(self.mode)
            return
        if canvas is None or self.progress.running or self.mode not in PER_PIXEL or self.mode in canvas.facts:
            return
        self._session.messages.tell(
            "Season and trend come with the inversion of the glacier: under Estimate choose Inversion and "
            "λ from the data, then press Invert glacier.",
            "info",
        )

    def _note(self) -> None:
        coupled = _coupled_words(self.canvas.coupling) if self.comparable and self.canvas else ""
        choice = self._session.host.rules.shown(self._choice, self.cubes)
        chosen = f"{choice}." if choice and self.mode != "median" else ""
        periods = self._periods_words if self.mode in ("period", "period_change") else ""
        self.note = " ".join(filter(None, (periods, NOTES.get(self.mode, coupled), chosen)))

    def choose_time(self, moment: np.datetime64, *, quietly: bool = False) -> None:
        """Mark a time, and show the speed of the glacier then, where it is known; else say so, or not."""
        canvas = self.canvas
        self.moment = moment
        if canvas is None or canvas.times is None or canvas.stack is None:
            if quietly:
                return
            self._session.messages.tell(
                f"The map follows the time once all of the glacier is estimated: press {self.action[0]}.",
                "info",
            )
            return
        self.choose_date(int(np.argmin(np.abs(canvas.times - moment))))
        self.mode = "date"

    def choose_period(self, period: Period, *, second: bool = False) -> None:
        """Show the mean over a period; once there are two, the change of the first against the second."""
        first, other = self.periods
        self.periods = (first, period) if second else (period, other)
        mode = "period" if None in self.periods else "period_change"
        if self._explain_periods(mode):
            self.mode = mode

    def _explain_periods(self, mode: str) -> bool:
        """Say why periods cannot be shown; returns whether they can."""
        canvas = self.canvas
        if canvas is None or canvas.times is None:
            why = f"The map shows periods once all of the glacier is estimated: press {self.action[0]}."
        elif canvas.flow is None:
            why = "The glacier has too many pixels and cells for maps of periods: choose a longer interval."
        elif self.periods[0] is None or (mode == "period_change" and self.periods[1] is None):
            why = "Brush the period first: choose Period above the series and drag; then Against."
        else:
            return True
        self._session.messages.tell(why, "info")
        return False

    def _of_periods(self, canvas: Canvas) -> NDArray[np.float32]:
        """Return the field of the periods, and note which they are."""
        first, second = self.periods
        found: NDArray[np.float32] | None = None
        self._periods_words = ""
        if first is not None and self.mode == "period":
            means = mean_over(canvas, first)
            found, self._periods_words = (None if means is None else means[0]), f"{first}."
        elif first is not None and second is not None:
            found, self._periods_words = change_between(canvas, first, second), f"{first} less {second}."
            if found is None or not np.isfinite(found).any():
                self._periods_words += " No change is clear of its error: choose longer periods."
        self._note()
        return np.full_like(canvas.mean, np.nan) if found is None else found

    def choose_date(self, index: int) -> None:
        """Show another cell from now on, whatever is covered better."""
        self.param.update(date=index, dated=True)

    def _cell(self, canvas: Canvas) -> int:
        """Index of the cell shown: the one that was chosen, else the best covered one."""
        if canvas.times is None:
            return 0
        if not self.dated:
            best = canvas.best_covered()
            if best != self.date:
                with param.parameterized.discard_events(self):
                    self.date = best
                self.param.trigger("times")
        return min(self.date, len(canvas.times) - 1)

    @param.depends("mode", "date", "side", "periods", watch=True)
    def _draw(self) -> None:
        canvas = self.canvas
        if canvas is None:
            return
        self.comparable = canvas.before is not None and self.mode in _COMPARED
        self.brushable = canvas.flow is not None
        self._note()
        shown = _SHOWN[self.mode]
        if self.mode in PER_PIXEL:
            values = canvas.facts.get(self.mode, np.full_like(canvas.mean, np.nan))
            scale, sizes = self.mode, np.abs(values)
        elif self.mode == "date" and canvas.stack is not None and canvas.times is not None:
            cell = self._cell(canvas)
            values, scale, sizes = canvas.stack[cell], "date", canvas.typical_speeds()
            day = np.datetime_as_string(canvas.times[cell], "D")
            shown = shown._replace(title=f"Speed, {day} [m/yr]")
        elif self.mode in ("period", "period_change"):
            values, scale = self._of_periods(canvas), self.mode
            sizes = np.abs(values)
        else:
            scale = "median" if self.mode == "median" else "mean"
            values = sizes = getattr(canvas, scale)
        if self.comparable and canvas.before is not None and self.side != "after":
            alone = canvas.before.speed(self.mode, self._cell(canvas))
            if self.side == "change":
                values = sizes = values - alone
                sizes, scale, shown = np.abs(sizes), f"change of {self.mode}", _SHOWN["change"]
            else:
                values = alone
        smallest = 0.01 if self.mode == "trend" else 1.0
        limit = self._limits[scale] = nice_limit(sizes, self._limits.get(scale, 0.0), smallest)
        if self.mode == "date" and canvas.times is not None:
            self.moment = canvas.times[self._cell(canvas)]
        elif canvas.times is not None:
            self.moment = None  # the map shows no time
        self._view.show_raster(Raster(canvas.x, canvas.y, values, limit=limit, **shown._asdict()))
        self._dirty, self._drawn = False, time.monotonic()


def _coupled_words(mu: float) -> str:
    """Say how strongly neighbours are coupled."""
    if mu == 0.0:
        return "Held-out pairs say that neighbours do not help here: each pixel stands alone (μ = 0)."
    return f"Neighbours are coupled with μ = {mu:.3g}; where pairs are many that changes little."
