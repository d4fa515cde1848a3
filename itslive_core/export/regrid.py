"""The estimates of an area on somebody's own grid.

On coarser cells the components of the velocity are means weighted with areas: vectors are turned to the axes
of the new map first, and the speed is taken last, from the mean vector. What pixels beside each other have in
common, such as the images and the windows in which features are matched, errs together, and by how much is
not known: the standard deviation of a cell is the mean of those of its pixels, as if all erred as one, and so
never too small. ``area_fraction`` says how much of a cell has an estimate: weighted with it, the mean over
all cells is that of all pixels.

On finer cells, or on those of the same size, each takes the whole series of the nearest pixel, as where cubes
of several zones meet: interpolating would make up what nobody observed, with errors that nobody knows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from scipy.sparse import csr_array

from itslive_core.errors import OutputError
from itslive_core.export.files import AREA_SUFFIXES, check_output
from itslive_core.export.georeference import wkt_of
from itslive_core.export.geotiff import write_area
from itslive_core.export.grids import Grid, Overlap
from itslive_core.places.geodesy import transformer
from itslive_core.series import derived_columns, grid_mapping, speed_and_std
from itslive_core.series.quality import FLAGS
from itslive_core.series.turning import is_lonlat, north_of_axes, turn_between, turned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["regrid_store", "write_area_like"]

_BYTES = 64e6
"""What the pixels of a strip of cells may take for one variable."""
_COARSE_PLANES = ("n_pairs_used", "mean_speed", "mean_speed_std", "trend", "trend_std", "smoothing_used")
"""Variables without time that have a mean: days and amplitudes of seasons that differ do not."""
_LINES = ("time", "time_bnds")
_WORDS = {
    "conservative": "means of pixels, weighted with areas; standard deviations as if pixels erred together",
    "nearest": "each cell has the series of the nearest pixel",
}


def write_area_like(store: str | os.PathLike[str], grid: Grid, path: str | os.PathLike[str]) -> str:
    """Write an area on somebody's own grid, as NetCDF, GeoTIFF or Zarr.

    Parameters
    ----------
    store : path
        A finished Zarr store of a job; the resampled one is made beside it.
    grid : Grid
        From `itslive_core.export.read_grid`.
    path : path
        Ends in ``.nc``, ``.tif`` or ``.zarr``.

    Returns
    -------
    str
        How it was brought there, in words.

    Raises
    ------
    OutputError
        If it cannot be written, or the Zarr store is there already.
    """
    path = check_output(path, AREA_SUFFIXES)
    between = Path(store).with_name("like.zarr")
    rule = regrid_store(store, grid, between)
    if path.suffix.lower() == ".zarr":
        if path.is_dir() and any(path.iterdir()):
            raise OutputError(f"{path} is there already: remove it, or choose another name")
        if path.is_dir():
            path.rmdir()
        between.rename(path)
    else:
        write_area(between, path)
    return f"On the grid: {_WORDS[rule]}"


def regrid_store(store: str | os.PathLike[str], grid: Grid, out: str | os.PathLike[str]) -> str:
    """Write the store of an area on another grid, strip by strip.

    Parameters
    ----------
    store : path
        A finished Zarr store of a job.
    grid : Grid
    out : path
        The new store (Zarr format 2); what is there is replaced.

    Returns
    -------
    str
        The rule, ``"conservative"`` or ``"nearest"``.

    Raises
    ------
    SettingsError
        If the grid does not lie on the area.
    OutputError
        If the disk refuses.
    """
    import xarray as xr

    group = zarr.open_group(os.fspath(store), mode="r", zarr_format=2, use_consolidated=False)
    with xr.open_zarr(os.fspath(store), chunks=None, consolidated=False) as ds:
        wkt = wkt_of(ds)
        if wkt is None:
            raise OutputError(f"{store} does not say on which map it is")
        axes = [_line(ds[name].values) for name in ("x", "y")]
    source = Grid(wkt, axes[0], axes[1])
    rows, columns = grid.around(source)
    inner = grid.cut(rows, columns)
    overlap = Overlap.of(source, inner)
    try:
        made = _create(group, grid, os.fspath(out), overlap.rule)
        work = _Strips(group, made, source, inner, overlap, (rows.start, columns.start))
        n_times = group["v"].shape[0]  # type: ignore[union-attr]
        high = max(1, int(_BYTES / (8 * max(n_times, 1) * source.shape[1])))
        strip = max(1, int(high * abs(source.y[1] / inner.y[1]))) if source.same_map(inner) else 16
        for begin in range(0, inner.shape[0], strip):
            work.write(begin, min(begin + strip, inner.shape[0]))
        zarr.consolidate_metadata(os.fspath(out), zarr_format=2)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror or error}") from error
    return overlap.rule


def _line(centres: NDArray[np.float64]) -> tuple[float, float, int]:
    step = float(centres[1] - centres[0]) if len(centres) > 1 else 120.0
    return float(centres[0]), step, len(centres)


def _create(group: zarr.Group, grid: Grid, out: str, rule: str) -> zarr.Group:
    """Make the new store with all its arrays."""
    made = zarr.open_group(out, mode="w", zarr_format=2)
    recipe = json.loads(str(group.attrs["recipe"]))
    recipe["options"]["like"] = grid.to_dict()
    known = {name: value for name, value in group.attrs.items() if name != "job"}
    made.attrs.update({**known, "recipe": json.dumps(recipe), "resampling": _WORDS[rule]})
    n_times = group["v"].shape[0]  # type: ignore[union-attr]
    height, width = (min(n, 64) for n in grid.shape)

    def add(
        name: str, shape: tuple[int, ...], dtype: Any, attributes: Mapping[str, Any], fill: Any
    ) -> zarr.Array:
        chunks = (*(max(n, 1) for n in shape[:-2]), height, width)[-len(shape) :] if shape else ()
        if len(shape) == 1 or (len(shape) == 2 and name == "time_bnds"):
            chunks = tuple(max(n, 1) for n in shape)
        return made.create_array(
            name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, attributes=dict(attributes)
        )

    for name in _wanted(group, rule):
        array = cast("zarr.Array", group[name])
        fill = np.nan if array.dtype.kind == "f" else None
        add(name, (*array.shape[:-2], *grid.shape), array.dtype, array.attrs.asdict(), fill)
    words = {
        "long_name": "share of the cell that has an estimate",
        "units": "1",
        "grid_mapping": "mapping",
        "_ARRAY_DIMENSIONS": ["time", "y", "x"],
    }
    if rule == "conservative":
        add("area_fraction", (n_times, *grid.shape), "float32", words, np.nan)
    for name in _LINES:
        array = cast("zarr.Array", group[name])
        add(name, array.shape, array.dtype, array.attrs.asdict(), np.nan)[...] = array[...]
    degrees = is_lonlat(grid.crs)
    for name, values in (("x", grid.columns), ("y", grid.rows)):
        words = {"units": "m", "standard_name": f"projection_{name}_coordinate", "axis": name.upper()}
        if degrees:
            long = {"x": "longitude", "y": "latitude"}[name]
            words |= {"units": {"x": "degrees_east", "y": "degrees_north"}[name], "standard_name": long}
        words["_ARRAY_DIMENSIONS"] = [name]
        add(name, values.shape, "float64", words, np.nan)[:] = values
    add("mapping", (), "int32", {**grid_mapping(grid.name), "_ARRAY_DIMENSIONS": []}, None)
    return made


def _wanted(group: zarr.Group, rule: str) -> list[str]:
    """Name the variables with y and x that the new store has."""
    names = [name for name, array in group.arrays() if array.ndim >= 2 and name != "time_bnds"]
    planes = [name for name in names if group[name].ndim == 2]  # type: ignore[union-attr]
    left_out = set(planes) - set(_COARSE_PLANES) if rule == "conservative" else set()
    return [name for name in names if name not in left_out]


class _Strips:
    """Cells in strips of whole rows, and the pixels that they need."""

    def __init__(
        self,
        group: zarr.Group,
        made: zarr.Group,
        source: Grid,
        inner: Grid,
        overlap: Overlap,
        corner: tuple[int, int],
    ) -> None:
        self.group, self.made, self.source, self.inner = group, made, source, inner
        self.overlap, self.corner = overlap, corner
        self.names = _wanted(group, overlap.rule)

    def write(self, begin: int, end: int) -> None:
        """Write the cells of some rows."""
        width = self.inner.shape[1]
        matrix = self.overlap.matrix[begin * width : end * width]
        columns = np.unique(matrix.indices)
        if not len(columns):
            return
        row, col = np.divmod(columns, self.source.shape[1])
        window = slice(int(row.min()), int(row.max()) + 1), slice(int(col.min()), int(col.max()) + 1)
        high, wide = window[0].stop - window[0].start, window[1].stop - window[1].start
        # The same matrix, of the pixels of the window only.
        own = matrix.tocoo()
        r, c = np.divmod(own.coords[1], self.source.shape[1])
        at = (r - window[0].start) * wide + c - window[1].start
        small = csr_array((own.data, (own.coords[0], at)), shape=(matrix.shape[0], high * wide))
        pixels = {
            name: np.asarray(self.group[name][(..., *window)]).reshape(-1, high * wide)  # type: ignore[index]
            for name in self.names
        }
        pixels |= turned(pixels, self._turn(window))
        if self.overlap.rule == "nearest":
            found = self._nearest(small, pixels)
        else:
            found = self._means(small, pixels, self.overlap.pixels_per_cell[begin * width : end * width])
        found |= self._derived(found, begin, end)
        rows = slice(self.corner[0] + begin, self.corner[0] + end)
        cols = slice(self.corner[1], self.corner[1] + width)
        for name, values in found.items():
            if name in self.made:
                array = cast("zarr.Array", self.made[name])
                shaped = values.reshape(*array.shape[:-2], end - begin, width)
                array[..., rows, cols] = shaped.astype(array.dtype)

    def _turn(self, window: tuple[slice, slice]) -> NDArray[np.float64] | float:
        if self.source.same_map(self.inner):
            return 0.0
        x, y = np.meshgrid(self.source.columns[window[1]], self.source.rows[window[0]])
        at = x.ravel(), y.ravel()
        to = transformer(self.source.crs, self.inner.crs).transform(*at)
        return turn_between(self.source.crs, at, self.inner.crs, to)

    def _derived(self, found: Mapping[str, NDArray[Any]], begin: int, end: int) -> dict[str, NDArray[Any]]:
        """Give what follows from the vectors on the new map."""
        x, y = np.meshgrid(self.inner.columns, self.inner.rows[begin:end])
        return derived_columns(found, north_of_axes(self.inner.crs, x.ravel(), y.ravel()))

    @staticmethod
    def _nearest(matrix: csr_array, pixels: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Let each cell take the values of its pixel."""
        has = np.diff(matrix.indptr) > 0
        out = {}
        for name, values in pixels.items():
            missing = np.nan if values.dtype.kind == "f" else 0
            out[name] = np.full((len(values), matrix.shape[0]), missing, dtype=values.dtype)
            out[name][:, has] = values[:, matrix.indices]
        return out

    @staticmethod
    def _means(
        matrix: csr_array, pixels: Mapping[str, NDArray[Any]], pixels_per_cell: NDArray[np.float64]
    ) -> dict[str, NDArray[Any]]:
        """Average pixels, cell by cell and time by time, over those that have an estimate."""
        known = np.isfinite(pixels["v"])
        area = (matrix @ known.T.astype(np.float64)).T
        some = area > 0.0

        def mean(
            values: NDArray[Any], of: NDArray[np.bool_], total: NDArray[np.float64]
        ) -> NDArray[np.float64]:
            summed = (matrix @ np.where(of, values, 0.0).T.astype(np.float64)).T
            return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0.0)

        out: dict[str, NDArray[Any]] = {}
        for name in ("vx", "vy", "vx_std", "vy_std"):
            if name in pixels:
                out[name] = mean(pixels[name], known, area)
        v, v_std = speed_and_std(out["vx"], out["vy"], out.get("vx_std"), out.get("vy_std"))
        out["v"] = v
        if v_std is not None:
            out["v_std"] = v_std
        inside = np.isfinite(pixels["n_pairs_used"]) & (pixels["n_pairs_used"] > 0)
        of_pixels = (matrix @ inside.T.astype(np.float64)).T
        for name in ("coverage", "n_pairs"):
            values = mean(
                pixels[name], np.broadcast_to(inside, known.shape), np.broadcast_to(of_pixels, area.shape)
            )
            out[name] = values if name == "coverage" else np.rint(np.nan_to_num(values))
        out["quality"] = np.zeros(area.shape, dtype=np.int16)
        for bit in range(len(FLAGS)):
            has = known & ((pixels["quality"] & (1 << bit)) != 0)
            all_have = area * (1.0 - 1e-9) <= (matrix @ has.T.astype(np.float64)).T
            out["quality"] |= (all_have & some).astype(np.int16) << bit
        for name in _COARSE_PLANES:
            if name in pixels:
                values = pixels[name].astype(np.float64)
                there = np.isfinite(values) & inside
                total = (matrix @ there.T.astype(np.float64)).T
                found = mean(values, there, total)
                out[name] = np.rint(np.nan_to_num(found)) if name == "n_pairs_used" else found
        out["area_fraction"] = area / pixels_per_cell
        return out
