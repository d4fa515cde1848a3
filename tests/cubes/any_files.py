"""Makers of small files as people have them, right and wrong, for `test_any_file`."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr
import zarr
from pyproj import CRS

from itslive_core.cli import run
from tests.reading import write_arrays

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N, NY, NX = 6, 4, 3
X, Y = 700_052.5 + 120.0 * np.arange(NX), 3_399_947.5 - 120.0 * np.arange(NY)
START = 18_000.0 + 10.0 * np.arange(N)
HOLE = -32_767
VX = (80.0 + 10.0 * np.arange(N))[:, None, None] + np.arange(NY * NX).reshape(NY, NX)
"""What is to be read [m/yr]; vy is its negative."""


def cube(path: Path, edit: Callable[[zarr.Group], None] | None = None, **changes: Any) -> Path:
    """Write a small cube in format 2, with whole numbers, and change it."""
    given: dict[str, Any] = {"start": START, "velocity_attributes": {"missing_value": HOLE}}
    vx = changes.pop("vx", VX.astype(np.int16))
    write_arrays(path, vx, changes.pop("vy", -vx), **(given | changes))
    if edit is not None:
        edit(zarr.open_group(path, mode="r+"))
    return path


def in_units(units: str, factor: float) -> Callable[[Path], Path]:
    """Velocities as numbers of another unit: ``factor`` m/yr each."""
    return lambda p: cube(p, vx=VX / factor, velocity_attributes={"units": units})


def attributes(name: str, **values: Any) -> Callable[[Path], Path]:
    return lambda p: cube(p, lambda g: g[name].attrs.update(values))


def replaced(name: str, values: np.ndarray, dims: tuple[str, ...] = ("mid_date",), **attrs: Any) -> Callable:
    def edit(group: zarr.Group) -> None:
        if name in group:
            del group[name]
        array = group.create_array(name, shape=values.shape, dtype=values.dtype)
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": list(dims), **attrs})

    return edit


def with_array(
    name: str, values: Any, dims: tuple[str, ...] = ("mid_date",), **attrs: Any
) -> Callable[[Path], Path]:
    return lambda p: cube(p, replaced(name, np.asarray(values), dims, **attrs))


def of_two(*edits: Callable[[zarr.Group], None]) -> Callable[[Path], Path]:
    return lambda p: cube(p, lambda g: [edit(g) for edit in edits])


def without_dates(group: zarr.Group) -> None:
    del group["acquisition_date_img1"], group["acquisition_date_img2"]


def dates(first: Any, second: Any, **attrs: Any) -> Callable[[Path], Path]:
    return of_two(
        replaced("acquisition_date_img1", np.asarray(first), **attrs),
        replaced("acquisition_date_img2", np.asarray(second), **attrs),
    )


def moved(
    first: dict[int, float] | None = None, second: dict[int, float] | None = None
) -> Callable[[Path], Path]:
    """Dates of which some are others."""
    start, end = START.copy(), START + 16.0
    for array, changes in ((start, first or {}), (end, second or {})):
        for row, day in changes.items():
            array[row] = day
    return dates(start, end)


def texts(form: str) -> Callable[[Path], Path]:
    stamps = [pd.Timestamp("1970-01-01") + pd.to_timedelta(START + d, unit="D") for d in (0.0, 16.0)]
    return dates(*([f"{t:{form}}" for t in stamp] for stamp in stamps))


def projected(crs: Any, *, projection: str | None = None, **mapping: Any) -> Callable[[Path], Path]:
    """A grid mapping that vx names, beside the attribute ``projection``."""
    words = {"crs_wkt": CRS.from_user_input(crs).to_wkt()} if crs is not None else {}

    def edit(group: zarr.Group) -> None:
        replaced("where", np.array(0), (), **words, **mapping)(group)
        group["vx"].attrs["grid_mapping"] = "where"
        if projection is None:
            del group.attrs["projection"]
        else:
            group.attrs["projection"] = projection

    return lambda p: cube(p, edit)


def own(dims: tuple[str, ...] = ("mid_date", "y", "x"), **changes: Any) -> xr.Dataset:
    """A dataset of one's own: velocities, middle and length of each pair, axes and a grid mapping."""
    words = {"grid_mapping": "spatial_ref", "units": "m/yr"}
    ds = xr.Dataset(
        {
            "vx": (("mid_date", "y", "x"), VX.astype(np.float32), words),
            "vy": (("mid_date", "y", "x"), -VX.astype(np.float32), words),
            "date_dt": ("mid_date", np.full(N, 16.0), {"units": "days"}),
            "spatial_ref": ((), 0, {"crs_wkt": CRS.from_epsg(32646).to_wkt()}),
        },
        coords={
            "mid_date": ("mid_date", (np.datetime64(0, "us") + ((START + 8.0) * 86_400e6).astype("m8[us]"))),
            "x": ("x", X, {"units": "m"}),
            "y": ("y", Y, {"units": "m"}),
        },
    )
    ds["vx"], ds["vy"] = ds["vx"].transpose(*dims), ds["vy"].transpose(*dims)
    return ds.assign(**changes)


