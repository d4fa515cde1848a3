"""Glaciers: outlines from files and from the inventory, with their centrelines, cubes and pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from itslive_core.errors import OutlineError
from itslive_core.places.catalog import describe
from itslive_core.places.geodesy import check_lonlat, project
from itslive_core.places.lookup import cubes_over
from itslive_core.places.outlines import GLIMS_NAMES, ID_NAMES, Feature, pick, read_features
from itslive_core.places.rgi import REGIONS, parse_rgi_id, regions_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import geopandas
    from shapely.geometry.base import BaseGeometry

    from itslive_core.places.cube_record import CubeRecord
    from itslive_core.places.glims import Glims

__all__ = ["Glacier"]

NAMES = ("glac_name", "name", "glacier_name")
DATES = ("src_date", "acq_date", "date", "anlys_time", "bgndate", "begindate", "year", "release_dt")
"""Columns with the date of an outline, in lower case; of GLIMS, RGI and common derivatives."""
AREAS = ("area_km2", "area")
ELLIPSOID = pyproj.Geod(ellps="WGS84")
FEW = 5  # ids that a message lists


@dataclass(frozen=True)
class Glacier:
    """One glacier.

    Attributes
    ----------
    outline
        Valid Polygon or MultiPolygon in lon/lat (WGS 84); at the antimeridian longitudes run on past 180.
    rgi_id, name
        As in the inventory, or None.
    area_km2
        As in the inventory, else measured on the ellipsoid.
    attributes
        All columns of its row, by their names in lower case.
    remark
        What was decided about the outline that its user should know, in one sentence; or empty.
    """

    outline: BaseGeometry = field(repr=False)
    rgi_id: str | None = None
    name: str | None = None
    area_km2: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    remark: str = field(default="", repr=False, compare=False)

    @classmethod
    def at(
        cls, lon: float, lat: float, *, loaded: Iterable[Glacier] = (), service: Glims | None = None
    ) -> Glacier:
        """Find the glacier at a place.

        Parameters
        ----------
        lon, lat
            Degrees, WGS 84.
        loaded
            Glaciers to look at first.
        service
            The outline server; by default GLIMS, or what ``ITSLIVE_GLIMS_URL`` names.

        Raises
        ------
        OutlineError
            If no glacier is there.
        ServiceError
            If the server is needed and is down.
        SettingsError
            If the numbers are no place on Earth.
        """
        lon, lat = check_lonlat(lon, lat)
        for glacier in loaded:
            if glacier.covers(lon, lat):
                return glacier
        return cls._from_feature(_service(service).at(lon, lat))

    @classmethod
    def from_rgi_id(
        cls, rgi_id: str, *, loaded: Iterable[Glacier] = (), service: Glims | None = None
    ) -> Glacier:
        """Find a glacier by its id, e.g. ``RGI60-01.14443`` or ``RGI2000-v7.0-G-01-08604``.

        Parameters
        ----------
        rgi_id
            Case does not matter.
        loaded, service
            As in :meth:`at`.

        Raises
        ------
        OutlineError
            If the inventory has no such glacier.
        ServiceError
            If the server is needed and is down.
        SettingsError
            If it is no RGI id.
        """
        wanted = parse_rgi_id(rgi_id).text
        for glacier in loaded:
            if _same(glacier.rgi_id, wanted):
                return glacier
        return cls._from_feature(_service(service).by_id(wanted))

    @classmethod
    def from_file(cls, path: str | Path, *, rgi_id: str | None = None, layer: str | None = None) -> Glacier:
        """Read one glacier from a file.

        Parameters
        ----------
        path
            GeoJSON, GeoPackage, shapefile (zipped too), FlatGeobuf, KML or GeoParquet.
        rgi_id
            Which one, where the file has several: its RGI id, GLIMS id or name.
        layer
            Layer of a file that has several; by default the one with polygons.

        Raises
        ------
        OutlineError
            If the file cannot be read, or does not say which glacier is meant.
        """
        glaciers = cls._read(path, layer, _canonical(rgi_id))
        if rgi_id is not None:
            every, glaciers = glaciers, _matching(glaciers, rgi_id)
            if not glaciers:
                raise OutlineError(f"{path} has no glacier {rgi_id}; it has {_few(every)}")
        elif len({_key(one.rgi_id) if one.rgi_id else one for one in glaciers}) > 1:
            raise OutlineError(
                f"{path} has {len(glaciers)} glaciers; choose one by its RGI id, of {_few(glaciers)}"
            )
        return glaciers[0] if len(glaciers) == 1 else _united(_newest(glaciers))

    @classmethod
    def list_from_file(cls, path: str | Path, *, layer: str | None = None) -> list[Glacier]:
        """Read all glaciers of a file, in its order; see :meth:`from_file`."""
        return cls._read(path, layer, None)

    @classmethod
    def together(cls, glaciers: Sequence[Glacier]) -> Glacier:
        """Join several glaciers to one area.

        Parameters
        ----------
        glaciers
            One or more; of a single one that itself is given. Rows of the same glacier count as one, and of
            several dates the newest.
        """
        glaciers = _one_each(glaciers)
        if len(glaciers) == 1:
            return glaciers[0]
        outline = _union(glaciers)
        ids = [one.rgi_id or one.label for one in glaciers]
        remarks = [one.remark for one in glaciers if one.remark]
        many = f"{len(remarks)} glaciers have outlines of several dates: the newest are used"
        remark = many if len(remarks) > 1 else "".join(remarks)
        return cls(outline, None, f"{len(glaciers)} glaciers", _measured(outline), {"rgi_ids": ids}, remark)

    @classmethod
    def _read(cls, path: str | Path, layer: str | None, rgi_id: str | None) -> list[Glacier]:
        return [cls._from_feature(one) for one in read_features(path, layer=layer, rgi_id=rgi_id)]

    @classmethod
    def _from_feature(cls, feature: Feature) -> Glacier:
        rgi_id = pick(feature.attributes, (*ID_NAMES, "glac_id"))
        name = pick(feature.attributes, NAMES)
        try:
            area = float(pick(feature.attributes, AREAS))
        except (TypeError, ValueError):
            area = _measured(feature.geometry)
        return cls(
            outline=feature.geometry,
            rgi_id=None if rgi_id is None else str(rgi_id).strip(),
            name=None if name is None else str(name).strip(),
            area_km2=area if area > 0.0 else _measured(feature.geometry),
            attributes=feature.attributes,
        )

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of a place on the glacier, in its middle where that is ice."""
        middle = self.outline.centroid
        if not self.outline.contains(middle):
            middle = self.outline.representative_point()
        return float(middle.x), float(middle.y)

    @property
    def label(self) -> str:
        """What to call it: its name, else its id, else where it is."""
        return self.name or self.rgi_id or f"unnamed glacier near {describe(*self.centre)}"

    def covers(self, lon: float, lat: float) -> bool:
        """Whether a place is on the glacier; holes are not.

        Parameters
        ----------
        lon, lat
            Degrees, WGS 84.
        """
        import shapely

        west, south, east, north = self.outline.bounds
        if not south <= lat <= north:
            return False
        turns = [turn for turn in (lon - 360.0, lon, lon + 360.0) if west <= turn <= east]
        return any(bool(shapely.intersects_xy(self.outline, turn, lat)) for turn in turns)

    def cubes(self) -> list[CubeRecord]:
        """All cubes that hold part of it, best first; see :func:`itslive_core.places.lookup.cubes_over`."""
        return cubes_over(self.outline)

    def outline_in(self, crs: Any) -> BaseGeometry:
        """Return the outline in another coordinate system.

        Parameters
        ----------
        crs
            EPSG number, text, or anything that pyproj understands.

        Raises
        ------
        OutlineError
            If the glacier lies outside what that system can show.
        """
        import shapely

        shape = project(self.outline, crs)
        if not np.isfinite(shapely.get_coordinates(shape)).all():
            raise OutlineError(f"{self.label} lies outside the area of {crs}: use a cube that covers it")
        return (
            shape if shape.is_valid else shapely.make_valid(shape, method="structure", keep_collapsed=False)
        )

    def contains(self, x: np.ndarray, y: np.ndarray, crs: Any) -> np.ndarray:
        """Tell which pixels of a grid are on the glacier: those whose centre is inside, holes being outside.

        Parameters
        ----------
        x : (nx,)
            Pixel centres along x.
        y : (ny,)
            Pixel centres along y.
        crs
            Coordinate system of the grid.

        Returns
        -------
        (ny, nx) bool array
        """
        import shapely

        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        shape = self.outline_in(crs)
        xmin, ymin, xmax, ymax = shape.bounds
        columns = np.flatnonzero((x >= xmin) & (x <= xmax))
        rows = np.flatnonzero((y >= ymin) & (y <= ymax))
        mask = np.zeros((y.size, x.size), dtype=bool)
        if columns.size and rows.size:
            shapely.prepare(shape)
            part = shapely.contains_xy(shape, x[columns][None, :], y[rows][:, None])
            mask[np.ix_(rows, columns)] = part
        return mask

    def centrelines(self, path: str | Path | None = None) -> geopandas.GeoDataFrame:
        """Read the glacier's centrelines.

        Parameters
        ----------
        path
            A file of lines with the usual columns of OGGM or RGI 7; by default OGGM's for this region are
            downloaded once.

        Returns
        -------
        geopandas.GeoDataFrame
            Columns ``rgi_id``, ``main`` (bool), ``length_m`` and ``geometry`` (lon/lat), main and long lines
            first. A line may run up or down the glacier.

        Raises
        ------
        OutlineError
            If the file cannot be read, or holds no line of this glacier.
        ServiceError
            If the download fails.
        """
        from itslive_core.places.centrelines import download_centrelines, read_centrelines

        glims_id = pick(self.attributes, GLIMS_NAMES)
        chosen = {"rgi_id": self.rgi_id, "glims_id": glims_id, "label": self.label}
        if path is not None:
            return read_centrelines(path, self.outline, **chosen)
        regions = self._regions()
        for region in regions[:-1]:
            try:
                return read_centrelines(download_centrelines(region), self.outline, **chosen)
            except OutlineError:
                continue  # regions share their borders: it may be in the next
        return read_centrelines(download_centrelines(regions[-1]), self.outline, **chosen)

    def _regions(self) -> list[int]:
        """Regions whose files may hold the glacier."""
        if self.rgi_id is not None:
            try:
                return [parse_rgi_id(self.rgi_id).region]
            except ValueError:  # an id of the user's own
                pass
        regions = [region.number for region in regions_at(*check_lonlat(*self.centre))]
        return regions or [len(REGIONS)]


