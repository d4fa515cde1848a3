"""How `tests.tiny_cube` puts a tiny cube on disk."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import zarr
from pyproj import CRS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.tiny_cube import CubeOptions

__all__ = ["drop_chunk", "write_arrays"]

GARBAGE = 12_321
"""What stands in the padding of edge chunks where it is not the missing value."""

_NEVER = np.iinfo(np.int64).min
_SENSORS = {"1": "C", "2": "MSI", "4": "T", "5": "T", "7": "E", "8": "C", "9": "C"}


def _misspelt(o: CubeOptions, names: NDArray[np.str_]) -> NDArray[Any]:
    landsat = np.char.isdigit(names)
    match o.codes:
        case "dotted":
            return np.where(landsat, np.char.add(names, "."), names)
        case "decimal":
            return np.where(landsat, np.char.add(names, ".0"), names)
        case "padded":
            return np.char.ljust(names, 4)
        case "cut":
            return names.astype("<U1")
        case "number":
            return names.astype(np.float64)
        case _:
            return names


def write_arrays(
    path: Path,
    o: CubeOptions,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    swapped: NDArray[np.bool_],
    names: list[NDArray[np.str_]],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    errors: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Write all arrays; dates are in the right order, and `swapped` ones are stored the other way round."""
    group = zarr.create_group(path, zarr_format=o.zarr_format, attributes=_global_attributes(o))
    n, time = o.n_pairs, (o.time_dim,)
    first, second = np.where(swapped, end, start), np.where(swapped, start, end)
    centre = 0.5 * (start + end)
    date = {"units": o.units, "calendar": "proleptic_gregorian"}
    put = _Writer(group, o)
    put("acquisition_date_img1", _encoded(first, o.units), time, attributes=date)
    put("acquisition_date_img2", _encoded(second, o.units), time, attributes=date)
    put("date_center", _encoded(centre, o.units), time, attributes=date)
    # The successor of mid_date is unique by construction, mid_date is not.
    label = centre + (1e-3 / 86_400.0 * np.arange(n) if o.time_dim == "time" else 0.0)
    label_chunk = o.label_chunk or max(1, n // 11)
    put(o.time_dim, _encoded(label, o.units), time, chunks=(label_chunk,), attributes=date)
    put("date_dt", np.abs(end - start).astype(np.float32), time, attributes={"units": "days"})
    url = np.array([f"https://synthetic.invalid/{i:05d}.nc" for i in range(n)], dtype="<U128")
    put("granule_url", url, time, chunks=(max(1, n // 11),))
    for image, codes in enumerate(names, start=1):
        spelt = _misspelt(o, codes)
        put(f"satellite_img{image}", spelt, time)
        put(f"mission_img{image}", np.where(np.char.str_len(codes) == 2, "S", "L").astype("<U1"), time)
        put(f"sensor_img{image}", np.array([_SENSORS.get(c[:1], "") for c in codes], dtype="<U3"), time)
    if o.errors != "absent":
        put("vx_error", errors[0].astype(np.float32), time, fill=-32_767.0)
        put("vy_error", errors[1].astype(np.float32), time, fill=-32_767.0)
    put("x", x, ("x",), chunks=(o.tile,), attributes={"standard_name": "projection_x_coordinate"})
    put("y", y, ("y",), chunks=(o.tile,), attributes={"standard_name": "projection_y_coordinate"})
    put("landice", np.ones((o.rows, o.cols), dtype=np.uint8), ("y", "x"), attributes={"missing_value": 255})
    put(
        "floatingice",
        np.zeros((o.rows, o.cols), dtype=np.uint8),
        ("y", "x"),
        attributes={"missing_value": 255},
    )
    speed = np.hypot(vx, vy)
    put.images("vx", vx)
    put.images("vy", vy)
    put.images("v", np.rint(speed))
    put.images("v_error", np.where(np.isfinite(speed), 5.0, np.nan))
    put("interp_mask", (speed > 1e9).astype(np.uint8), (*time, "y", "x"), chunks=o.chunks)
    if o.radar:
        radar = np.char.startswith(names[0], "1")[:, None, None]
        put.images("va", np.where(radar, vy, np.nan))
        put.images("vr", np.where(radar, vx, np.nan))
    _write_mapping(group, o, x, y)
    if o.consolidated:
        zarr.consolidate_metadata(group.store)


class _Writer:
    """Writes arrays of one cube."""

    def __init__(self, group: zarr.Group, options: CubeOptions) -> None:
        self.group, self.options = group, options

    def __call__(
        self,
        name: str,
        values: NDArray[Any],
        dims: tuple[str, ...],
        *,
        chunks: tuple[int, ...] | None = None,
        fill: float | None = None,
        attributes: dict[str, Any] | None = None,
        padding: float | None = None,
    ) -> None:
        o = self.options
        if name in o.without:
            return
        if fill is None and values.dtype.kind == "f":
            fill = float("nan")
        line = (o.line_chunk,) if o.line_chunk and dims == (o.time_dim,) else values.shape
        chunks = chunks or line
        shape = values.shape
        stored: NDArray[Any] = values
        if padding is not None:
            # Chunks are written whole, garbage and all; the right shape is put into the metadata afterwards.
            whole = tuple(-(-size // chunk) * chunk for size, chunk in zip(shape, chunks))
            stored = np.full(whole, padding, dtype=values.dtype)
            stored[tuple(slice(size) for size in shape)] = values
        meta: dict[str, Any] = {"attributes": {**(attributes or {})}}
        if o.zarr_format == 2:
            meta["attributes"]["_ARRAY_DIMENSIONS"] = list(dims)
            meta["fill_value"] = fill
            meta["compressors"] = numcodecs.Blosc(cname="zlib", clevel=2, shuffle=1)
        else:
            meta["dimension_names"] = dims
            if fill is not None:
                meta["fill_value"] = fill
            if values.ndim == 3 and o.shards is not None:
                meta["shards"] = o.shards
        dtype: Any = stored.dtype
        if o.codes == "object" and name.startswith("satellite"):
            dtype = str
        array = self.group.create_array(
            name, shape=stored.shape, dtype=dtype, chunks=chunks, config={"write_empty_chunks": True}, **meta
        )
        array[...] = stored
        if padding is not None:
            _set_shape(Path(str(self.group.store_path.store.root)), name, shape)

    def images(self, name: str, values: NDArray[np.float64]) -> None:
        """Write a velocity, with its missing values marked as the options say."""
        o = self.options
        attributes: dict[str, Any] = {"grid_mapping": "mapping", "units": "meter/year"}
        dims = (o.time_dim, "y", "x")
        padding = float(GARBAGE) if o.edge_garbage else None
        if o.velocity == "float32":
            self(
                name, values.astype(np.float32), dims, chunks=o.chunks, attributes=attributes, padding=padding
            )
            return
        if o.marked_by in ("missing_value", "both"):
            attributes["missing_value"] = o.missing
        if o.marked_by in ("_FillValue", "both"):
            attributes["_FillValue"] = o.missing
        fill = (
            o.missing
            if o.marked_by == "fill_value" or (o.zarr_format == 3 and o.marked_by != "nothing")
            else None
        )
        stored = np.where(np.isfinite(values), values, o.missing).astype(np.int16)
        self(name, stored, dims, chunks=o.chunks, fill=fill, attributes=attributes, padding=padding)


def _encoded(days: NDArray[np.float64], units: str) -> NDArray[Any]:
    """Days since 1970 in other units; nanoseconds are stored as integers, with NaT where missing."""
    unit, _, since = units.partition(" since ")
    epoch = np.datetime64(since.replace(" ", "T")) - np.datetime64("1970-01-01")
    shifted = days - epoch / np.timedelta64(1, "D")
    scale = {"days": 1.0, "hours": 24.0, "seconds": 86_400.0, "nanoseconds": 86_400e9}[unit]
    if unit != "nanoseconds":
        return shifted * scale
    known = np.isfinite(shifted)
    return np.where(
        known, np.rint(np.where(known, shifted, 0.0) * 86_400e3).astype(np.int64) * 1_000_000, _NEVER
    )


def _global_attributes(o: CubeOptions) -> dict[str, Any]:
    attributes = {
        "Conventions": "CF-1.8",
        "author": "ITS_LIVE, a NASA MEaSUREs project (its-live.jpl.nasa.gov)",
        "date_created": "25-Sep-2023 22:00:23",
        "date_updated": "13-Nov-2024 00:08:07",
        "title": "ITS_LIVE datacube of image pair velocities",
        "url": "https://its-live-data.s3.amazonaws.com/datacubes/v2/N30E090/not_this_one.zarr",
    }
    if o.crs in ("everywhere", "attribute"):
        attributes["projection"] = str(o.epsg)
    return attributes


def _write_mapping(group: zarr.Group, o: CubeOptions, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    if "mapping" in o.without or o.crs in ("attribute", "none"):
        return
    crs = CRS.from_epsg(o.epsg)
    step = float(y[1] - y[0]) if y.size > 1 else -120.0
    attributes: dict[str, Any] = {"GeoTransform": f"{x[0] - 60.0} 120.0 0.0 {y[0] - step / 2} 0.0 {step}"}
    if o.crs in ("everywhere", "epsg"):
        attributes["spatial_epsg"] = o.epsg
    if o.crs in ("everywhere", "proj4"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attributes["proj4text"] = crs.to_proj4()
    if o.crs in ("everywhere", "wkt", "spatial_ref"):
        attributes["crs_wkt"] = crs.to_wkt("WKT1_GDAL")
    if o.zarr_format == 2:
        attributes["_ARRAY_DIMENSIONS"] = []
    name = "spatial_ref" if o.crs == "spatial_ref" else "mapping"
    array = group.create_array(name, shape=(), dtype="int64", attributes=attributes, compressors=None)
    array[...] = 0


def _metadata(path: Path, name: str) -> Path:
    old = path / name / ".zarray"
    return old if old.exists() else path / name / "zarr.json"


def _set_shape(path: Path, name: str, shape: tuple[int, ...]) -> None:
    file = _metadata(path, name)
    content = json.loads(file.read_text("utf-8"))
    content["shape"] = list(shape)
    file.write_text(json.dumps(content), "utf-8")


def drop_chunk(
    path: Path, o: CubeOptions, name: str, chunk: tuple[int, int, int], values: NDArray[np.float64]
) -> None:
    """Remove a chunk from disk, and its values from what should be read."""
    key = ".".join(map(str, chunk)) if o.zarr_format == 2 else "c/" + "/".join(map(str, chunk))
    (path / name / key).unlink()
    size = o.shards or o.chunks
    values[tuple(slice(k * s, (k + 1) * s) for k, s in zip(chunk, size))] = np.nan
