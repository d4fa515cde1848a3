"""Names and regions of the Randolph Glacier Inventory, versions 6 and 7."""

from __future__ import annotations

import re
from dataclasses import dataclass

from itslive_core.errors import SettingsError

__all__ = ["REGIONS", "Region", "RgiId", "parse_rgi_id", "regions_at"]

RGI6 = re.compile(r"RGI60-(\d\d)\.(\d{5})", re.IGNORECASE)
RGI7 = re.compile(r"RGI2000-v7\.0-G-(\d\d)-(\d{5})", re.IGNORECASE)


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
    """

    text: str
    version: int
    region: int


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
    """Read an RGI id, e.g. ``RGI60-01.14443`` or ``RGI2000-v7.0-G-01-08604``; case does not matter.

    Raises
    ------
    SettingsError
        If it is none, or its region does not exist.
    """
    name = str(text).strip()
    for version, pattern in ((6, RGI6), (7, RGI7)):
        match = pattern.fullmatch(name)
        if match and 1 <= int(match[1]) <= len(REGIONS):
            region, number = match.groups()
            canonical = f"RGI60-{region}.{number}" if version == 6 else f"RGI2000-v7.0-G-{region}-{number}"
            return RgiId(canonical, version, int(region))
    raise SettingsError(
        f"{name!r} is no RGI glacier id: write it like RGI60-01.14443 or RGI2000-v7.0-G-01-08604"
    )


def regions_at(lon: float, lat: float) -> list[Region]:
    """Return the regions that may hold a place (longitude in [-180, 180)), the smallest boxes first."""

    def size(region: Region) -> float:
        return sum((east - west) * (north - south) for west, south, east, north in region.boxes)

    return sorted((region for region in REGIONS if region.may_hold(lon, lat)), key=size)
