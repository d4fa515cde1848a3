"""One datacube: where it lies on the ground, which pairs it holds, and the velocities of its blocks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from pyproj import CRS, Transformer

from itslive_core.cubes import schema
from itslive_core.cubes.block_reader import BlockCache, heads_of_block, read_pixels
from itslive_core.cubes.granules import Granule, granule_of, one_pair_only
from itslive_core.cubes.icechunk_files import split_version
from itslive_core.cubes.packing import Packing
from itslive_core.cubes.pair_table import PairTable, read_pair_table
from itslive_core.cubes.projection import cube_crs, epsg_of_crs
from itslive_core.cubes.shards import ShardReader
from itslive_core.cubes.stores import OpenStore, open_store
from itslive_core.cubes.velocity import Velocity
from itslive_core.errors import CoverageError, CubeError, SettingsError
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.pairs import ImagePairs
from itslive_core.observations.selection import FilterStep
from itslive_core.observations.surroundings import Surroundings
from itslive_core.support.memo import Memo
from itslive_core.support.units import METRES_PER_YEAR

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["Datacube", "PairTable", "Pixel", "open_cube"]

_VELOCITIES = ("vx", "vy")
_BLOCKS_LEARNT = 16
"""Blocks of which what was learnt is kept, with the pairs that passed the filters: some megabytes each."""

CACHE_BYTES = 256e6
"""Memory for blocks that were read, by default [bytes]."""


@dataclass(frozen=True)
class Pixel:
    """A pixel of a datacube: row, column, centre in the cube's CRS [m] and in WGS 84 [degrees]."""

    row: int
    col: int
    x: float
    y: float
    lon: float
    lat: float


