"""The cubes of the demo on the disk layout of ITS_LIVE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.synthetic.observe import observe
from itslive_core.synthetic.schedule import schedule_pairs
from itslive_core.synthetic.schema import (
    SENSORS,
    attributes_of_cube,
    attributes_of_mapping,
    compressor,
    granule_urls,
    variable_attributes,
)
from itslive_core.synthetic.terrain import EPSG, demo_valleys
from itslive_core.synthetic.truth import Flow

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from itslive_core.synthetic.schedule import PairList

__all__ = ["TILES", "Tile", "write_tiles"]

_SPACING = 120.0
_BOX = 100_000.0
_MISSING = -32_767
_FIRST_WRITE = 352
"""Chunk length of what production stored with the length of the first write."""
_MARGIN = 150.0
"""Rock this close to ice is seen too [m]."""


@dataclass(frozen=True)
class Tile:
    """The part of a cube of the real lattice that the demo covers.

    Parameters
    ----------
    cx, cy : int
        Centre of the 100 km box [m].
    column, columns, row, rows : int
        First pixel and number of pixels, counted from the upper left corner of the box.
    time_chunk : int
        Length of the chunks of three-dimensional variables.
    """

    cx: int
    cy: int
    column: int
    columns: int
    row: int
    rows: int
    time_chunk: int

    @property
    def name(self) -> str:
        """File name, as real cubes have it."""
        return f"ITS_LIVE_vel_EPSG{EPSG}_G0120_X{self.cx}_Y{self.cy}.zarr"

    @property
    def x(self) -> NDArray[np.float64]:
        """Centres of the columns, shape (nx,) [m]: the lattice is offset by half a Landsat pixel of 15 m."""
        first = np.ceil((self.cx - _BOX / 2) / _SPACING) * _SPACING - 7.5 + _SPACING / 2
        return first + _SPACING * np.arange(self.column, self.column + self.columns)

    @property
    def y(self) -> NDArray[np.float64]:
        """Centres of the rows from the top, shape (ny,) [m]."""
        first = np.floor((self.cy + _BOX / 2) / _SPACING) * _SPACING + 7.5 - _SPACING / 2
        return first - _SPACING * np.arange(self.row, self.row + self.rows)


TILES = (
    Tile(-250_000, -2_250_000, column=778, columns=56, row=432, rows=40, time_chunk=20_000),
    Tile(-150_000, -2_250_000, column=0, columns=54, row=440, rows=27, time_chunk=6_000),
)
"""West, with the front and the slow glacier, and east."""


def write_tiles(paths: tuple[Path, ...], seed: int) -> None:
    """Write the cubes.

    Parameters
    ----------
    paths : tuple of Path
        One for each of `TILES`.
    seed : int
    """
    pairs = schedule_pairs(seed)
    rng = np.random.default_rng([seed, 1])
    for number, (tile, path) in enumerate(zip(TILES, paths)):
        # A few granules miss either tile; the order of appending differs as well.
        seen = rng.permutation(len(pairs))[: int(len(pairs) * (0.97, 0.86)[number])]
        _write_tile(path, tile, pairs.take(seen), seed * 10 + number)


def _write_tile(path: Path, tile: Tile, pairs: PairList, seed: int) -> None:
    import zarr

    group = zarr.create_group(path, zarr_format=2, attributes=attributes_of_cube(tile.cx, tile.cy))
    iy, ix, ice = _visible(tile)
    layers = _Layers(group, tile, len(pairs), iy, ix)
    _write_images(layers, pairs, tile, seed)
    _write_pairs(group, pairs, seed)
    _write_grid(group, tile, iy, ix, ice)
    zarr.consolidate_metadata(group.store)


def _visible(tile: Tile) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Rows and columns of the pixels with data, and whether they are ice."""
    x, y = (c.ravel() for c in np.meshgrid(tile.x, tile.y))
    see = np.zeros(x.size, dtype=bool)
    for valley in demo_valleys():
        along, left, nearest = valley.locate(x, y)
        see |= (np.abs(left) < valley.half_width[nearest] + _MARGIN) & (along > 0.0) & (along < valley.length)
    ice = np.hypot(*Flow.at(x, y).direction.T) > 0.0
    see |= ice
    iy, ix = np.nonzero(see.reshape(tile.y.size, tile.x.size))
    return iy, ix, ice[see]


