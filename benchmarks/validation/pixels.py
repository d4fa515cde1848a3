"""The real pixels that are looked at: chosen from the cube, so that any cube can be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from truths import Acquisitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import itslive_core as itslive

__all__ = ["acquisitions_of", "choose_pixels", "off_ice", "since"]

_LEAST = 2000
"""Fewest pairs of a pixel that is chosen by its speed."""
_SHORT = 60.0
"""Pairs shorter than this tell the speed [days]."""


def since(pairs: itslive.ImagePairs, year: float = 2013.0) -> itslive.ImagePairs:
    """Keep the pairs that begin in a year or later."""
    return pairs.take(pairs.start >= (year - 1970) * 365.25)


def acquisitions_of(pixels: Mapping[str, itslive.ImagePairs]) -> list[Acquisitions]:
    """Give the dates and missions of the pairs of some pixels."""
    return [Acquisitions(pairs.start, pairs.end, pairs.mission) for pairs in pixels.values()]


def off_ice(cube: itslive.Datacube, url: str, year: float = 2014.0) -> Iterable[itslive.ImagePairs]:
    """Give the pairs of all pixels that the cube's mask says are not ice, since a year.

    Parameters
    ----------
    cube : Datacube
    url : str
        Where it is.
    year : float
        Pairs that begin in it or later.
    """
    import zarr

    group = zarr.open_group(url, mode="r")
    if "landice" not in group:
        return
    mask = np.asarray(group["landice"][:])
    for row, col in np.argwhere(mask == 0):
        place = cube.pixel(int(row), int(col))
        yield since(cube.pairs_at(x=place.x, y=place.y), year)


def choose_pixels(cube: itslive.Datacube) -> dict[str, itslive.ImagePairs]:
    """Give the pairs of five pixels: the busiest, the fastest, and those of 3/4, 1/2 and 1/4 of its speed.

    Parameters
    ----------
    cube : Datacube
    """
    span = cube.pair_table.end - cube.pair_table.start
    places, counts, speeds = [], [], []
    for block in cube.blocks():
        pixels = cube.read_block(block)
        for p in range(len(pixels.offsets) - 1):
            own = slice(pixels.offsets[p], pixels.offsets[p + 1])
            short = span[pixels.pair[own]] < _SHORT
            row, col = divmod(p, block.shape[1])
            places.append((block.row0 + row, block.col0 + col))
            counts.append(len(short))
            known = short.any()
            vx, vy = (np.median(v[own][short]) if known else 0.0 for v in (pixels.vx, pixels.vy))
            speeds.append(float(np.hypot(vx, vy)))
    n, v = np.array(counts), np.array(speeds)
    usable = n >= min(_LEAST, 0.5 * n.max())
    fastest = v[usable].max()

    def nearest(speed: float) -> int:
        return int(np.argmin(np.where(usable, np.abs(v - speed), np.inf)))

    chosen = {
        "busiest": int(np.argmax(n)),
        "fastest": nearest(fastest),
        "half as fast": nearest(0.5 * fastest),
        "three quarters": nearest(0.75 * fastest),
        "a quarter": nearest(0.25 * fastest),
    }
    out = {}
    for name, index in chosen.items():
        place = cube.pixel(*places[index])
        out[name] = cube.pairs_at(x=place.x, y=place.y)
    return out
