"""Which image pairs there are of the demo, and what all pixels of a pair share.

The figures (share of empty layers, spread against span, formal errors) follow those of real ITS_LIVE cubes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.constants import DAYS_PER_YEAR
from itslive_core.synthetic.truth import days

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KINDS", "SCAN_LINE_FAILURE", "SENSORS", "PairList", "Sensor", "schedule_pairs"]

_LAST_DAY = 20_026.0  # 2024-10-30
SCAN_LINE_FAILURE = 12_203.0  # 2003-05-31, when Landsat 7 began to leave stripes


@dataclass(frozen=True)
class Sensor:
    """How one kind of pair behaves.

    Parameters
    ----------
    per_span, floor : float
        Spread is hypot(per_span / span, floor) [m/yr times d, m/yr].
    empty, share : float
        Share of layers without any valid pixel, and mean share of valid pixels in the others.
    bias : (float, float, float)
        Offset of vx and vy [m/yr], and along the flow as a fraction of the speed.
    anisotropy : float
        Spread of vy relative to vx.
    """

    per_span: float
    floor: float
    empty: float
    share: float
    bias: tuple[float, float, float]
    anisotropy: float = 1.0


SENSORS: dict[str, Sensor] = {
    "S1": Sensor(500.0, 40.0, 0.20, 0.80, (3.0, -4.0, -0.006), anisotropy=0.6),
    "S2": Sensor(330.0, 4.0, 0.74, 0.62, (0.0, 0.0, 0.0)),
    "L4_5": Sensor(2_200.0, 30.0, 0.50, 0.50, (-3.0, 2.0, 0.0)),
    "L7": Sensor(700.0, 10.0, 0.66, 0.50, (2.0, 1.0, 0.003)),
    "L8_9": Sensor(300.0, 4.0, 0.42, 0.62, (1.0, -1.0, 0.0015)),
}
KINDS = tuple(SENSORS)


@dataclass(frozen=True)
class PairList:
    """Image pairs and what all their pixels share.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Acquisition times [days since 1970-01-01].
    satellite_1, satellite_2 : ndarray of str, shape (n,)
    kind : ndarray of int, shape (n,)
        Index of the kind of pair, whose behaviour it follows.
    second_tile : ndarray of bool, shape (n,)
        The same pair of Sentinel-2 images, cut from the neighbouring granule.
    empty : ndarray of bool, shape (n,)
        No pixel is valid.
    spread : ndarray, shape (n,)
        Standard deviation of vx [m/yr].
    error : ndarray, shape (n, 2)
        Formal errors of vx and vy [m/yr]; NaN where missing.
    shift : ndarray, shape (n, 2)
        Error that the whole layer shares [m/yr].
    share : ndarray, shape (n,)
        Share of valid pixels in layers that are not empty.
    clouds : ndarray, shape (n, 3, 3)
        Wave numbers [1/m] and phase of three waves that make the gaps.
    locked_speed : ndarray, shape (n,)
        What a pixel reads that locks on what does not move [m/yr].
    interpolated : ndarray, shape (n,)
        Share of pixels that are interpolated.
    chip : ndarray of uint16, shape (n,)
        Size of the search chip [m].
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    satellite_1: NDArray[np.str_]
    satellite_2: NDArray[np.str_]
    kind: NDArray[np.intp]
    second_tile: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    spread: NDArray[np.float64]
    error: NDArray[np.float64]
    shift: NDArray[np.float64]
    share: NDArray[np.float64]
    clouds: NDArray[np.float64]
    locked_speed: NDArray[np.float64]
    interpolated: NDArray[np.float64]
    chip: NDArray[np.uint16]

    @property
    def span(self) -> NDArray[np.float64]:
        """Time between the images [days], shape (n,)."""
        return self.end - self.start

    def __len__(self) -> int:
        return self.start.size

    def take(self, rows: NDArray[np.intp]) -> PairList:
        """Pairs at the given rows."""
        return PairList(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def schedule_pairs(seed: int) -> PairList:
    """Draw the image pairs that cover the demo, in no order.

    Parameters
    ----------
    seed : int

    Returns
    -------
    PairList
        About 11,000 pairs from 1985 to 2024: few before 2013, most of them Sentinel-2.
    """
    rng = np.random.default_rng([seed, 0])
    parts = [_sentinel_1(), _sentinel_2(rng), _landsat(rng)]
    start, end, first, second = (np.concatenate(columns) for columns in zip(*parts))
    rank = np.array([KINDS.index(_kind(a, b)) for a, b in zip(first, second)])
    sentinel_2 = np.flatnonzero(rank == KINDS.index("S2"))
    repeated = rng.choice(sentinel_2, size=sentinel_2.size // 4, replace=False)
    rows = np.concatenate((np.arange(start.size), repeated))
    second_tile = np.arange(rows.size) >= start.size
    pairs = _draw_layers(rng, start[rows], end[rows], first[rows], second[rows], rank[rows], second_tile)
    # A granule of the neighbouring tile is another cut of the same images: it shares their errors.
    pairs.shift[second_tile] = pairs.shift[repeated]
    pairs.error[second_tile] = pairs.error[repeated]
    return pairs.take(rng.permutation(len(pairs)))


def _draw_layers(
    rng: np.random.Generator,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    first: NDArray[np.str_],
    second: NDArray[np.str_],
    kind: NDArray[np.intp],
    second_tile: NDArray[np.bool_],
) -> PairList:
    n = start.size
    table = np.array([(s.per_span, s.floor, s.empty, s.share, s.anisotropy) for s in SENSORS.values()])
    per_span, floor, empty, share, anisotropy = table[kind].T
    span = end - start
    spread = np.hypot(per_span / span, floor) * np.exp(0.3 * rng.standard_normal(n))
    scale = np.column_stack((np.ones(n), anisotropy))
    # Formal errors come from stable ground, where matching is easier than on moving ice.
    error = 0.65 * spread[:, None] * scale * np.exp(0.2 * rng.standard_normal((n, 2)))
    error[rng.random(n) < 0.008] = np.nan
    # Short pairs correlate better, so fewer of them come out empty.
    empty_share = empty * np.where(span < 70.0, 0.62, 1.1)
    striped = (kind == KINDS.index("L7")) & (end > SCAN_LINE_FAILURE)
    return PairList(
        start=start,
        end=end,
        satellite_1=first,
        satellite_2=second,
        kind=kind,
        second_tile=second_tile,
        empty=rng.random(n) < np.where(striped, 0.5, empty_share),
        spread=spread,
        error=error.clip(0.6),
        shift=0.6 * spread[:, None] * scale * rng.standard_normal((n, 2)),
        share=rng.beta(4.0 * share, 4.0 * (1.0 - share)),
        clouds=np.concatenate(
            (rng.normal(0.0, 1.0 / 900.0, (n, 3, 2)), rng.uniform(0.0, 2.0 * np.pi, (n, 3, 1))), axis=2
        ),
        locked_speed=250.0 * np.exp(0.3 * rng.standard_normal(n)),
        interpolated=rng.uniform(0.0, 0.2, n),
        chip=np.where(rng.random(n) < 0.7, 240, 480).astype(np.uint16),
    )


def _kind(first: str, second: str) -> str:
    if first[0] in "12":
        return f"S{first[0]}"
    if "7" in (first, second):
        return "L7"
    return "L4_5" if first in "45" else "L8_9"


_Columns = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.str_]", "NDArray[np.str_]"]


def _sentinel_1() -> _Columns:
    """Pairs of 12 days only: 1A ascending from October 2014, 1B descending until its end in December 2021."""
    columns = []
    for name, begin, end, hour in (("1A", 16_353.0, _LAST_DAY, 20.62), ("1B", 17_077.0, 18_984.0, 10.08)):
        first = np.arange(begin, end - 12.0, 12.0) + hour / 24.0
        # The orbit drifts by seconds: no span is exactly 12 d.
        drift = np.round(6.0 * np.sin(0.37 * np.arange(first.size + 1))) / 86_400.0
        names = np.full(first.size, name)
        columns.append((first + drift[:-1], first + 12.0 + drift[1:], names, names))
    start, end_, a, b = (np.concatenate(c) for c in zip(*columns))
    return start, end_, a, b


def _sentinel_2(rng: np.random.Generator, count: int = 5_400) -> _Columns:
    """Pairs at multiples of 5 d (a few end on the next orbit, 2 d later), half longer than eight months."""
    step, base = 5.0, 16_892.0  # 2016-04-01
    last = int((_LAST_DAY - base) // step)
    draw = 4 * count
    # More pairs where two satellites and reprocessing made more: 2021 to 2023.
    year = rng.choice(np.arange(2016, 2025), size=draw, p=np.array([3, 6, 8, 8, 10, 16, 21, 19, 9]) / 100.0)
    first = ((days(year) + rng.uniform(0.0, 365.0, draw) - base) // step).astype(int)
    short = np.exp(rng.uniform(np.log(5.0), np.log(250.0), draw))
    apart = np.where(rng.random(draw) < 0.48, short, rng.uniform(250.0, 545.0, draw))
    apart = np.maximum(1, np.round(apart / step)).astype(int)
    second = first + apart
    ok = (first >= 0) & (second <= last)
    for index in (first, second):
        day = base + step * index
        ok &= _sunlit(day) & ~((index % 2 == 1) & (day < 17_350.0))  # 2B flies from mid-2017
    key = np.unique(first[ok] * 10_000 + second[ok])
    key = rng.permutation(key)[:count]
    first, second = key // 10_000, key % 10_000
    start, end = base + step * first, base + step * second
    names = [_sentinel_2_name(index, day) for index, day in ((first, start), (second, end))]
    neighbour = np.where(rng.random(key.size) < 0.04, 2.0, 0.0)
    hour = 15.0 / 24.0
    clock = hour + np.round(200.0 * np.sin(0.7 * np.stack((first, second))) + 1_490.0) / 86_400.0
    return start + clock[0], end + clock[1] + neighbour, names[0], names[1]


def _sentinel_2_name(index: NDArray[np.intp], day: NDArray[np.float64]) -> NDArray[np.str_]:
    names = np.where(index % 2 == 0, "2A", "2B")
    return np.where((day > 19_975.0) & (index % 2 == 1), "2C", names)  # from September 2024


def _landsat(rng: np.random.Generator) -> _Columns:
    """Pairs at multiples of 8 d: one satellite on even, another on odd visits of an 8-day cycle."""
    step, base = 8.0, 5_570.0  # 1985-04-02
    wanted = (
        # first date, last date, satellites, pairs
        (5_570.0, 15_300.0, ("4", "5"), 820),
        (10_800.0, 18_900.0, ("7",), 520),
        (10_800.0, 15_300.0, ("5", "7"), 90),
        (15_800.0, 18_900.0, ("7", "8"), 420),
        (15_800.0, _LAST_DAY, ("8", "9"), 1_750),
    )
    out = []
    for begin, end, satellites, count in wanted:
        draw = 60 * count
        low, high = np.ceil((begin - base) / step), np.floor((end - base) / step)
        first = rng.integers(int(low), int(high), draw)
        short = np.exp(rng.uniform(np.log(8.0), np.log(250.0), draw))
        apart = np.where(rng.random(draw) < 0.55, short, rng.uniform(250.0, 544.0, draw))
        second = first + np.maximum(1, np.round(apart / step)).astype(int)
        ok = second <= high
        names = []
        for index in (first, second):
            day = (base + step * index).astype(np.float64)
            name = _landsat_name(index, day)
            ok &= _sunlit(day) & np.isin(name, satellites)
            names.append(name)
        if satellites in (("5", "7"), ("7", "8")):
            ok &= names[0] != names[1]
        _, unique = np.unique(first[ok] * 10_000 + second[ok], return_index=True)
        keep = np.flatnonzero(ok)[rng.permutation(unique)[:count]]
        clock = (54_900.0 + 90.0 * np.sin(0.3 * np.stack((first, second))[:, keep])) / 86_400.0
        out.append(
            (
                base + step * first[keep] + clock[0],
                base + step * second[keep] + clock[1],
                names[0][keep],
                names[1][keep],
            )
        )
    start, end_, a, b = (np.concatenate(columns) for columns in zip(*out))
    return start, end_, a, b


def _landsat_name(index: NDArray[np.intp], day: NDArray[np.float64]) -> NDArray[np.str_]:
    even = np.where(day < 15_300.0, "5", np.where(day >= 15_800.0, "8", ""))
    odd = np.where(
        day < 8_750.0,
        "4",
        np.where(day < 10_800.0, "", np.where(day < 18_900.0, "7", np.where(day >= 18_940.0, "9", ""))),
    )
    return np.where(index % 2 == 0, even, odd)


def _sunlit(day: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the sun is high enough for optical images at 69 degrees north."""
    of_year = day % DAYS_PER_YEAR
    return (of_year > 48.0) & (of_year < 302.0)
