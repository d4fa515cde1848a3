"""The pixels of a glacier while its blocks come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.jobs.lattices import lattices_of
from itslive_core.places.geodesy import transformer
from itslive_core.series.dataset import speed_and_std

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core import Datacube

__all__ = ["PER_PIXEL", "Canvas"]

PER_PIXEL = ("mean_speed", "trend", "season_amplitude", "season_day")
"""Variables of the estimate with one value a pixel."""
_ENOUGH = 10
"""Pairs in a cell; more say hardly more of how well it is covered."""
_SAMPLE = 2_000_000
"""Values that a range of colours is taken from."""
_MAX_STACK = 400_000_000
_FLOW_BYTES = 10
"""Bytes of a cell of a pixel: its speed, and in half precision its components and error."""


@dataclass
class Canvas:
    """The pixels of a glacier, gathered block by block; a block finds its place by its coordinates."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    median: NDArray[np.float32] = field(init=False)
    mean: NDArray[np.float32] = field(init=False)
    n_pairs: NDArray[np.int64] = field(init=False)
    stack: NDArray[np.float32] | None = field(default=None, init=False)
    facts: dict[str, NDArray[np.float32]] = field(default_factory=dict, init=False)
    times: NDArray[np.datetime64] | None = field(default=None, init=False)
    before: Canvas | None = field(default=None, init=False)
    """The same with each pixel for itself, where neighbours were coupled."""
    cover: NDArray[np.float64] | None = field(default=None, init=False)
    """How well each cell is covered: used pairs that overlap it, ten of a pixel at most, over all pixels."""
    flow: NDArray[np.float16] | None = field(default=None, init=False)
    """vx, vy and the standard deviation of the speed [m/yr], shape (3, time, y, x), where there is room;
    half precision is within 0.05 % of the speed."""
    coupling: float = field(default=0.0, init=False)
    """How strongly they were, mu."""

    def __post_init__(self) -> None:
        self.median = np.full((len(self.y), len(self.x)), np.nan, np.float32)
        self.mean = self.median.copy()
        self.n_pairs = np.zeros(self.median.shape, np.int64)

    @classmethod
    def around(cls, cubes: list[Datacube], bounds: tuple[float, float, float, float]) -> Canvas:
        """Make a canvas of all pixels within bounds, plus one, of the lattice of the first cube.

        Where there are cubes of other lattices, it goes as far as these do.
        """
        first, *others = lattices_of(cubes)
        reach = [
            transformer(cube.crs, cubes[0].crs).transform_bounds(*cube.bounds)
            for cube in (cubes[number] for group in others for number in group)
        ]
        axes = []
        for k, name in enumerate("xy"):
            low, high = bounds[k], bounds[k + 2]
            centres = np.unique(np.round(np.concatenate([getattr(cubes[n], name) for n in first]), 3))
            step = float(np.median(np.diff(centres))) if len(centres) > 1 else 120.0
            if reach:
                start = max(low - step, min(centres[0], *(box[k] for box in reach)))
                stop = min(high + step, max(centres[-1], *(box[k + 2] for box in reach)))
                places = np.arange(
                    np.ceil((start - centres[0]) / step), np.floor((stop - centres[0]) / step) + 1
                )
                centres = centres[0] + step * places
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

    def put_median(self, x: Any, y: Any, speed: Any, n_pairs: Any = None) -> None:
        """Take in the median speed of a block, shape (ny, nx), and how many pairs each pixel has."""
        where, fits_y, fits_x = self.place(x, y)
        new = np.asarray(speed, np.float32)[np.ix_(fits_y, fits_x)]
        self.median[where] = np.where(np.isfinite(new), new, self.median[where])
        if n_pairs is not None:
            found = np.asarray(n_pairs)[np.ix_(fits_y, fits_x)]
            self.n_pairs[where] = np.where(found > 0, found, self.n_pairs[where])

    def put_series(self, dataset: Any) -> None:
        """Take in the series of a block, dims (time, y, x), and what is known of its pixels, dims (y, x)."""
        x, y = dataset["x"].values, dataset["y"].values
        self.put_velocity(x, y, dataset["time"].values, dataset["vx"].values, dataset["vy"].values)
        where, fits_y, fits_x = self.place(x, y)
        fits = np.ix_(fits_y, fits_x)
        self._put_flow(dataset, where, fits)
        # A block of another lattice lies askew: the corners of its rectangle are those of other blocks.
        own = dataset["source"].values[fits] > 0 if "source" in dataset else True
        for name in PER_PIXEL:
            if name in dataset:
                whole = self.facts.setdefault(name, np.full_like(self.mean, np.nan))
                values = np.asarray(dataset[name].values, np.float32)[fits]
                whole[where] = np.where(own, values, whole[where])

        if self.cover is not None and "n_pairs" in dataset and len(dataset["time"]) == len(self.cover):
            held = np.minimum(np.asarray(dataset["n_pairs"].values, float), _ENOUGH).sum(axis=(1, 2))
            self.cover += held

    def _put_flow(self, dataset: Any, where: Any, fits: Any) -> None:
        """Keep the components of a block, and their errors."""
        times, size = self.times, self.mean.size
        if times is None or self.stack is None or len(times) != len(dataset["time"]):
            return
        if self.flow is None and _FLOW_BYTES * times.size * size <= _MAX_STACK:
            self.flow = np.full((3, times.size, *self.mean.shape), np.nan, np.float16)
        if self.flow is None:
            return
        keep = (slice(None), *fits)
        vx, vy = (np.asarray(dataset[name].values, np.float32)[keep] for name in ("vx", "vy"))
        error = np.full_like(vx, np.nan)
        if "vx_std" in dataset and "vy_std" in dataset:
            of_x, of_y = (
                np.asarray(dataset[f"{name}_std"].values, np.float32)[keep] for name in ("vx", "vy")
            )
            _, found = speed_and_std(vx, vy, of_x, of_y)
            error = error if found is None else found
        known = np.isfinite(vx).any(axis=0)
        there = (slice(None), *where)
        with np.errstate(over="ignore"):
            for held, values in zip(self.flow, (vx, vy, error), strict=True):
                held[there] = np.where(known, values, held[there])

    def put_before(self, x: Any, y: Any, times: Any, vx: Any, vy: Any) -> None:
        """Take in the velocity of a block's pixels as each is for itself, shape (time, y, x)."""
        if self.before is None:
            self.before = Canvas(self.x, self.y)
        self.before.put_velocity(x, y, times, vx, vy)

    def put_velocity(self, x: Any, y: Any, times: Any, vx: Any, vy: Any) -> None:
        """Take in the velocity of a block, shape (time, y, x)."""
        where, fits_y, fits_x = self.place(x, y)
        keep = (slice(None), *np.ix_(fits_y, fits_x))
        vx, vy = (np.asarray(values, np.float32)[keep] for values in (vx, vy))
        count = np.isfinite(vx).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.hypot(np.nansum(vx, axis=0) / count, np.nansum(vy, axis=0) / count)
        self.mean[where] = np.where(count > 0, mean, self.mean[where])
        if self.times is None and times.size * self.mean.nbytes <= _MAX_STACK:
            self.times = times
            self.stack = np.full((times.size, *self.mean.shape), np.nan, np.float32)
            self.cover = np.zeros(times.size)
        if self.stack is not None and self.times is not None and len(times) == len(self.times):
            there = (slice(None), *where)
            self.stack[there] = np.where(count > 0, np.hypot(vx, vy), self.stack[there])

    def speed(self, mode: str, index: int) -> NDArray[np.float32]:
        """Give the mean speed, or for mode ``date`` that of a cell, where it is kept."""
        return self.mean if mode != "date" or self.stack is None else self.stack[index]

    @property
    def count(self) -> int:
        """Pixels that have an estimate."""
        return int(np.isfinite(self.mean).sum())

    def best_covered(self) -> int:
        """Return the cell that most pairs hold, over all pixels; of equal ones the last."""
        if self.stack is None:
            return 0
        held = self.cover if self.cover is not None and self.cover.any() else None
        if held is None:
            held = np.isfinite(self.stack).sum(axis=(1, 2)).astype(float)
        return int(len(held) - 1 - np.argmax(held[::-1]))

    def typical_speeds(self) -> NDArray[np.float32]:
        """Return speeds of the better covered half of the cells: noise must not spread the colours."""
        if self.stack is None:
            return self.mean
        chosen = np.arange(len(self.stack))
        if self.cover is not None and self.cover.any():
            chosen = np.flatnonzero(self.cover >= np.median(self.cover[self.cover > 0]))
        step = max(1, int(chosen.size * self.mean.size / _SAMPLE))
        return self.stack[chosen[::step]]

    def fastest(self) -> tuple[float, float] | None:
        """Return x and y of the pixel of the fastest median that has half as many pairs as the best ones."""
        known = np.isfinite(self.median) & (self.n_pairs > 0)
        if not known.any():
            return None
        enough = known & (self.n_pairs >= 0.5 * np.percentile(self.n_pairs[known], 95.0))
        row, column = np.unravel_index(np.argmax(np.where(enough, self.median, -1.0)), known.shape)
        return float(self.x[column]), float(self.y[row])