def _service(service: Glims | None) -> Glims:
    from itslive_core.places.glims import Glims

    return service or Glims()


def _canonical(rgi_id: str | None) -> str | None:
    """Spelling of an id as the inventory has it; one of the user's own stays as it is."""
    try:
        return None if rgi_id is None else parse_rgi_id(rgi_id).text
    except ValueError:
        return rgi_id


def _measured(outline: BaseGeometry) -> float:
    """Area [km2] on the ellipsoid."""
    import shapely

    parts = shapely.get_parts(outline)
    return (
        sum(
            abs(ELLIPSOID.geometry_area_perimeter(shapely.Polygon(part.exterior))[0])
            - sum(abs(ELLIPSOID.geometry_area_perimeter(shapely.Polygon(hole))[0]) for hole in part.interiors)
            for part in parts
        )
        / 1e6
    )


def _same(one: object, other: object) -> bool:
    return one is not None and _key(one) == _key(other)


def _key(name: object) -> str:
    """Spell an id or a name in the one way in which it is compared."""
    return str(_canonical(str(name))).strip().upper()


def _matching(glaciers: list[Glacier], wanted: str) -> list[Glacier]:
    """Glaciers with an id; else with that GLIMS id or name."""
    return (
        [one for one in glaciers if _same(one.rgi_id, wanted)]
        or [one for one in glaciers if _same(pick(one.attributes, GLIMS_NAMES), wanted)]
        or [one for one in glaciers if _same(one.name, wanted)]
    )


