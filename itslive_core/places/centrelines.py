"""Centrelines of one glacier, from a file in any of the usual schemes or from OGGM."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyproj

from itslive_core.errors import OutlineError, ServiceError
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.places.outlines import parse_geojson, pick, table_of_geojson
from itslive_core.places.shape_files import Kind, ShapeFile, open_shapes
from itslive_core.support.caching import cache_folder
from itslive_core.support.web import Retry, download

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas
    from shapely.geometry.base import BaseGeometry

__all__ = ["VARIABLE", "download_centrelines", "read_centrelines", "read_lines"]

VARIABLE = "ITSLIVE_CENTRELINES_URL"
"""Environment variable that names another folder of archives ``centerlines_smoothed_<rr>.tar.gz``."""

OGGM = (
    "https://cluster.klima.uni-bremen.de/~oggm/gdirs/oggm_v1.6/L1-L2_files/centerlines/RGI62/b_010/L2/summary"
)

# In RGI 7 `rgi_id` is the line's own id, `rgi_g_id` the glacier's. An old LENGTH runs to the terminus.
GLACIER_COLUMNS = ("rgi_g_id", "rgi_id", "rgiid")
GLIMS_COLUMNS = ("glims_id", "glimsid", "glimsid_cr")
MAIN_COLUMNS = ("is_main", "main")
LENGTH_COLUMNS = ("length_m", "le_segment", "length")

INSIDE = 0.5  # share of a line's length inside the outline from which on it belongs to the glacier
ELLIPSOID = pyproj.Geod(ellps="WGS84")


def read_centrelines(
    path: str | Path,
    outline: BaseGeometry,
    *,
    rgi_id: str | None = None,
    glims_id: str | None = None,
    label: str = "this glacier",
) -> geopandas.GeoDataFrame:
    """Read the centrelines of one glacier.

    Parameters
    ----------
    path
        A file of lines: GeoJSON, GeoPackage, shapefile (zipped too), FlatGeobuf, KML or GeoParquet.
    outline
        The glacier in lon/lat.
    rgi_id, glims_id
        Its ids. Where the file has neither, lines that lie in the outline by half of their length are taken.
    label
        What messages call the glacier.

    Returns
    -------
    geopandas.GeoDataFrame
        Columns ``rgi_id``, ``main`` (bool), ``length_m`` and ``geometry`` (lon/lat), main and long lines
        first.

    Raises
    ------
    OutlineError
        If the file cannot be read, or holds no line of this glacier.
    """
    table = read_lines(path, outline)
    chosen = _chosen(table, outline, rgi_id, glims_id)
    if chosen.empty:
        raise OutlineError(f"{path} holds no centreline of {label}: load the file of its region")
    return _normal(chosen, rgi_id)


def download_centrelines(region: int, *, retry: Retry | None = None) -> Path:
    """Return the file with OGGM's smoothed centrelines of a first-order region, fetched once.

    Parameters
    ----------
    region
        1 to 19. The lines belong to glaciers of RGI 6.

    Raises
    ------
    ServiceError
        If the archive cannot be fetched, is damaged, or cannot be kept.
    """
    base = os.environ.get(VARIABLE, "").strip() or OGGM
    name = f"centerlines_smoothed_{region:02d}"
    advice = "load centrelines from a file instead"
    try:
        folder = cache_folder("centrelines")
        found = sorted((folder / name).glob("*.shp"))
        if not found:
            archive = folder / f"{name}.tar.gz"
            address = f"{base.rstrip('/')}/{archive.name}"
            download(address, archive, who="the centreline archive of OGGM", retry=retry)
            try:
                found = _unpack(archive, folder / name)
            finally:
                archive.unlink(missing_ok=True)
    except ServiceError as error:
        raise ServiceError(f"{error}, or {advice}") from error
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ServiceError(
            f"the centrelines of region {region} cannot be kept ({error}): {advice}"
        ) from error
    if not found:
        raise ServiceError(f"the archive {name}.tar.gz holds no shapefile: {advice}")
    return found[0]


def _unpack(archive: Path, folder: Path) -> list[Path]:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        whole = Path(scratch) / "whole"
        whole.mkdir()
        for path in [
            path for path in Path(scratch).rglob("*") if path.is_file() and whole not in path.parents
        ]:
            shutil.move(path, whole / path.name)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)  # all at once: a second process sees the folder complete or not at all
    return sorted(folder.glob("*.shp"))


def read_lines(path: str | Path, outline: BaseGeometry | None = None) -> geopandas.GeoDataFrame:
    """Read the lines of a file in lon/lat, with its columns in lower case.

    Parameters
    ----------
    path
        As for `read_centrelines`.
    outline
        Read only lines near it, if the file can tell them without reading all.

    Raises
    ------
    OutlineError
        If the file cannot be read.
    """
    import geopandas

    name = str(path)
    try:
        with open_shapes(path, noun="centreline", shapes="centrelines") as file:
            table = _table(file, outline)
    except ImportError as error:
        raise OutlineError(f"{name} needs pyarrow to be read: pip install pyarrow") from error
    except (RuntimeError, OSError, ValueError) as error:
        raise OutlineError(f"{name} cannot be read as a file of centrelines ({error})") from error
    if not isinstance(table, geopandas.GeoDataFrame):
        raise OutlineError(f"{name} is a table without shapes: centrelines must be lines")
    table = table.rename_geometry("geometry") if table.geometry.name != "geometry" else table
    table = table.set_crs(LONLAT) if table.crs is None else table.to_crs(LONLAT)
    lines = table[table.geom_type.isin(["LineString", "MultiLineString"]) & ~table.is_empty]
    return lines.rename(columns={column: str(column).lower() for column in lines.columns})


def _table(file: ShapeFile, outline: BaseGeometry | None) -> geopandas.GeoDataFrame:
    """Read what a file holds; of a regional one, tens of thousands of lines, those near the glacier."""
    import geopandas
    import pyogrio

    if file.kind is Kind.PARQUET:
        return geopandas.read_parquet(file.path)
    if file.kind in (Kind.GEOJSON, Kind.KML):
        is_kml = file.kind is Kind.KML
        content = (*file.placemarks(), LONLAT) if is_kml else table_of_geojson(parse_geojson(file))
        if content is None:
            raise file.refused("some other JSON")
        shapes, rows, crs = content
        return geopandas.GeoDataFrame(rows, geometry=list(shapes), crs=crs)
    crs = pyogrio.read_info(file.path)["crs"] or LONLAT
    if outline is None:
        return pyogrio.read_dataframe(file.path)
    west, _, east, _ = outline.bounds
    wraps = west < -180.0 or east > 180.0
    box = None if wraps else transformer(LONLAT, crs).transform_bounds(*outline.bounds)
    return pyogrio.read_dataframe(file.path, bbox=box)


def _chosen(
    table: geopandas.GeoDataFrame, outline: BaseGeometry, rgi_id: str | None, glims_id: str | None
) -> geopandas.GeoDataFrame:
    import shapely

    for wanted, columns in ((rgi_id, GLACIER_COLUMNS), (glims_id, GLIMS_COLUMNS)):
        for column in columns if wanted else ():
            if column in table:
                rows = table[table[column].astype(str).str.strip().str.upper() == str(wanted).upper()]
                if len(rows):
                    return rows
    lines = table.geometry.to_numpy()
    length = shapely.length(lines)
    inside = shapely.length(shapely.intersection(lines, outline))
    return table[(length > 0.0) & (inside >= INSIDE * length)]


def _normal(table: geopandas.GeoDataFrame, rgi_id: str | None) -> geopandas.GeoDataFrame:
    import geopandas

    rows = [_normal_row(row, rgi_id) for row in table.to_dict("records")]
    lines = geopandas.GeoDataFrame(rows, columns=["rgi_id", "main", "length_m", "geometry"], crs=LONLAT)
    if not lines["main"].any():
        lines.loc[lines["length_m"].idxmax(), "main"] = True
    lines["main"] = lines["main"].astype(bool)
    return lines.sort_values(["main", "length_m"], ascending=False, kind="stable", ignore_index=True)


def _normal_row(row: Mapping[str, Any], rgi_id: str | None) -> dict[str, Any]:
    values = {key: value for key, value in row.items() if key != "geometry" and not _missing(value)}
    length = pick(values, LENGTH_COLUMNS)
    measured = ELLIPSOID.geometry_length(row["geometry"]) if length is None else float(length)
    main = pick(values, MAIN_COLUMNS)
    return {
        "rgi_id": pick(values, GLACIER_COLUMNS) or rgi_id,
        "main": str(main).strip().lower() in ("1", "1.0", "true"),
        "length_m": measured,
        "geometry": row["geometry"],
    }


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))
