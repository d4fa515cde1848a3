"""One cube in many forms: the formats, layouts and containers in which people have them."""

from __future__ import annotations

import warnings
from typing import Any

import numcodecs
import zarr

__all__ = ["NEEDED", "copy_arrays"]

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
    parts = {"mid_date": where[0], "y": where[1], "x": where[2]} if where is not ... else {}
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
