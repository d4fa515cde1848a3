"""What satellites would have measured of the demo: noise, gaps, locking, outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.synthetic.schedule import KINDS, SCAN_LINE_FAILURE, SENSORS
from itslive_core.synthetic.terrain import demo_valleys
from itslive_core.synthetic.truth import Flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.synthetic.schedule import PairList

__all__ = ["Observations", "observe"]

_LOCKING_SPEED = 1_500.0
_LOCKING_SPAN = 67.0
_SECOND_TILE_X = -196_300.0
"""East of this line the neighbouring Sentinel-2 granule sees the glacier too."""


@dataclass(frozen=True)
class Observations:
    """Values of some pairs at some pixels.

    Parameters
    ----------
    rows : ndarray of int, shape (m,)
        Pairs that are not empty.
    vx, vy : ndarray, shape (m, p)
        Whole m/yr; undefined where not `valid`.
    valid, interpolated : ndarray of bool, shape (m, p)
    """

    rows: NDArray[np.intp]
    vx: NDArray[np.float32]
    vy: NDArray[np.float32]
    valid: NDArray[np.bool_]
    interpolated: NDArray[np.bool_]


def observe(
    pairs: PairList, x: NDArray[np.float64], y: NDArray[np.float64], *, seed: int, step: int = 400
) -> list[Observations]:
    """Measure the truth at pixels with every pair that is not empty.

    Parameters
    ----------
    pairs : PairList
    x, y : ndarray, shape (p,)
        Pixels [m, EPSG:3413].
    seed : int
    step : int
        Pairs worked on at a time, which bounds the memory.

    Returns
    -------
    list of Observations
        Batches of rows in order.
    """
    flow = Flow.at(x, y)
    rng = np.random.default_rng(seed)
    full = np.flatnonzero(~pairs.empty)
    return [
        _observe(pairs, flow, x, y, full[begin : begin + step], rng) for begin in range(0, full.size, step)
    ]


def _observe(
    pairs: PairList,
    flow: Flow,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> Observations:
    shape = (rows.size, x.size)
    one = pairs.take(rows)
    speed = flow.mean_speed(one.start, one.end)
    span, spread, kind = one.span[:, None], one.spread[:, None], one.kind
    bias = np.array([s.bias for s in SENSORS.values()])[kind]
    scale = np.array([s.anisotropy for s in SENSORS.values()])[kind][:, None]

    read = speed * (1.0 + bias[:, 2:])
    # Matching over a long span finds what does not move (shear margins, shadows, stripes), not the ice.
    fast = 1.0 / (1.0 + np.exp(-(speed - _LOCKING_SPEED) / 100.0))
    long = 1.0 / (1.0 + np.exp(-(span - _LOCKING_SPAN) / 2.0))
    locked = rng.random(shape, dtype=np.float32) < fast * long
    read = np.where(locked, one.locked_speed[:, None], read)
    old = (kind == KINDS.index("L4_5"))[:, None] & (span > 256.0) & (speed > 100.0) & ~locked
    read = np.where(old, 0.25 * read, read)

    noise = 0.8 * spread + np.where(locked, 15.0, 0.012 * speed)
    blunder = rng.random(shape, dtype=np.float32) < 0.03
    values = []
    for axis, factor in ((0, np.ones_like(scale)), (1, scale)):
        value = read * flow.direction[:, axis] + bias[:, axis : axis + 1] + one.shift[:, axis : axis + 1]
        value += factor * noise * rng.standard_normal(shape, dtype=np.float32)
        hit = np.flatnonzero(blunder)
        wild = (5.0 * spread + 0.3 * speed + 20.0).ravel()[hit]
        value.ravel()[hit] += wild * rng.standard_t(2.0, hit.size).clip(-12.0, 12.0)
        values.append(np.rint(value).clip(-20_000, 20_000).astype(np.float32))

    return Observations(
        rows=rows,
        vx=values[0],
        vy=values[1],
        valid=_valid(one, x, y, rng),
        interpolated=rng.random(shape, dtype=np.float32) < one.interpolated[:, None],
    )


def _valid(
    one: PairList, x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    from scipy.special import ndtri

    px, py = x - x.mean(), y - y.mean()
    field = np.zeros((len(one), x.size), dtype=np.float32)
    for wave in range(one.clouds.shape[1]):
        kx, ky, phase = one.clouds[:, wave].T
        # Phases refer to the origin of the grid, so gaps go on across the edge of a tile.
        phase = np.mod(phase + kx * x.mean() + ky * y.mean(), 2.0 * np.pi)
        field += np.cos((np.outer(kx, px) + np.outer(ky, py) + phase[:, None]).astype(np.float32))
    threshold = np.sqrt(0.5 * one.clouds.shape[1]) * ndtri(one.share.clip(0.01, 0.99))
    valid = (field < threshold[:, None]) & (rng.random(field.shape, dtype=np.float32) > 0.04)
    striped = (one.kind == KINDS.index("L7")) & (one.end > SCAN_LINE_FAILURE)
    if striped.any():
        across = np.cos(np.radians(12.0)) * y + np.sin(np.radians(12.0)) * x
        phase = 800.0 * one.clouds[striped, 0, 2]
        valid[striped] &= np.mod(across + phase[:, None], 1_400.0) > 560.0
    valid[one.second_tile] &= x > _SECOND_TILE_X
    # Water ends the glacier; margins of rock are seen as well as ice.
    fast = demo_valleys()[0]
    along, _, _ = fast.locate(x, y)
    near = np.hypot(x - fast.x[-1], y - fast.y[-1]) < 3_000.0
    return valid & ~(near & (along > fast.length))