def _few(glaciers: list[Glacier]) -> str:
    every = [one.rgi_id or one.name or one.label for one in glaciers]
    more = f" and {len(every) - FEW} more" if len(every) > FEW else ""
    return ", ".join(every[:FEW]) + more


def _newest(glaciers: list[Glacier]) -> list[Glacier]:
    """Of outlines of one glacier at several dates keep those of the newest, and remark it."""
    dates = [str(pick(one.attributes, DATES) or "")[:10] for one in glaciers]
    if len(set(dates)) < 2:
        return glaciers
    newest = max(dates)
    known = ", ".join(sorted(filter(None, set(dates))))
    remark = f"{glaciers[0].label} has outlines of {known}: the newest is used"
    return [replace(one, remark=remark) for one, date in zip(glaciers, dates) if date == newest]


def _one_each(glaciers: Sequence[Glacier]) -> list[Glacier]:
    """Join the rows of each glacier that are of its newest date; what has no id is a glacier of its own."""
    rows: dict[Any, list[Glacier]] = {}
    for number, one in enumerate(glaciers):
        rows.setdefault(_key(one.rgi_id) if one.rgi_id else number, []).append(one)
    return [same[0] if len(same) == 1 else _united(_newest(same)) for same in rows.values()]


def _union(glaciers: Sequence[Glacier]) -> BaseGeometry:
    import shapely

    return shapely.union_all([one.outline for one in glaciers])


def _united(glaciers: list[Glacier]) -> Glacier:
    """Join the rows of a glacier that a file keeps in several."""
    first = glaciers[0]
    if len(glaciers) == 1:
        return first
    outline = _union(glaciers)
    return Glacier(outline, first.rgi_id, first.name, _measured(outline), first.attributes, first.remark)
