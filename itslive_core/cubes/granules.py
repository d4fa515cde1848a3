"""The granule of an image pair: the file of velocities that it comes from, and the names of both images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from itslive_core.cubes.packing import read_values
from itslive_core.cubes.schema import member

if TYPE_CHECKING:
    from collections.abc import Mapping

    from itslive_core.cubes.pair_table import PairTable
    from itslive_core.observations.pairs import ImagePairs

__all__ = ["Granule", "granule_of", "one_pair_only"]

_ADDRESS = "granule_url"
# How ITS_LIVE names a granule: both images, the grid, the version, the share of valid pixels.
_NAME = re.compile(r"(?P<first>.+?)_X_(?P<second>.+?)_G\d+V\d+_P\d+.*\.nc")
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9.-]+)/(?P<key>.+)")


@dataclass(frozen=True)
class Granule:
    """What an image pair was made from.

    Parameters
    ----------
    url : str
        Address of its file as the cube holds it.
    first, second : str
        Names of its earlier and of its later image; empty where the file is called otherwise.
    """

    url: str
    first: str = ""
    second: str = ""

    @property
    def link(self) -> str:
        """The address as a browser can follow it; empty where it cannot."""
        found = _S3.fullmatch(self.url)
        if found is not None:
            return f"https://{found['bucket']}.s3.amazonaws.com/{found['key']}"
        return self.url if self.url.startswith("https://") else ""


def granule_of(group: zarr.Group, table: PairTable, pairs: ImagePairs, row: int) -> Granule | None:
    """Find what a pair was made from. One chunk is read, as late as that.

    Parameters
    ----------
    group : zarr.Group
        The cube.
    table : PairTable
        Of all its pairs.
    pairs : ImagePairs
        Of a pixel of the cube.
    row : int
        Which of them.

    Returns
    -------
    Granule or None
        None where the cube does not say. Of several pairs of the same images, that of the same velocity.

    Raises
    ------
    CubeError
        If what it holds is damaged.
    """
    array = member(group, _ADDRESS)
    if not isinstance(array, zarr.Array) or array.shape != (len(table),):
        return None
    same = [
        getattr(table, name) == getattr(pairs, name)[row]
        for name in ("start", "end", "satellite_1", "satellite_2")
    ]
    layers = np.flatnonzero(table.usable & np.logical_and.reduce(same))
    if len(layers) > 1 and pairs.around is not None:
        own, number = pairs.around.pixels, pairs.around.number
        where = slice(own.offsets[number], own.offsets[number + 1])
        equal = (own.vx[where] == pairs.vx[row]) & (own.vy[where] == pairs.vy[row])
        measured = np.intersect1d(layers, own.pair[where][equal])
        layers = measured if len(measured) else layers
    if not len(layers):
        return None
    layer = int(layers[0])
    url = str(read_values(array, slice(layer, layer + 1))[0]).strip()
    if not url:
        return None
    found = _NAME.fullmatch(url.rpartition("/")[2])
    names = (found["first"], found["second"]) if found is not None else ("", "")
    return Granule(url, *(names[::-1] if table.swapped[layer] else names))


def one_pair_only(url: str, attributes: Mapping[str, Any]) -> str:
    """Say of the file of one image pair, which somebody took for a datacube, where the datacube is."""
    place = " ".join(
        f"--{name[:3]} {float(value):.4f}"
        for name in ("longitude", "latitude")
        if isinstance(value := attributes.get(name), (int, float))
    )
    return (
        f"{url} is one image pair (a granule), not a datacube of many:"
        f" `itslive cubes {place or '--lon LON --lat LAT'}` names the datacube"
    )