class Datacube:
    """An ITS_LIVE datacube, opened for reading; see `open_cube`.

    It may be shared by threads. Blocks that were read are kept in memory up to a limit, so that the
    neighbours of a pixel cost nothing.
    """

    block_offset: tuple[int, int] = (0, 0)
    """Rows and columns of the first block that lie before the first pixel."""

    def __init__(self, store: OpenStore, *, cache: BlockCache | None = None) -> None:
        self._store = store
        self._cache = BlockCache(limit=CACHE_BYTES) if cache is None else cache
        self.url: str = store.url
        group = store.group
        self.attrs: dict[str, Any] = dict(group.attrs)
        arrays = {name: self._array(name) for name in _VELOCITIES}
        vx = arrays["vx"]
        if vx.ndim == 2:
            raise CubeError(one_pair_only(self.url, self.attrs))
        if vx.ndim != 3 or arrays["vy"].ndim != 3:
            raise CubeError(self._unequal())
        if any(array.dtype.kind not in "iuf" for array in arrays.values()):
            raise CubeError(f"{self.url} is not an ITS_LIVE datacube: vx and vy are not numbers")
        self._layout = schema.layout_of(group, vx, self.url)
        self._velocity = arrays
        orders = {name: schema.layout_of(group, array, self.url).order for name, array in arrays.items()}
        self.components = {
            name: Velocity(array, Packing.of(array, METRES_PER_YEAR), orders[name])
            for name, array in arrays.items()
        }
        shapes = [one.shape for one in self.components.values()]
        if shapes[0] != shapes[1]:
            raise CubeError(self._unequal())
        self.n_pairs: int = shapes[0][0]
        self.shape: tuple[int, int] = shapes[0][1:]
        if min(self.shape) < 1 or self.n_pairs < 0:
            raise CubeError(f"{self.url} holds no pixel: the shape of vx is {shapes[0]}")
        if any(min(one.chunks) < 1 for one in self.components.values()):
            raise CubeError(f"{self.url} is damaged: the chunks of vx or vy have no size")
        self.x: NDArray[np.float64]
        self.y: NDArray[np.float64]
        with ThreadPoolExecutor(2) as pool:  # at once: a remote store takes its time for each
            later = pool.submit(schema.axis, group, self._layout.x, vx, self.shape[1], role="x")
            self.y = schema.axis(group, self._layout.y, vx, self.shape[0], role="y")
            self.x = later.result()
        self.crs: CRS = cube_crs(schema.grid_mappings(group, vx), self.attrs, self.url)
        self._learnt = Memo(_BLOCKS_LEARNT)
        self._shards = ShardReader.of(store, list(self.components.values()))
        self._table_lock = threading.Lock()
        self._table: PairTable | None = None

    def _unequal(self) -> str:
        return f"{self.url} is not an ITS_LIVE datacube: vx and vy are not cubes of the same shape"

    def __repr__(self) -> str:
        """Describe the cube in one line."""
        rows, cols = self.shape
        return f"<Datacube {self.url}: {self.n_pairs:,} pairs, {rows} x {cols} px, {self.crs_name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as an address; it is opened again there."""
        store = self._store
        return _reopen, (self.url, dict(store.storage_options), self._cache.limit, store.patience)

    @cached_property
    def epsg(self) -> int:
        """EPSG code of the CRS; 0 if it has none."""
        return epsg_of_crs(self.crs, self.x, self.y)

    @property
    def crs_name(self) -> str:
        """What to call the CRS: its EPSG code, else its own name."""
        return f"EPSG:{self.epsg}" if self.epsg else str(self.crs.name)

    @property
    def date_updated(self) -> str | None:
        """When the cube was last changed, as it says itself."""
        value = self.attrs.get("date_updated") or self.attrs.get("date_created") or self._store.written
        return None if value is None else str(value)

    @property
    def snapshot(self) -> str | None:
        """Id of the snapshot of an icechunk repository, which `url` ends with; None of other cubes."""
        version = split_version(self.url)[1]
        return version and version.name

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Outer pixel edges (xmin, ymin, xmax, ymax) in the cube's CRS [m]."""
        half_x, half_y = abs(self.pixel_size[0]) / 2, abs(self.pixel_size[1]) / 2
        x, y = self.x, self.y
        low = float(x.min()) - half_x, float(y.min()) - half_y
        return (*low, float(x.max()) + half_x, float(y.max()) + half_y)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Signed steps of x along columns and of y along rows [m]."""
        step_x = self.x[1] - self.x[0] if len(self.x) > 1 else 120.0
        step_y = self.y[1] - self.y[0] if len(self.y) > 1 else -120.0
        return float(step_x), float(step_y)

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of a chunk."""
        chunks = self.components["vx"].chunks
        return chunks[1], chunks[2]

    @cached_property
    def _to_cube(self) -> Transformer:
        return Transformer.from_crs(4326, self.crs, always_xy=True)

    @cached_property
    def _to_lonlat(self) -> Transformer:
        return Transformer.from_crs(self.crs, 4326, always_xy=True)

    # ------------------------------------------------------------------ place

    def locate(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
    ) -> Pixel:
        """Find the pixel whose centre is nearest to a place.

        Parameters
        ----------
        lon, lat : float, optional
            Place, WGS 84 [degrees].
        x, y : float, optional
            Place in the cube's CRS [m], instead of lon and lat.

        Raises
        ------
        CoverageError
            If the place is off the cube.
        SettingsError
            If the place is not given as one complete pair of numbers.
        """
        if x is not None and y is not None and lon is None and lat is None:
            words = f"x {x:.0f} m, y {y:.0f} m"
        elif lon is not None and lat is not None and x is None and y is None:
            if not (-360 <= lon <= 360 and -90 <= lat <= 90):
                raise SettingsError(
                    f"lon {lon}, lat {lat} is not a place: give lon -180..180 and lat -90..90"
                )
            x, y = self._to_cube.transform(lon, lat)
            words = f"lon {lon:.5f}, lat {lat:.5f}"
        else:
            raise SettingsError("give either lon and lat, or x and y")
        xmin, ymin, xmax, ymax = self.bounds
        if not (xmin <= x <= xmax and ymin <= y <= ymax):  # also false for NaN and infinity
            west, south, east, north = self.lonlat_bounds
            raise CoverageError(
                f"{words} is off the datacube: it covers lon {west:.4f} to {east:.4f},"
                f" lat {south:.4f} to {north:.4f} (x {xmin:.0f} to {xmax:.0f} m,"
                f" y {ymin:.0f} to {ymax:.0f} m, {self.crs_name})"
            )
        step_x, step_y = self.pixel_size
        col = int(np.clip(np.rint((x - self.x[0]) / step_x), 0, self.shape[1] - 1))
        row = int(np.clip(np.rint((y - self.y[0]) / step_y), 0, self.shape[0] - 1))
        return self.pixel(row, col)

    def pixel(self, row: int, col: int) -> Pixel:
        """Describe the pixel at a row and a column."""
        x, y = float(self.x[col]), float(self.y[row])
        lon, lat = self._to_lonlat.transform(x, y)
        return Pixel(row=row, col=col, x=x, y=y, lon=float(lon), lat=float(lat))

    def covers(self, lon: float, lat: float) -> bool:
        """Tell whether a place lies on the cube."""
        try:
            self.locate(lon, lat)
        except CoverageError:
            return False
        return True

    def lonlat_of(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn places in the cube's CRS [m] into longitude and latitude [degrees], of the same shape."""
        lon, lat = self._to_lonlat.transform(x, y)
        return lon, lat

    @cached_property
    def lonlat_bounds(self) -> tuple[float, float, float, float]:
        """Smallest (west, south, east, north) box in WGS 84 that holds the cube [degrees]."""
        return self._to_lonlat.transform_bounds(*self.bounds)

    # ------------------------------------------------------------------ pairs

    @property
    def pair_table(self) -> PairTable:
        """The metadata of all pairs, read once.

        Raises
        ------
        CubeError
            If the acquisition dates are missing.
        """
        with self._table_lock:
            if self._table is None:
                self._table = read_pair_table(
                    self._store.group,
                    self.url,
                    self.n_pairs,
                    time=self._layout.time,
                    fetch_ahead=self._store.fetch_ahead,
                    velocity_units=str(self.components["vx"].array.attrs.get("units") or ""),
                )
            return self._table

    def pairs_at(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
    ) -> ImagePairs:
        """Read the image pairs of the pixel nearest to a place.

        Parameters
        ----------
        lon, lat : float, optional
            Place, WGS 84 [degrees].
        x, y : float, optional
            Place in the cube's CRS [m], instead of lon and lat.

        Returns
        -------
        ImagePairs
            Without any filter but the dates, and each pair once; may be empty where no pair has a value.

        Raises
        ------
        CoverageError
            If the place is off the cube.
        CubeError
            If the cube cannot be read.
        """
        place = self.locate(lon, lat, x=x, y=y)
        block = self.block_of(place.row, place.col)
        # The table and the block at once: a remote store answers in parallel.
        with ThreadPoolExecutor(1) as pool:
            table_later = pool.submit(lambda: self.pair_table)
            pixels = self.read_block(block)
            table_later.result()
        return self.pairs_in(pixels, place)

    def pairs_in(self, pixels: PixelBlock, place: Pixel) -> ImagePairs:
        """Take the image pairs of one pixel out of a block that was read; else as `pairs_at`.

        Parameters
        ----------
        pixels : PixelBlock
            From `read_block`.
        place : Pixel
            In that block, from `locate` or `pixel`.
        """
        table = self.pair_table
        where, p = pixels.pixel(place.row, place.col)
        layers = pixels.pair[where]
        n_both, n_partial = len(layers), int(pixels.n_partial[p])
        usable = table.usable[layers]
        n_read = n_both + n_partial
        history = (
            FilterStep("read", n_read, self.n_pairs - n_read, "layers with a value at this pixel"),
            FilterStep("components", n_both, n_partial, "both vx and vy are there"),
            table.dates_step(layers),
        )
        layers = layers[usable]
        return ImagePairs(
            start=table.start[layers],
            end=table.end[layers],
            vx=pixels.vx[where][usable].astype(np.float64),
            vy=pixels.vy[where][usable].astype(np.float64),
            vx_error=table.vx_error[layers],
            vy_error=table.vy_error[layers],
            mission=table.mission[layers],
            satellite_1=table.satellite_1[layers],
            satellite_2=table.satellite_2[layers],
            x=place.x,
            y=place.y,
            lon=place.lon,
            lat=place.lat,
            epsg=self.epsg,
            crs_wkt=None if self.epsg else self.crs.to_wkt(),
            cube_url=self.url,
            date_updated=self.date_updated,
            history=history,
            checksum=pixels.checksum,
            around=Surroundings(table, table.usable, pixels, p, self._learnt),
        ).distinct()

    def granule_of(self, pairs: ImagePairs, row: int) -> Granule | None:
        """Say what one of the pairs of a pixel was made from; reads one value. See `granules.granule_of`."""
        return granule_of(self._store.group, self.pair_table, pairs, row)

    # ----------------------------------------------------------------- blocks

    def block_of(self, row: int, col: int) -> Block:
        """Return the chunk-aligned block that holds a pixel."""
        rows, cols = self.block_shape
        a, b = self.block_offset
        row0, col0 = (row + a) // rows * rows - a, (col + b) // cols * cols - b
        ends = min(row0 + rows, self.shape[0]), min(col0 + cols, self.shape[1])
        return Block(max(row0, 0), ends[0], max(col0, 0), ends[1])

    def blocks(self, mask: NDArray[np.bool_] | None = None) -> list[Block]:
        """List the chunk-aligned blocks, row by row.

        Parameters
        ----------
        mask : ndarray of bool, shape (ny, nx), optional
            Only blocks that hold a pixel of the mask.
        """
        rows, cols = self.block_shape
        ny, nx = self.shape
        starts = (range(-a, n, size) for a, n, size in zip(self.block_offset, (ny, nx), (rows, cols)))
        every = [self.block_of(max(r, 0), max(c, 0)) for r, c in product(*starts)]
        if mask is None:
            return every
        return [b for b in every if mask[b.row0 : b.row1, b.col0 : b.col1].any()]

    def is_cached(self, row: int, col: int) -> bool:
        """Tell whether the block of a pixel is in memory."""
        return self._cache.get(self._key(self.block_of(row, col))) is not None

    def expect(self, blocks: Iterable[Block]) -> None:
        """Take note of blocks that will be read: those that lie together in a store then come together.

        Parameters
        ----------
        blocks : iterable of Block
            From `blocks`.
        """
        if self._shards is not None:
            self._shards.expect(block for block in blocks if self._cache.get(self._key(block)) is None)

    def read_block(self, block: Block, *, cache: bool = True) -> PixelBlock:
        """Read the observations of a chunk-aligned block.

        Parameters
        ----------
        block : Block
            From `blocks` or `block_of`.
        cache : bool
            Keep it in memory for the next reader.

        Raises
        ------
        CubeError
            If the store cannot be reached or a chunk is damaged.
        """
        key = self._key(block)
        found = self._cache.get(key)
        if found is not None:
            return found
        if not cache:
            return self._read(block)
        # Whoever comes second waits for the first instead of reading again.
        with self._cache.reader_lock(key):
            found = self._cache.get(key)
            if found is None:
                found = self._read(block)
                self._cache.put(found, key)
            return found

    def heads_of(self, block: Block) -> str:
        """Read what `PixelBlock.heads` is of a block now, without reading the block; see `heads_of_block`."""
        components = list(self.components.values())
        return "" if self._shards is not None else heads_of_block(self._store, components, block)

    def _key(self, block: Block) -> tuple[str, str | None, Block]:
        """Name a block among those of other cubes, and of other states of this one."""
        return self.url, self.date_updated, block

    def _read(self, block: Block) -> PixelBlock:
        components = [self.components[name] for name in _VELOCITIES]
        return read_pixels(self._store, components, block, self._shards)

    def _array(self, name: str) -> zarr.Array:
        array = schema.member(self._store.group, name)
        if array is None:
            raise CubeError(
                f"{self.url} is not an ITS_LIVE datacube: it has no variable {name!r}; check the path"
            )
        if not isinstance(array, zarr.Array):
            raise CubeError(f"{self.url} is not an ITS_LIVE datacube: {name!r} is not an array")
        return array


def _reopen(url: str, storage_options: dict[str, Any], cache_bytes: float, patience: float) -> Datacube:
    return open_cube(url, storage_options=storage_options, cache_bytes=cache_bytes, patience=patience)


def open_cube(
    path_or_url: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    cache_bytes: float = CACHE_BYTES,
    patience: float | None = None,
    cache: BlockCache | None = None,
) -> Datacube:
    """Open an ITS_LIVE datacube.

    Parameters
    ----------
    path_or_url : str or path
        A local Zarr folder, a zip archive of one, or a NetCDF file; or the URL of a Zarr folder (``https://``,
        ``s3://``). With the extra ``icechunk`` also a repository: its branch ``main``, or what an ending
        ``#branch=NAME``, ``#tag=NAME`` or ``#snapshot=ID`` names; the snapshot is part of the cube's ``url``.
    storage_options : mapping, optional
        Passed to fsspec, for instance ``{"client_kwargs": {"endpoint_url": ...}}``; ``s3://`` is read
        anonymously in us-west-2 unless told otherwise.
    cache_bytes : float
        Memory for blocks that were read [bytes].
    patience : float, optional
        Seconds after which a server that does not answer is given up; by default what the environment
        variable ``ITSLIVE_PATIENCE`` names, else 45.
    cache : BlockCache, optional
        Where they are kept instead: several cubes may share one.

    Returns
    -------
    Datacube

    Raises
    ------
    CubeError
        If it cannot be reached, is not a datacube, or lacks a variable.
    """
    cache = BlockCache(limit=cache_bytes) if cache is None else cache
    return Datacube(open_store(path_or_url, storage_options, patience), cache=cache)
