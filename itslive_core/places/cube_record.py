"""One datacube of the catalog: its address and footprint follow from its place on the lattice.

Cubes are boxes of 100 km; those of the next generation are tiles of 61.44 km, which are named after another
corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.places.boxes import BOX, box_polygons
from itslive_core.places.geodesy import LONLAT, transformer

if TYPE_CHECKING:
    from shapely import Polygon

__all__ = ["HTTPS", "S3", "VERSION", "CubeRecord"]

VERSION = "v2-updated-october2024"
"""Folder of the current release of the datacubes."""

BUCKET = "its-live-data"
HTTPS = f"https://{BUCKET}.s3.amazonaws.com/"
S3 = f"s3://{BUCKET}/"


@dataclass(frozen=True)
class CubeRecord:
    """One datacube of the catalog.

    Attributes
    ----------
    epsg
        Coordinate system of the cube.
    cx, cy
        Centre of its box [m]; of a tile it may lie on half metres.
    version
        Folder of the release it belongs to.
    reason
        Why a lookup returned it, in plain words.
    location
        Its address, where that does not follow from the other fields.
    side
        Length of the edges of its box [m].
    """

    epsg: int
    cx: float
    cy: float
    version: str = VERSION
    reason: str = field(default="", compare=False)
    location: str = ""
    side: int = BOX

    @property
    def name(self) -> str:
        """Name of the cube, which is its folder's without ``.zarr``."""
        if self.side != BOX:
            xmin, ymin, _, _ = self.bounds
            return f"ITS_LIVE_velocity_EPSG{self.epsg}_{self.side}m_X{int(xmin)}_Y{int(ymin)}"
        return f"ITS_LIVE_vel_EPSG{self.epsg}_G0120_X{self.cx}_Y{self.cy}"

    @property
    def folder(self) -> str:
        """Folder of 10 by 10 degrees that holds the cube, e.g. ``N30E090``."""
        return _folder(*transformer(self.epsg, LONLAT).transform(self.cx, self.cy))

    @property
    def path(self) -> str:
        """Place of the cube in the public bucket."""
        return f"datacubes/{self.version}/{self.folder}/{self.name}.zarr"

    @property
    def url(self) -> str:
        """Address for plain HTTPS."""
        return self.location or HTTPS + self.path

    @property
    def s3_url(self) -> str:
        """Address for S3 (anonymous, us-west-2)."""
        return S3 + self.path if not self.location else self.location.replace(HTTPS, S3, 1)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Edges (xmin, ymin, xmax, ymax) of the box [m] in the cube's coordinate system."""
        half = self.side / 2
        return self.cx - half, self.cy - half, self.cx + half, self.cy + half

    @property
    def footprint(self) -> Polygon:
        """The box in lon/lat with rounded edges; at the antimeridian longitudes run on past 180."""
        polygon: Polygon = box_polygons(self.epsg, np.array([[self.cx, self.cy]]), self.side)[0]
        return polygon

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the footprint [degrees]; east may exceed 180."""
        west, south, east, north = self.footprint.bounds
        return west, south, east, north

    def distance_inside(self, x: float, y: float) -> float:
        """Distance [m] of a point from the nearest edge of the box, negative outside.

        Parameters
        ----------
        x, y
            The point in the cube's coordinate system.
        """
        return self.side / 2 - max(abs(x - self.cx), abs(y - self.cy))


def _folder(lon: float, lat: float) -> str:
    # Truncated towards zero, as the archive does it: 50.3 S is in S50, not S60. The last ones are wider.
    parallel = min(int(abs(lat)) // 10 * 10, 80)
    meridian = min(int(abs(lon)) // 10 * 10, 170)
    return f"{'N' if lat >= 0 else 'S'}{parallel:02d}{'E' if lon >= 0 else 'W'}{meridian:03d}"