class _Layers:
    """Three-dimensional variables of one cube."""

    def __init__(
        self, group: zarr.Group, tile: Tile, n: int, iy: NDArray[np.intp], ix: NDArray[np.intp]
    ) -> None:
        self.group, self.iy, self.ix = group, iy, ix
        self.shape = (n, tile.rows, tile.columns)
        self.chunks = (min(n, tile.time_chunk), 10, 10)

    def write(
        self, name: str, rows: NDArray[np.intp], values: NDArray[Any], missing: int, kind: str = "zlib"
    ) -> None:
        """Store one variable: `values` of shape (m, p) at layers `rows`, `missing` elsewhere."""
        full = np.full(self.shape, missing, dtype=values.dtype)
        full[rows[:, None], self.iy, self.ix] = values
        _store(self.group, name, full, ("mid_date", "y", "x"), chunks=self.chunks, kind=kind)


def _write_images(layers: _Layers, pairs: PairList, tile: Tile, seed: int) -> None:
    parts = observe(pairs, tile.x[layers.ix], tile.y[layers.iy], seed=seed)
    rows = np.concatenate([p.rows for p in parts])
    valid = np.concatenate([p.valid for p in parts])
    vx = np.concatenate([p.vx for p in parts])
    vy = np.concatenate([p.vy for p in parts])
    interpolated = np.concatenate([p.interpolated for p in parts]) & valid
    del parts

    def whole(values: NDArray[np.float32], good: NDArray[np.bool_]) -> NDArray[np.int16]:
        return np.where(good, np.rint(np.where(good, values, 0.0)), _MISSING).astype(np.int16)

    layers.write("vx", rows, whole(vx, valid), _MISSING)
    layers.write("vy", rows, whole(vy, valid), _MISSING)
    speed = np.hypot(vx, vy)
    layers.write("v", rows, whole(speed, valid), _MISSING)
    error = pairs.error[rows].astype(np.float32)
    known = valid & np.isfinite(error).all(axis=1)[:, None]
    spread = np.hypot(error[:, :1] * vx, error[:, 1:] * vy) / np.maximum(speed, 1.0)
    layers.write("v_error", rows, whole(spread.clip(1.0, 32_000.0), known), _MISSING)
    layers.write("interp_mask", rows, interpolated.astype(np.uint8), 0, "lz4")
    layers.write("chip_size_height", rows, np.where(valid, pairs.chip[rows][:, None], np.uint16(0)), 0, "lz4")


