"""Which datacubes cover a place: computed offline from the lattice of cubes.

Each ITS_LIVE cube is a box of 100 km x 100 km on a regular lattice of one projected coordinate system; its
name, address and footprint follow from (EPSG, x, y) of the centre. Those of the next generation are tiles of
61.44 km. Which boxes have a cube is package data; :mod:`itslive_core.places.catalog_refresh` fetches a newer
one. A place keeps its coordinate system from one generation to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from itslive_core.errors import CoverageError
from itslive_core.places.boxes import BOX
from itslive_core.places.geodesy import LONLAT, check_lonlat, project, transformer, utm_zone, wrap_longitude
from itslive_core.places.lattice import known_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas
    import numpy as np
    from shapely.geometry.base import BaseGeometry

    from itslive_core.places.cube_record import CubeRecord

__all__ = ["Catalog", "CubesNeeded"]

NORTH, SOUTH = 3413, 3031
POLAR_FROM = 50.0  # degrees of latitude; polar cubes begin at 53.9 N and 55.1 S
UTM_UNTIL = 84.0  # degrees of latitude, the end of UTM; its cubes end at 56
BOTH_HEMISPHERES = 2.0  # degrees: near the equator a box of either hemisphere's zone may reach over it
DEEP = 5_000.0  # m; a glacier round a point this far inside a cube is likely to be in it as a whole
WHOLE = 0.9995  # share of an outline's area that counts as all of it
_NOTHING = 1e-6  # share of it that counts as none


class CubesNeeded(NamedTuple):
    """The cubes that an outline needs.

    Attributes
    ----------
    records
        Those of one coordinate system, which hold most of it, then those of others that add to them.
    share
        What they hold of it, 0 to 1.
    """

    records: tuple[CubeRecord, ...]
    share: float


@dataclass(frozen=True)
class Catalog:
    """The cubes that exist.

    Attributes
    ----------
    records
        All cubes.
    source
        Where the list came from.
    """

    records: tuple[CubeRecord, ...] = field(repr=False)
    source: str = "package data"

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def _boxes(self) -> dict[tuple[int, int, int, int], list[CubeRecord]]:
        """Records by coordinate system, side and each square of that side that they reach into."""
        found: dict[tuple[int, int, int, int], list[CubeRecord]] = {}
        for record in self.records:
            for square in _squares(record.bounds, record.side):
                found.setdefault((record.epsg, record.side, *square), []).append(record)
        return found

    @cached_property
    def _sides(self) -> tuple[int, ...]:
        """Sides of the boxes [m], those of the newest generation first."""
        return tuple(sorted({record.side for record in self.records}))

    @cached_property
    def epsgs(self) -> tuple[int, ...]:
        """Coordinate systems of the cubes, sorted."""
        return tuple(sorted({record.epsg for record in self.records}))

    def find(self, epsg: int, x: float, y: float) -> CubeRecord | None:
        """Return the cube whose box holds a point of its coordinate system, or None.

        Parameters
        ----------
        epsg
            Coordinate system.
        x, y
            The point [m]. A box owns its lower and left edges.
        """
        return next(iter(self._at(epsg, x, y)), None)

    def _at(self, epsg: int, x: float, y: float) -> list[CubeRecord]:
        """All cubes of a coordinate system whose boxes hold a point."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return []
        return [
            record
            for side in self._sides
            for record in self._boxes.get((epsg, side, math.floor(x / side), math.floor(y / side)), ())
            if (bounds := record.bounds)[0] <= x < bounds[2] and bounds[1] <= y < bounds[3]
        ]

    def candidates(self, lon: float, lat: float) -> list[int]:
        """EPSG codes whose cubes may cover a place: polar by latitude, its UTM zone and both neighbours."""
        zone = utm_zone(lon)
        zones = {zone, zone % 60 + 1, (zone - 2) % 60 + 1} if abs(lat) <= UTM_UNTIL else set()
        return [epsg for epsg in self.epsgs if _may_cover(epsg, zones, lat)]

    def cubes_at(self, lon: float, lat: float, *, outline: BaseGeometry | None = None) -> list[CubeRecord]:
        """All cubes that cover a place, best first, with reasons; see `lookup.cubes_at`."""
        lon, lat = check_lonlat(lon, lat)
        hits = self._hits(lon, lat)
        if not hits:
            raise CoverageError(self._nothing_at(lon, lat))
        if outline is None:

            def order(hit: tuple[CubeRecord, float]) -> tuple[bool, int, float, int, float]:
                record, inside = hit
                depth = round(_depth(record, inside, lon, lat), 3)
                return depth < DEEP, _rank(record.epsg, lon), -depth, record.side, -inside

            hits.sort(key=order)
            return [replace(record, reason=_reason(record, lon, inside)) for record, inside in hits]
        shapes = {epsg: project(_shape(outline), epsg) for epsg in {record.epsg for record, _ in hits}}
        shares = [_share(shapes[record.epsg], record) for record, _ in hits]
        best = sorted(
            zip(hits, shares),
            key=lambda hit: (-round(hit[1], 2), _rank(hit[0][0].epsg, lon), -hit[0][1]),
        )
        return [
            replace(record, reason=f"{_holds(share)}; {_reason(record, lon, depth)}")
            for (record, depth), share in best
        ]

    def cubes_over(self, outline: BaseGeometry) -> list[CubeRecord]:
        """All cubes that hold part of an outline, best first; see `lookup.cubes_over`."""
        shape = _shape(outline)
        middle = shape.representative_point()
        lon, lat = check_lonlat(wrap_longitude(middle.x), middle.y)
        west, south, east, north = shape.bounds
        places = [(lon, lat), *((wrap_longitude(u), v) for u in (west, east) for v in (south, north))]
        found = []
        for epsg in sorted({epsg for place in places for epsg in self.candidates(*place)}):
            projected = project(shape, epsg)
            for side in self._sides:
                pieces = self._pieces(epsg, side, projected)
                if pieces:
                    count = len(pieces) if side == BOX else _boxes_held(projected)
                    found.append((min(1.0, sum(share for _, share in pieces)), count, pieces))
        if not found:
            raise CoverageError(self._nothing_at(lon, lat))
        found.sort(key=lambda one: (-round(one[0], 2), one[1], _rank(one[2][0][0].epsg, lon)))
        return [
            replace(record, reason=_reason_over(record, share, total, len(pieces), lon))
            for total, _, pieces in found
            for record, share in pieces
        ]

    def cubes_needed(self, outline: BaseGeometry) -> CubesNeeded:
        """All cubes of one coordinate system, and what others must add; see `lookup.cubes_needed`."""
        import shapely

        records = self.cubes_over(outline)
        epsg = records[0].epsg
        whole = left = project(_shape(outline), epsg)
        size = "area" if whole.area > 0.0 else "length"
        total = max(float(getattr(whole, size)), 1e-9)
        chosen = []
        for record in records:
            box = shapely.box(*record.bounds) if record.epsg == epsg else project(record.footprint, epsg)
            rest = shapely.difference(left, box) if shapely.is_valid(box) else left
            gain = (getattr(left, size) - getattr(rest, size)) / total
            # Boxes of an older generation add nothing where there are tiles.
            if gain > (_NOTHING if record.epsg == epsg else 1.0 - WHOLE):
                chosen.append(record)
                left = rest
        return CubesNeeded(tuple(chosen), min(1.0, 1.0 - float(getattr(left, size)) / total))

    def _hits(self, lon: float, lat: float) -> list[tuple[CubeRecord, float]]:
        """Cubes that cover a place, with its distance [m] from their edges."""
        hits = []
        for epsg in self.candidates(lon, lat):
            x, y = transformer(LONLAT, epsg).transform(lon, lat)
            hits += [(record, record.distance_inside(x, y)) for record in self._at(epsg, x, y)]
        return hits

    def _pieces(self, epsg: int, side: int, shape: BaseGeometry) -> list[tuple[CubeRecord, float]]:
        """Cubes of one lattice with the share of a projected shape in each, largest first."""
        if not all(map(math.isfinite, shape.bounds)):
            return []
        boxes = dict.fromkeys(
            record
            for square in _squares(shape.bounds, side)
            for record in self._boxes.get((epsg, side, *square), ())
        )
        pieces = [(record, _share(shape, record)) for record in boxes]
        return sorted((piece for piece in pieces if piece[1] > 0.0), key=lambda piece: -piece[1])

    def _nothing_at(self, lon: float, lat: float) -> str:
        from itslive_core.places.footprints import nearest_box

        record, distance = nearest_box(self.records, lon, lat)
        centre = transformer(record.epsg, LONLAT).transform(record.cx, record.cy)
        return (
            f"no cube covers {describe(lon, lat)}: the nearest, {record.name}, ends "
            f"{distance / 1000:,.0f} km away, towards {describe(*centre)}; pick a place on or near a glacier"
        )

    def footprints(self) -> geopandas.GeoDataFrame:
        """All cubes with their outlines in lon/lat.

        Returns
        -------
        geopandas.GeoDataFrame
            Columns ``name``, ``epsg``, ``cx``, ``cy``, ``version`` and ``geometry``, in the order of
            ``records``; longitudes in [-180, 180], a footprint across the antimeridian in two parts.
        """
        from itslive_core.places.footprints import frame

        return frame(self.records)

    def segments_mercator(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges of all cubes as one line for a Web Mercator map.

        Returns
        -------
        x, y : (n,) float64
            EPSG:3857 [m], NaN between pieces. An edge that two cubes share occurs once, one that crosses the
            antimeridian is split there, and what lies beyond 85 degrees is left out.
        """
        from itslive_core.places.footprints import edges_mercator

        return edges_mercator(self.records)


def describe(lon: float, lat: float) -> str:
    """Write a place as text, e.g. ``29.92° N, 95.97° E``."""
    lon = wrap_longitude(lon)
    return f"{abs(lat):.2f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.2f}° {'E' if lon >= 0 else 'W'}"


def _squares(bounds: tuple[float, float, float, float], side: float) -> Iterator[tuple[int, int]]:
    """Give columns and rows of the squares, of a lattice through the origin, that bounds reach into."""
    xmin, ymin, xmax, ymax = (math.floor(value / side) for value in bounds)
    for column in range(xmin, xmax + 1):
        for row in range(ymin, ymax + 1):
            yield column, row


def _depth(record: CubeRecord, inside: float, lon: float, lat: float) -> float:
    """Distance [m] of a place from the edge of the box of 100 km that holds it in the system of a record.

    It decides between coordinate systems for tiles too, which have other edges: so a place keeps its system
    from one generation of cubes to the next. Where there was no such box, it is 0.
    """
    if record.side == BOX:
        return inside
    x, y = transformer(LONLAT, record.epsg).transform(lon, lat)
    if (record.epsg, _centre(x), _centre(y)) not in known_boxes():
        return 0.0
    return BOX / 2 - max(abs(x - _centre(x)), abs(y - _centre(y)))


def _centre(value: float) -> int:
    return math.floor(value / BOX) * BOX + BOX // 2


def _boxes_held(shape: BaseGeometry) -> int:
    """Count the boxes of 100 km that hold a part of a projected shape."""
    import shapely

    squares = [(BOX * column, BOX * row) for column, row in _squares(shape.bounds, BOX)]
    boxes = [shapely.box(x, y, x + BOX, y + BOX) for x, y in squares]
    return int((shapely.area(shapely.intersection(shape, boxes)) > 0.0).sum())


def _may_cover(epsg: int, zones: set[int], lat: float) -> bool:
    if epsg == NORTH:
        return lat >= POLAR_FROM
    if epsg == SOUTH:
        return lat <= -POLAR_FROM
    hemisphere, zone = divmod(epsg, 100)
    if hemisphere == 326:
        return zone in zones and lat >= -BOTH_HEMISPHERES
    if hemisphere == 327:
        return zone in zones and lat <= BOTH_HEMISPHERES
    return True  # a coordinate system that only a newer catalog knows


def _rank(epsg: int, lon: float) -> int:
    """Order of coordinate systems where nothing else decides: own UTM zone, others, neighbouring zone."""
    if epsg // 100 not in (326, 327):
        return 1
    return 0 if epsg % 100 == utm_zone(lon) else 2


def _reason(record: CubeRecord, lon: float, depth: float) -> str:
    return f"{_grid(record.epsg, lon)}, {depth / 1000:.1f} km inside the edge"


def _grid(epsg: int, lon: float) -> str:
    if epsg in (NORTH, SOUTH):
        return "polar grid"
    return ("own UTM zone", f"grid of EPSG:{epsg}", "neighbouring UTM zone")[_rank(epsg, lon)]


def _reason_over(record: CubeRecord, share: float, total: float, count: int, lon: float) -> str:
    text = f"{_holds(share)}; {_grid(record.epsg, lon)}"
    if count > 1:
        text += f"; {count} cubes of EPSG:{record.epsg} hold {_portion(total)}"
    return text


def _holds(share: float) -> str:
    return f"holds {_portion(share)}"


def _portion(share: float) -> str:
    if share >= WHOLE:
        return "the whole outline"
    return f"{100 * share:.0f} % of the outline" if share >= 0.01 else "less than 1 % of the outline"


def _share(shape: BaseGeometry, record: CubeRecord) -> float:
    """Share of a projected shape's area in a cube's box."""
    import shapely

    inside = shapely.intersection(shape, shapely.box(*record.bounds))
    return float(inside.area / shape.area) if shape.area > 0.0 else float(not inside.is_empty)


def _shape(outline: Any) -> BaseGeometry:
    """Geometry of an outline, or of anything that has one."""
    shape: BaseGeometry = getattr(outline, "outline", outline)
    if shape.is_empty:
        raise CoverageError("the outline is empty, so no cube covers it: load another one")
    return shape