def netcdf(*, format: Any = "NETCDF4", encoding: Any = None, **how: Any) -> Callable[[Path], Path]:  # noqa: A002 - xarray's name
    def make(path: Path) -> Path:
        file = path.with_suffix(".nc")
        packed = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": HOLE, **(encoding or {})}
        own(**how).to_netcdf(file, format=format, encoding=dict.fromkeys(("vx", "vy"), packed))
        return file

    return make


def own_zarr(zarr_format: Any, **how: Any) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        own(**how).to_zarr(path, zarr_format=zarr_format, consolidated=zarr_format == 2)
        return path

    return make


def zipped(*folders: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        cube(path)
        file = path.with_suffix(".zip")
        with zipfile.ZipFile(file, "w") as archive:
            for folder in folders:
                for one in sorted(path.rglob("*")):
                    if one.is_file():
                        archive.write(one, f"{folder}{one.relative_to(path)}")
        return file

    return make


def text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        file = path.with_name(name)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return make


def folder(*inside: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        for name in ("", *inside):
            (path / name).mkdir(parents=True, exist_ok=True)
        return path

    return make


def metadata(file: str, **changes: Any) -> Callable[[Path], Path]:
    """A cube with a document of which some entries are others."""

    def make(path: Path) -> Path:
        document = cube(path) / file
        document.write_text(json.dumps({**json.loads(document.read_text()), **changes}))
        return path

    return make


def document(file: str, content: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        (cube(path) / file).write_text(content)
        return path

    return make


def spoilt(name: str, content: bytes) -> Callable[[Path], Path]:
    """A cube of which a chunk has another content."""

    def make(path: Path) -> Path:
        cube(path)
        next(one for one in (path / name).iterdir() if not one.name.startswith(".")).write_bytes(content)
        return path

    return make


def granule(path: Path) -> Path:
    file = path.with_suffix(".nc")
    ds = own().isel(mid_date=0)[["vx", "vy", "spatial_ref"]]
    ds.attrs.update(latitude=29.92, longitude=95.97)
    ds.to_netcdf(file)
    return file


def characters(path: Path) -> Path:
    """NetCDF with text as characters, and default fill values in the place of what was never written."""
    file = path.with_suffix(".nc")
    with netCDF4.Dataset(file, "w", format="NETCDF3_CLASSIC") as ds:
        for name, size in (("t", N), ("y", NY), ("x", NX), ("width", 10)):
            ds.createDimension(name, size)
        for name, sign in (("vx", 1), ("vy", -1)):
            variable = ds.createVariable(name, "i2", ("t", "y", "x"))
            variable.units = "m/yr"
            variable[1:] = sign * VX[1:]
        for name, values in (("x", X), ("y", Y)):
            ds.createVariable(name, "f8", (name,))[:] = values
        for name, ahead in (("date1", 0.0), ("date2", 16.0)):
            days = np.datetime_as_string((START + ahead).astype("M8[D]"))
            ds.createVariable(name, "S1", ("t", "width"))[:] = days.astype("S10").view("S1").reshape(N, 10)
        ds.projection = 32646
    return file


def rise(shape: int) -> str:
    return "[" * shape + "]" * shape


def pixel(path: Any, out: Path) -> int:
    return run(["pairs", str(path), "--x", str(X[1] + 3.0), "--y", str(Y[2] - 3.0), "-o", str(out)])