def _write_pairs(group: zarr.Group, pairs: PairList, seed: int) -> None:
    n = len(pairs)
    rng = np.random.default_rng([seed, 2])
    centre = 0.5 * (pairs.start + pairs.end)
    percent = np.where(pairs.empty, rng.uniform(1.0, 60.0, n), 100.0 * pairs.share).clip(1.0, 99.7)
    columns: dict[str, NDArray[Any]] = {
        "acquisition_date_img1": pairs.start,
        "acquisition_date_img2": pairs.end,
        "date_center": centre,
        "mid_date": centre + _token(pairs.start),
        "date_dt": pairs.span.astype(np.float32),
        "autoRIFT_software_version": np.full(n, "1.5.0"),
        "granule_url": granule_urls(pairs, percent),
        "roi_valid_percentage": percent.astype(np.float32),
        "stable_shift_flag": rng.choice(np.array([0, 1, 2], dtype=np.uint8), n, p=[0.01, 0.92, 0.07]),
    }
    for image, codes in ((1, pairs.satellite_1), (2, pairs.satellite_2)):
        columns[f"satellite_img{image}"] = codes.astype("<U2")
        columns[f"mission_img{image}"] = np.where(np.char.str_len(codes) == 2, "S", "L").astype("<U1")
        columns[f"sensor_img{image}"] = np.array([SENSORS[code[:1]] for code in codes], dtype="<U3")
    for axis, name in enumerate(("vx", "vy")):
        error = np.where(np.isfinite(pairs.error[:, axis]), pairs.error[:, axis], _MISSING)
        columns[f"{name}_error"] = error.astype(np.float32)
        columns[f"{name}_error_stationary"] = error.astype(np.float32)
        columns[f"{name}_error_slow"] = np.where(error > 0.0, 0.9 * error, _MISSING).astype(np.float32)
        columns[f"{name}_error_modeled"] = (17.0 + 9_000.0 / pairs.span).astype(np.float32)
        shift = np.round(300.0 / pairs.span * rng.standard_normal(n), 1)
        columns[f"{name}_stable_shift"] = shift.astype(np.float32)
    for name, values in columns.items():
        first_write = name in ("mid_date", "granule_url", "autoRIFT_software_version")
        _store(group, name, values, ("mid_date",), chunks=(min(n, _FIRST_WRITE if first_write else 200_000),))


def _token(start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Microseconds [days] that production adds to a date: YYMMDD of image 1, meant to make it unique."""
    day = np.floor(start).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    year = day.astype("datetime64[Y]")
    number = (
        (year.astype(int) + 1970) % 100 * 10_000
        + ((month - year.astype("datetime64[M]")).astype(int) + 1) * 100
        + (day - month.astype("datetime64[D]")).astype(int)
        + 1
    )
    return number * 1e-6 / 86_400.0


def _write_grid(
    group: zarr.Group, tile: Tile, iy: NDArray[np.intp], ix: NDArray[np.intp], ice: NDArray[np.bool_]
) -> None:
    _store(group, "x", tile.x, ("x",), chunks=(834,))
    _store(group, "y", tile.y, ("y",), chunks=(833,))
    land = np.full((tile.rows, tile.columns), 255, dtype=np.uint8)
    land[iy, ix] = ice
    floating = np.where(land == 255, 255, 0).astype(np.uint8)
    front = demo_valleys()[0]
    near = np.hypot(tile.x - front.x[-1], tile.y[:, None] - front.y[-1]) < 700.0
    floating[(land == 1) & near] = 1
    for name, values in (("landice", land), ("floatingice", floating)):
        _store(group, name, values, ("y", "x"), chunks=values.shape, kind="zlib")
    mapping = group.create_array(
        "mapping",
        shape=(),
        dtype="<U1",
        chunks=(),
        fill_value=None,
        compressors=None,
        attributes={"_ARRAY_DIMENSIONS": [], **attributes_of_mapping(tile.x, tile.y)},
        config={"write_empty_chunks": True},
    )
    mapping[...] = np.array("", dtype="<U1")


def _store(
    group: zarr.Group,
    name: str,
    values: NDArray[Any],
    dims: tuple[str, ...],
    *,
    chunks: tuple[int, ...],
    kind: str | None = None,
) -> None:
    """Create one array as production does and fill it."""
    fill: float | None = None
    if values.dtype.kind == "f":
        fill = float(_MISSING) if name.startswith(("vx_", "vy_")) else float("nan")
    if kind is None:
        kind = "zlib" if fill == _MISSING else "lz4"
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks,
        fill_value=fill,
        compressors=compressor(kind),
        attributes={"_ARRAY_DIMENSIONS": list(dims), **variable_attributes(name)},
        # Where the fill value is null, a chunk that is not stored has no defined value.
        config={"write_empty_chunks": True},
    )
    array[...] = values
