"""The glacier map: the median of the pairs while they are read, and the estimate of the whole glacier."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import param

from dashboard.runner import Policy
from dashboard.views.glacier_map import Raster, nice_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dashboard.control.session import Session
    from dashboard.views.glacier_map import GlacierMapView
    from itslive_core import Datacube, Glacier

__all__ = ["ACTIONS", "MODES", "NOTES", "AreaControl", "Canvas", "Progress", "clock"]

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
}
_SHOWN: dict[str, dict[str, Any]] = {
    "median": {"title": "Speed of the median velocity [m/yr]"},
    "mean": {"title": "Mean speed [m/yr]"},
    "date": {"title": "Speed [m/yr]"},
    "mean_speed": {"title": "Mean speed without the season [m/yr]"},
    "trend": {"title": "Trend of the speed [m/yr per year]", "kind": "change", "name": "Trend",
              "unit": "m/yr per year"},
    "season_amplitude": {"title": "Amplitude of the season [m/yr]", "name": "Amplitude"},
    "season_day": {"title": "Day of the year when it is fastest", "kind": "day", "name": "Fastest on",
                   "unit": ""},
}  # fmt: skip
"""How each mode is drawn: fields of `Raster`."""
NOTES = {
    "season_amplitude": "On ground without ice, moving shadows feign a season of some 8 m/yr.",
    "season_day": "Where the amplitude is below some 8 m/yr this may be the season of moving shadows.",
}
"""What to beware of in some modes."""
_PER_PIXEL = ("mean_speed", "trend", "season_amplitude", "season_day")
"""Modes that are variables of the estimate, one value a pixel."""
_DRAW_EVERY = 0.15
_MAX_STACK = 400_000_000


def clock(seconds: float) -> str:
    """Write a duration as mm:ss or h:mm:ss."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


class Progress(param.Parameterized):
    """How far the inversion of a glacier is."""

    running = param.Boolean(default=False)
    done = param.Integer(default=0, bounds=(0, None))
    total = param.Integer(default=0, bounds=(0, None))
    text = param.String(default="")

    def start(self) -> None:
        """Begin to count."""
        self._since = time.monotonic()
        self.param.update(running=True, done=0, total=0, text="Starting …")

    def step(self, done: int, total: int) -> None:
        """Count, and estimate the time left."""
        spent = time.monotonic() - self._since
        left = clock(spent / done * (total - done)) if done else "--:--"
        percent = round(100 * done / total) if total else 0
        self.param.update(done=done, total=total, text=f"{percent} % · {left} left")

    def finish(self, text: str) -> None:
        """Stop counting."""
        self.param.update(running=False, text=text)


