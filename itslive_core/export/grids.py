"""Somebody's own grid, and what the pixels of an area have to do with its cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from scipy.sparse import coo_array, csr_array, kron

from itslive_core.errors import SettingsError
from itslive_core.export.georeference import wkt_of
from itslive_core.places.geodesy import transformer

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["Grid", "Overlap", "read_grid"]

_REGULAR = 1e-4
"""Share of a cell by which its centre may be off a regular grid."""
_PARTS = 8
"""Parts of a pixel along each side that go to cells of another map."""
_MOST_CELLS = 1e8


@dataclass(frozen=True)
class Grid:
    """A regular grid on a map.

    Parameters
    ----------
    crs : str
        WKT.
    x, y : (float, float, int)
        Centre of the first cell, signed step, and number of cells along each axis, in units of the map.
    """

    crs: str
    x: tuple[float, float, int]
    y: tuple[float, float, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y[2], self.x[2]

    @cached_property
    def epsg(self) -> int:
        """EPSG code; 0 if it has none."""
        return int(pyproj.CRS.from_user_input(self.crs).to_epsg() or 0)

    @property
    def name(self) -> int | str:
        """What describes its map: the EPSG code, else the WKT."""
        return self.epsg or self.crs

    @property
    def columns(self) -> NDArray[np.float64]:
        """Centres along x."""
        return _centres(self.x)

    @property
    def rows(self) -> NDArray[np.float64]:
        """Centres along y."""
        return _centres(self.y)

    def cut(self, rows: slice, columns: slice) -> Grid:
        """Give a part of it."""
        x, y = (
            (first + step * own.start, step, own.stop - own.start)
            for (first, step, _), own in ((self.x, columns), (self.y, rows))
        )
        return Grid(self.crs, x, y)

    def around(self, other: Grid) -> tuple[slice, slice]:
        """Give the rows and columns that hold another grid, and a cell more.

        Raises
        ------
        SettingsError
            If there is none.
        """
        x, y = (np.linspace(-0.5, n - 0.5, 2 * n + 1) * step + first for first, step, n in (other.x, other.y))
        edge_x = np.concatenate([x, x, np.full(len(y), x[0]), np.full(len(y), x[-1])])
        edge_y = np.concatenate([np.full(len(x), y[0]), np.full(len(x), y[-1]), y, y])
        if not self.same_map(other):
            edge_x, edge_y = transformer(other.crs, self.crs).transform(edge_x, edge_y)
        slices = []
        for at, (first, step, n) in ((edge_y, self.y), (edge_x, self.x)):
            place = (at[np.isfinite(at)] - first) / step
            begin = max(int(np.floor(place.min(initial=np.inf) if len(place) else n)) - 1, 0)
            end = min(int(np.ceil(place.max(initial=-np.inf) if len(place) else -1)) + 2, n)
            if begin >= end:
                raise SettingsError("the grid does not lie on the area: give one that covers it")
            slices.append(slice(begin, end))
        return slices[0], slices[1]

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Grid:
        """Rebuild it from `to_dict`."""
        x, y = ((float(a), float(b), int(n)) for a, b, n in (known["x"], known["y"]))
        return cls(str(known["crs"]), x, y)

    def to_dict(self) -> dict[str, Any]:
        """Describe it as plain values."""
        return {"crs": self.crs, "x": list(self.x), "y": list(self.y)}

    def same_map(self, other: Grid) -> bool:
        """Tell whether both are on one map."""
        if self.epsg or other.epsg:
            return self.epsg == other.epsg
        return bool(pyproj.CRS.from_user_input(self.crs).equals(pyproj.CRS.from_user_input(other.crs)))


def _centres(axis: tuple[float, float, int]) -> NDArray[np.float64]:
    first, step, n = axis
    centres: NDArray[np.float64] = first + step * np.arange(n, dtype=np.float64)
    return centres


def read_grid(path: str | os.PathLike[str]) -> Grid:
    """Read the grid of a file: a GeoTIFF or another raster, or a NetCDF with x and y.

    Parameters
    ----------
    path : path

    Raises
    ------
    SettingsError
        If it has none that is regular and along the axes of a known map.
    """
    path = Path(path)
    if not path.exists():
        raise SettingsError(f"the grid {path} does not exist: name a GeoTIFF or a NetCDF file")
    try:
        grid = (
            _of_netcdf(path) if path.suffix.lower() in (".nc", ".nc4") or path.is_dir() else _of_raster(path)
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise SettingsError(
            f"the grid {path} cannot be read ({first}): name a GeoTIFF or a NetCDF"
        ) from error
    if grid.shape[0] * grid.shape[1] > _MOST_CELLS:
        raise SettingsError(f"the grid {path} has {grid.shape[0]:,} x {grid.shape[1]:,} cells: cut it first")
    return grid


def _of_raster(path: Path) -> Grid:
    import rasterio

    with rasterio.open(path) as file:
        a, turn, left, other, e, top = tuple(file.transform)[:6]
        if file.crs is None or file.transform.is_identity:
            raise SettingsError(f"the grid {path} does not say where it is: it needs a map projection")
        if turn or other:
            raise SettingsError(f"the grid {path} is turned against its map: give one along its axes")
        height, width = file.shape
        return Grid(file.crs.to_wkt(), (left + a / 2, a, width), (top + e / 2, e, height))


def _of_netcdf(path: Path) -> Grid:
    import xarray as xr

    engine: dict[str, Any] = {"engine": "zarr"} if path.is_dir() else {}
    with xr.open_dataset(path, decode_times=False, chunks=None, **engine) as ds:
        for names in (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing")):
            if all(name in ds.variables and ds[name].ndim == 1 for name in names):
                break
        else:
            raise SettingsError(f"the grid {path} has no axes x and y, or lon and lat")
        found = (wkt_of(ds, str(name)) for name in ds.data_vars)
        wkt = next((text for text in found if text is not None), None)
        if wkt is None and names[0] in ("lon", "longitude"):
            wkt = pyproj.CRS.from_epsg(4326).to_wkt()
        if wkt is None:
            raise SettingsError(
                f"the grid {path} does not name its map projection: a grid_mapping with crs_wkt is needed"
            )
        axes = [_axis(path, name, np.asarray(ds[name].values, dtype=np.float64)) for name in names]
        return Grid(wkt, axes[0], axes[1])


def _axis(path: Path, name: str, centres: NDArray[np.float64]) -> tuple[float, float, int]:
    n = len(centres)
    step = (centres[-1] - centres[0]) / (n - 1) if n > 1 else 0.0
    regular = centres[0] + step * np.arange(n)
    if n < 2 or not step or np.abs(centres - regular).max() > _REGULAR * abs(step):
        raise SettingsError(f"the axis {name} of the grid {path} is not regular, or has one cell")
    return float(centres[0]), float(step), n


@dataclass(frozen=True, eq=False)
class Overlap:
    """What the pixels of a source have to do with the cells of a grid.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (cells, pixels)
        Share of the area of each pixel that lies in each cell; of a finer grid 1 for the nearest pixel.
    rule : str
        ``"conservative"`` or ``"nearest"``.
    pixels_per_cell : ndarray, shape (cells,)
        Area of a cell over that of a pixel there.
    """

    matrix: csr_array
    rule: str
    pixels_per_cell: NDArray[np.float64]

    @classmethod
    def of(cls, source: Grid, grid: Grid) -> Overlap:
        """Find the pixels that make up each cell of a coarser grid, or the nearest of a finer one.

        On one map the areas are exact; else each pixel goes to the cells in 8 x 8 equal parts, by their
        centres, so that nothing of it is lost or counted twice.
        """
        middle = np.array([0.5]) * (np.array(grid.shape) - 1)
        cells = _cell_area(grid, source, middle)
        if cells <= 1.0001:
            return cls(_nearest(source, grid), "nearest", np.ones(grid.shape[0] * grid.shape[1]))
        if source.same_map(grid):
            along_x, along_y = _shares(source.x, grid.x), _shares(source.y, grid.y)
            matrix = csr_array(kron(along_y, along_x, format="csr"))
            return cls(matrix, "conservative", np.full(matrix.shape[0], cells))
        matrix = _parts(source, grid)
        return cls(matrix, "conservative", _cell_areas(grid, source))


def _shares(source: tuple[float, float, int], grid: tuple[float, float, int]) -> csr_array:
    """Give the share of each of n pixels in each of m cells along one axis, shape (m, n)."""
    (x0, dx, n), (g0, dg, m) = source, grid
    low = (x0 + dx * np.arange(n) - abs(dx) / 2 - (g0 - dg / 2)) / dg
    high = (x0 + dx * np.arange(n) + abs(dx) / 2 - (g0 - dg / 2)) / dg
    low, high = np.minimum(low, high), np.maximum(low, high)
    width = high - low
    rows, cols, data = [], [], []
    most = int(np.ceil(abs(dx / dg))) + 2
    first = np.floor(low).astype(np.int64)
    for k in range(most):
        cell = first + k
        share = np.clip(np.minimum(high, cell + 1.0) - np.maximum(low, cell), 0.0, None) / width
        keep = (share > 1e-12) & (cell >= 0) & (cell < m)
        rows.append(cell[keep])
        cols.append(np.flatnonzero(keep))
        data.append(share[keep])
    where = (np.concatenate(rows), np.concatenate(cols))
    return csr_array(coo_array((np.concatenate(data), where), shape=(m, n)))


def _parts(source: Grid, grid: Grid) -> csr_array:
    """Send equal parts of each pixel to cells of another map."""
    (ny, nx), (gy, gx) = source.shape, grid.shape
    to = transformer(source.crs, grid.crs)
    total: csr_array | None = None
    offsets = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    number = np.arange(ny * nx)
    for oy in offsets:
        for ox in offsets:
            x, y = np.meshgrid(source.columns + ox * source.x[1], source.rows + oy * source.y[1])
            at = to.transform(x.ravel(), y.ravel())
            col = np.floor((at[0] - grid.x[0]) / grid.x[1] + 0.5)
            row = np.floor((at[1] - grid.y[0]) / grid.y[1] + 0.5)
            keep = (row >= 0) & (row < gy) & (col >= 0) & (col < gx)  # also false for infinity
            cell = (row[keep] * gx + col[keep]).astype(np.int64)
            part = csr_array(
                coo_array((np.full(len(cell), _PARTS**-2.0), (cell, number[keep])), shape=(gy * gx, ny * nx))
            )
            total = part if total is None else total + part
    assert total is not None
    return total


def _nearest(source: Grid, grid: Grid) -> csr_array:
    """Find the pixel whose centre is nearest to each cell's; none for cells off the source."""
    (ny, nx), (gy, gx) = source.shape, grid.shape
    x, y = np.meshgrid(grid.columns, grid.rows)
    own_x, own_y = x.ravel(), y.ravel()
    if not source.same_map(grid):
        own_x, own_y = transformer(grid.crs, source.crs).transform(own_x, own_y)
    col = np.floor((own_x - source.x[0]) / source.x[1] + 0.5)
    row = np.floor((own_y - source.y[0]) / source.y[1] + 0.5)
    keep = (row >= 0) & (row < ny) & (col >= 0) & (col < nx)
    pixel = (row[keep] * nx + col[keep]).astype(np.int64)
    where = (np.flatnonzero(keep), pixel)
    return csr_array(coo_array((np.ones(len(pixel)), where), shape=(gy * gx, ny * nx)))


