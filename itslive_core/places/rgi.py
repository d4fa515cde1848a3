"""Names and regions of the Randolph Glacier Inventory, versions 6 and 7."""

from __future__ import annotations

import re
from dataclasses import dataclass

from itslive_core.errors import SettingsError

__all__ = ["REGIONS", "Region", "RgiId", "parse_rgi_id", "regions_at"]

_GAP = r"[\s_-]*"
RGI6 = re.compile(
    rf"(?:RGI{_GAP}v?6\.?0?[\s_-]+(\d{{1,2}})[\s._-]+(\d{{1,5}})|(\d{{1,2}})\.(\d{{5}}))", re.IGNORECASE
)
RGI7 = re.compile(
    rf"RGI{_GAP}2000{_GAP}v?7(?:\.0)?{_GAP}([GC]){_GAP}(\d{{1,2}})[\s._-]+(\d{{1,5}})", re.IGNORECASE
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
"""Dashes that word processors put in the place of a hyphen."""


@dataclass(frozen=True)
class RgiId:
    """A glacier's id.

    Attributes
    ----------
    text
        In its canonical spelling.
    version
        6 or 7.
    region
        First-order region, 1 to 19.
    product
        ``G`` for a glacier, ``C`` for a complex of glaciers (version 7).
    """

    text: str
    version: int
    region: int
    product: str = "G"


@dataclass(frozen=True)
class Region:
    """A first-order region, with the layers that hold its outlines at GLIMS.

    Attributes
    ----------
    number
        1 to 19.
    layer6, layer7
        Names of the layers of RGI 6 and 7.
    boxes
        West, south, east, north [degrees] of generous boxes round all its glaciers.
    """

    number: int
    layer6: str
    layer7: str
    boxes: tuple[tuple[float, float, float, float], ...]

    def may_hold(self, lon: float, lat: float) -> bool:
        """Whether a place (longitude in [-180, 180)) is in one of the boxes."""
        return any(west <= lon <= east and south <= lat <= north for west, south, east, north in self.boxes)


_TABLE: tuple[tuple[str, str, tuple[tuple[float, float, float, float], ...]], ...] = (
    ("Alaska", "alaska", ((-180, 50, -128, 73), (170, 50, 180, 56))),
    ("WesternCanadaUS", "western_canada_usa", ((-142, 35, -103, 67),)),
    ("ArcticCanadaNorth", "arctic_canada_north", ((-128, 73, -60, 84),)),
    ("ArcticCanadaSouth", "arctic_canada_south", ((-100, 57, -58, 75),)),
    ("GreenlandPeriphery", "greenland_periphery", ((-75, 58, -8, 85),)),
    ("Iceland", "iceland", ((-26, 62, -12, 68),)),
    ("Svalbard", "svalbard_jan_mayen", ((-11, 70, 36, 82),)),
    ("Scandinavia", "scandinavia", ((3, 58, 36, 73),)),
    ("RussianArctic", "russian_arctic", ((34, 70, 116, 83),)),
    ("NorthAsia", "north_asia", ((46, 34, 180, 79), (-180, 60, -168, 72))),
    ("CentralEurope", "central_europe", ((-11, 39, 26, 51),)),
    ("CaucasusMiddleEast", "caucasus_middle_east", ((26, 29, 57, 46),)),
    ("CentralAsia", "central_asia", ((64, 26, 107, 47),)),
    ("SouthAsiaWest", "south_asia_west", ((64, 25, 84, 40),)),
    ("SouthAsiaEast", "south_asia_east", ((74, 24, 106, 38),)),
    ("LowLatitudes", "low_latitudes", ((-106, -29, -60, 21), (27, -6, 43, 6), (132, -8, 145, 0))),
    ("SouthernAndes", "southern_andes", ((-78, -58, -61, -20),)),
    ("NewZealand", "new_zealand", ((164, -50, 180, -35),)),
    ("AntarcticSubantarctic", "subantarctic_antarctic_islands", ((-180, -90, 180, -45),)),
)

REGIONS: tuple[Region, ...] = tuple(
    Region(number, f"GLIMS:RGI_{name6}", f"GLIMS:RGI2000-v7.0-G-{number:02d}_{name7}_epsg3857", boxes)
    for number, (name6, name7, boxes) in enumerate(_TABLE, start=1)
)
"""All first-order regions, in order."""


def parse_rgi_id(text: str) -> RgiId:
    """Read an RGI id: ``RGI60-01.14443``, ``RGI2000-v7.0-G-01-08604``; or of a complex, with C for G.

    It may be written as people do: in lower case, with other dashes or spaces, and without leading zeros.

    Raises
    ------
    SettingsError
        If it is none, or its region does not exist.
    """
    name = " ".join(str(text).translate(_DASHES).split())
    if (match := RGI6.fullmatch(name)) and 1 <= int(match[1] or match[3]) <= len(REGIONS):
        region, number = int(match[1] or match[3]), int(match[2] or match[4])
        return RgiId(f"RGI60-{region:02d}.{number:05d}", 6, region)
    if (match := RGI7.fullmatch(name)) and 1 <= int(match[2]) <= len(REGIONS):
        product, region, number = match[1].upper(), int(match[2]), int(match[3])
        return RgiId(f"RGI2000-v7.0-{product}-{region:02d}-{number:05d}", 7, region, product)
    raise SettingsError(
        f"{name[:60]!r} is no RGI glacier id: write it like RGI60-01.14443 or RGI2000-v7.0-G-01-08604"
    )


def regions_at(lon: float, lat: float) -> list[Region]:
    """Return the regions that may hold a place (longitude in [-180, 180)), the smallest boxes first."""

    def size(region: Region) -> float:
        return sum((east - west) * (north - south) for west, south, east, north in region.boxes)

    return sorted((region for region in REGIONS if region.may_hold(lon, lat)), key=size)
