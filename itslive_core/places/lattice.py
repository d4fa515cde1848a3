"""Which boxes of 100 km have a cube: what the package knows without any catalog."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

__all__ = ["known_boxes", "lattice_file"]


def lattice_file() -> bytes:
    """Return the table of boxes, of the columns epsg, cx and cy."""
    return resources.files("itslive_core").joinpath("data/lattice.csv").read_bytes()


@lru_cache(maxsize=1)
def known_boxes() -> frozenset[tuple[int, int, int]]:
    """Return the boxes: EPSG code and centre [m]."""
    rows = csv.reader(lattice_file().decode().splitlines()[1:])
    return frozenset((int(epsg), int(cx), int(cy)) for epsg, cx, cy, *_ in rows)