def _cell_area(grid: Grid, source: Grid, at: NDArray[np.float64]) -> float:
    """Give the area of a cell at a row and column over that of a pixel, on the map of the source."""
    if source.same_map(grid):
        return abs(grid.x[1] * grid.y[1] / (source.x[1] * source.y[1]))
    row, col = at
    x = grid.x[0] + grid.x[1] * (col + np.array([-0.5, 0.5, 0.5, -0.5]))
    y = grid.y[0] + grid.y[1] * (row + np.array([-0.5, -0.5, 0.5, 0.5]))
    a, b = transformer(grid.crs, source.crs).transform(x, y)
    area = 0.5 * abs(np.dot(a, np.roll(b, 1)) - np.dot(b, np.roll(a, 1)))
    return float(area / abs(source.x[1] * source.y[1]))


def _cell_areas(grid: Grid, source: Grid) -> NDArray[np.float64]:
    """Give the area of every cell over that of a pixel, on the map of the source, shape (cells,)."""
    x = grid.x[0] + grid.x[1] * (np.arange(grid.x[2] + 1) - 0.5)
    y = grid.y[0] + grid.y[1] * (np.arange(grid.y[2] + 1) - 0.5)
    corners = np.meshgrid(x, y)
    a, b = (
        np.reshape(of, corners[0].shape)
        for of in transformer(grid.crs, source.crs).transform(*(one.ravel() for one in corners))
    )
    diagonals = [
        (of[1:, 1:] - of[:-1, :-1], of[1:, :-1] - of[:-1, 1:]) for of in (np.asarray(a), np.asarray(b))
    ]
    (x1, x2), (y1, y2) = diagonals
    area: NDArray[np.float64] = 0.5 * np.abs(x1 * y2 - x2 * y1) / abs(source.x[1] * source.y[1])
    return area.ravel()
