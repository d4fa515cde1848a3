"""One cube in many forms: the formats, layouts and containers in which people have them."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numcodecs
import xarray as xr
import zarr

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMS", "NEEDED", "copy_arrays", "write_form"]

FORMS = ("format 2", "format 3", "shards", "netcdf", "zip", "icechunk")
NEEDED = (
    *("vx", "vy", "vx_error", "vy_error", "satellite_img1", "satellite_img2", "x", "y", "mapping"),
    *("acquisition_date_img1", "acquisition_date_img2"),
)
"""Arrays that a series is made of."""
SHARDS = (20_000, 64, 64)
CHUNKS = (20_000, 8, 8)
"""As the next generation is made."""


def copy_arrays(source: zarr.Group, target: zarr.Group, *, where: Any = ..., sharded: bool = False) -> None:
    """Copy what a series is made of into a group of either format.

    Parameters
    ----------
    source, target : zarr.Group
    where : index, optional
        Part of vx and vy that is copied, with its layers, rows and columns; by default all of it.
    sharded : bool
        Put vx and vy into shards (format 3).
    """
    target.attrs.update(dict(source.attrs))
    parts = {} if where is ... else dict(zip(("mid_date", "y", "x"), where))
    for name in NEEDED:
        array = source[name]
        attributes = dict(array.attrs)
        dims = tuple(attributes.pop("_ARRAY_DIMENSIONS", ()))
        values = array[tuple(parts.get(dim, slice(None)) for dim in dims)]
        more: dict[str, Any] = {"fill_value": array.fill_value}
        if values.ndim == 3:
            more["chunks"] = CHUNKS
            if target.metadata.zarr_format == 2:
                more["compressors"] = numcodecs.Blosc("lz4", 5, numcodecs.Blosc.BITSHUFFLE)
            else:
                more["fill_value"] = -32_767
                more["compressors"] = zarr.codecs.BloscCodec(
                    cname="lz4", clevel=5, shuffle="bitshuffle", typesize=values.dtype.itemsize
                )
            if sharded:
                more["shards"] = SHARDS
        elif values.ndim:
            more["chunks"] = values.shape
        if target.metadata.zarr_format == 3:
            more["dimension_names"] = dims
        else:
            attributes["_ARRAY_DIMENSIONS"] = list(dims)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # format 3 has no agreed form of fixed-length text yet
            array = target.create_array(
                name, shape=values.shape, dtype=values.dtype, attributes=attributes, **more
            )
        array[...] = values


def write_form(form: str, source: zarr.Group, folder: Path, *, where: Any = ...) -> str:
    """Write a cube in one of `FORMS` below a folder; gives what to open."""
    if form == "icechunk":
        import icechunk

        repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder / "repository")))
        session = repository.writable_session("main")
        copy_arrays(source, zarr.open_group(session.store, mode="w"), where=where, sharded=True)
        session.commit("a cube")
        return str(folder / "repository")
    path = folder / "cube.zarr"
    zarr_format = 3 if form in ("format 3", "shards") else 2
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    copy_arrays(source, group, where=where, sharded=form == "shards")
    if form == "netcdf":
        with xr.open_zarr(path, consolidated=False, decode_cf=False) as stored:
            sizes = [min(n, size) for n, size in zip(CHUNKS, stored["vx"].shape)]
            stored.to_netcdf(
                folder / "cube.nc", encoding={name: {"chunksizes": sizes} for name in ("vx", "vy")}
            )
        return str(folder / "cube.nc")
    if form == "zip":
        with zipfile.ZipFile(folder / "cube.zip", "w") as archive:
            for file in sorted(one for one in path.rglob("*") if one.is_file()):
                archive.write(file, f"cube.zarr/{file.relative_to(path)}")
        return str(folder / "cube.zip")
    return str(path)