@dataclass
class Canvas:
    """The pixels of a glacier, gathered block by block; a block finds its place by its coordinates."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    median: NDArray[np.float32] = field(init=False)
    mean: NDArray[np.float32] = field(init=False)
    stack: NDArray[np.float32] | None = field(default=None, init=False)
    facts: dict[str, NDArray[np.float32]] = field(default_factory=dict, init=False)
    times: NDArray[np.datetime64] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.median = np.full((len(self.y), len(self.x)), np.nan, np.float32)
        self.mean = self.median.copy()

    @classmethod
    def around(cls, cubes: list[Datacube], bounds: tuple[float, float, float, float]) -> Canvas:
        """Make a canvas of all pixels of cubes on one lattice that lie within bounds, plus one."""
        axes = []
        for name, low, high in (("x", bounds[0], bounds[2]), ("y", bounds[1], bounds[3])):
            centres = np.unique(np.round(np.concatenate([getattr(cube, name) for cube in cubes]), 3))
            step = float(np.median(np.diff(centres))) if len(centres) > 1 else 120.0
            axes.append(centres[(centres >= low - step) & (centres <= high + step)])
        x, y = axes
        if not (len(x) and len(y)):
            x, y = np.unique(cubes[0].x), np.unique(cubes[0].y)
        return cls(x, y[::-1])

    def place(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """Return where a block goes: index arrays, and which of its pixels are on the canvas."""
        columns = np.searchsorted(self.x, np.asarray(x) - 1.0)
        rows = len(self.y) - 1 - np.searchsorted(self.y[::-1], np.asarray(y) - 1.0)
        fits_x = (columns < len(self.x)) & (np.abs(self.x[np.minimum(columns, len(self.x) - 1)] - x) < 2.0)
        fits_y = (rows >= 0) & (np.abs(self.y[np.maximum(rows, 0)] - y) < 2.0)
        return np.ix_(rows[fits_y], columns[fits_x]), fits_y, fits_x

    def put_median(self, x: Any, y: Any, speed: Any) -> None:
        """Take in the median speed of a block, shape (ny, nx)."""
        where, fits_y, fits_x = self.place(x, y)
        new = np.asarray(speed, np.float32)[np.ix_(fits_y, fits_x)]
        self.median[where] = np.where(np.isfinite(new), new, self.median[where])

    def put_series(self, dataset: Any) -> None:
        """Take in the series of a block, dims (time, y, x), and what is known of its pixels, dims (y, x)."""
        where, fits_y, fits_x = self.place(dataset["x"].values, dataset["y"].values)
        keep = (slice(None), *np.ix_(fits_y, fits_x))
        vx, vy = (np.asarray(dataset[name].values, np.float32)[keep] for name in ("vx", "vy"))
        count = np.isfinite(vx).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.hypot(np.nansum(vx, axis=0) / count, np.nansum(vy, axis=0) / count)
        self.mean[where] = np.where(count > 0, mean, self.mean[where])
        for name in _PER_PIXEL:
            if name in dataset:
                whole = self.facts.setdefault(name, np.full_like(self.mean, np.nan))
                whole[where] = np.asarray(dataset[name].values, np.float32)[keep[1:]]
        times = dataset["time"].values
        if self.times is None and times.size * self.mean.nbytes <= _MAX_STACK:
            self.times = times
            self.stack = np.full((times.size, *self.mean.shape), np.nan, np.float32)
        if self.stack is not None and self.times is not None and len(times) == len(self.times):
            self.stack[(slice(None), *where)] = np.hypot(vx, vy)


class AreaControl(param.Parameterized):
    """Fills the glacier map from the worker.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    view : GlacierMapView
        The map.
    """

    mode = param.Selector(default="median", objects=MODES, label="Map shows")
    date = param.Integer(default=0, bounds=(0, None), doc="Index of the cell shown.")
    progress = param.Parameter(doc="How far the estimate of the glacier is.")
    action = param.Parameter(default=ACTIONS["inversion"], doc="What the button says, and what it does.")
    note = param.String(default="", doc="What to beware of in what is shown.")

    def __init__(self, session: Session, view: GlacierMapView, **params: Any) -> None:
        super().__init__(progress=Progress(), **params)
        self._session = session
        self._view = view
        self.canvas: Canvas | None = None
        self.cubes: list[Datacube] = []
        self._dirty = False
        self._drawn = 0.0
        self._limits: dict[str, float] = {}
        self._failed: list[str] = []
        session.estimators.param.watch(lambda event: setattr(self, "action", ACTIONS[event.new]), "method")

    def show(self, glacier: Glacier, cubes: list[Datacube]) -> None:
        """Turn to a glacier and read its pairs block by block."""
        from itslive_core import read_glacier

        self._session.runner.cancel("glacier", silent=True)
        self.progress.finish("")
        self.cubes = cubes
        outline = glacier.outline_in(cubes[0].crs)
        self.canvas = Canvas.around(cubes, outline.bounds)
        self._limits = {}
        self.mode = "median"
        x0, y0, x1, y1 = outline.bounds
        pad = 0.06 * max(x1 - x0, y1 - y0, 1000.0)
        self._view.show_place((x0 - pad, y0 - pad, x1 + pad, y1 + pad), outline)
        canvas = self.canvas

        def take(block: Any) -> None:
            canvas.put_median(block.x, block.y, block.v)
            self._session.begin(f"Reading the glacier: {block.done} of {block.total} blocks")
            self._dirty = True

        self._session.begin("Reading the glacier")
        self._session.runner.submit(
            "map",
            lambda stop: read_glacier(cubes, glacier, should_stop=stop),
            take,
            self._session.messages.error,
            on_done=self._done_reading,
            policy=Policy.CANCEL,
        )

    def invert(self) -> None:
        """Estimate the whole glacier, block by block, with the method that is chosen."""
        from itslive_core import run_glacier

        glacier, choices = self._session.selection.glacier, self._session.choices()
        if choices is None:
            return
        if glacier is None or self.canvas is None or not self.cubes:
            self._session.messages.tell("Choose a glacier first: click one on the world map.", "warning")
            return
        settings, selection = choices.of_area, choices.selection
        canvas, cubes = Canvas(self.canvas.x, self.canvas.y), self.cubes
        canvas.median = self.canvas.median
        self.canvas = canvas
        self._limits = {name: limit for name, limit in self._limits.items() if name == "median"}
        self._failed = []
        self._session.runner.cancel("map")
        if self.mode == "median":
            self.mode = "mean"
        self.progress.start()
        self._draw()

        def take(block: Any) -> None:
            if block.error:
                self._failed.append(str(block.error))
            elif block.dataset is not None:
                canvas.put_series(block.dataset)
            self.progress.step(block.done, block.total)
            self._dirty = True

        self._session.runner.submit(
            "glacier",
            lambda stop: run_glacier(cubes, glacier, settings, None, selection=selection, should_stop=stop),
            take,
            self._stopped_by,
            on_done=self._done_inverting,
            policy=Policy.CANCEL,
        )

    def stop(self) -> None:
        """Stop the inversion; what is there stays."""
        self._session.runner.cancel("glacier")
        self.progress.text = "Stopping …"

    def flush(self) -> None:
        """Draw what came since; called after every round of results."""
        if self._dirty and time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._draw()

    def _done_reading(self, _stopped: bool) -> None:
        self._session.end()
        self._draw()

    def _stopped_by(self, message: str) -> None:
        self.progress.finish("Failed")
        self._session.messages.error(message)

    def _done_inverting(self, stopped: bool) -> None:
        if self.progress.running:
            self.progress.finish(
                f"Stopped at {self.progress.done} of {self.progress.total} blocks" if stopped else "Done"
            )
        if self.canvas is not None and self.canvas.stack is not None:
            counts = np.isfinite(self.canvas.stack).sum(axis=(1, 2))
            self.date = int(len(counts) - 1 - np.argmax(counts[::-1]))
        if self._failed:
            self._session.messages.error(
                f"{len(self._failed)} of {self.progress.total} blocks failed, first: {self._failed[0]}"
            )
        self._draw()

    @param.depends("mode", watch=True)
    def _explain_mode(self) -> None:
        """Say what to beware of, and what to do where there is nothing to show yet."""
        self.note = NOTES.get(self.mode, "")
        canvas = self.canvas
        if (
            canvas is None
            or self.progress.running
            or self.mode not in _PER_PIXEL
            or self.mode in canvas.facts
        ):
            return
        self._session.messages.tell(
            "Season and trend come with the inversion of the glacier: under Estimate choose Inversion and "
            "λ from the data, then press Invert glacier.",
            "info",
        )

    @param.depends("mode", "date", watch=True)
    def _draw(self) -> None:
        canvas = self.canvas
        if canvas is None:
            return
        shown = dict(_SHOWN[self.mode])
        if self.mode in _PER_PIXEL:
            values = canvas.facts.get(self.mode, np.full_like(canvas.mean, np.nan))
            scale, sizes = self.mode, np.abs(values)
        elif self.mode == "date" and canvas.stack is not None and canvas.times is not None:
            index = min(self.date, len(canvas.times) - 1)
            values, scale, sizes = canvas.stack[index], "mean", canvas.mean
            shown["title"] = f"Speed, {np.datetime_as_string(canvas.times[index], 'D')} [m/yr]"
        else:
            scale = "median" if self.mode == "median" else "mean"
            values = sizes = getattr(canvas, scale)
        smallest = 0.01 if self.mode == "trend" else 1.0
        limit = self._limits[scale] = nice_limit(sizes, self._limits.get(scale, 0.0), smallest)
        self._view.show_raster(Raster(canvas.x, canvas.y, values, limit=limit, **shown))
        self._dirty, self._drawn = False, time.monotonic()
