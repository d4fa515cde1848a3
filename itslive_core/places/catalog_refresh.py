"""Reading, fetching and caching the catalog of cubes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import math
import os
import re
import threading
import time
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itslive_core.errors import ItsliveError, ServiceError
from itslive_core.places.boxes import BOX, TILE, TILE_ORIGIN
from itslive_core.places.catalog import Catalog
from itslive_core.places.cube_record import HTTPS, S3, VERSION, CubeRecord
from itslive_core.places.lattice import lattice_file
from itslive_core.support.caching import cache_folder, write_atomically
from itslive_core.support.web import Retry, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["PUBLIC", "VARIABLE", "load_catalog", "parse", "refresh_catalog", "refresh_in_background"]

log = logging.getLogger(__name__)

PUBLIC = HTTPS + "datacubes/catalog_v02.json"
"""Address of the public catalog."""

VARIABLE = "ITSLIVE_CATALOG"
"""Environment variable that names another catalog, a file or an address."""

DAY = 86_400.0  # s
NAME = re.compile(r"EPSG(\d{4,5})_G\d+_X(-?\d+)_Y(-?\d+)")
RELEASE = re.compile(r"/datacubes/([^/]+)/[NS]\d\d[EW]\d\d\d/")
TILE_NAME = re.compile(r"EPSG(\d{4,5})_(\d+)m_X(-?\d+)_Y(-?\d+)")
PRODUCTS = re.compile(r"composite|mosaic|_(120|240)m_X", re.IGNORECASE)
"""Addresses of what was made of cubes."""
COLUMNS = ("epsg", "cx", "cy", "version", "location", "side")


def load_catalog() -> Catalog:
    """Return the catalog: what ``ITSLIVE_CATALOG`` names, else the last refreshed, else the package's own.

    Never fails: a catalog that cannot be read is replaced by the package's, with a warning in the log.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named and not _is_address(named):
        return _read_or_fall_back(named, _changed(Path(named).expanduser()))
    address = named or PUBLIC
    cached = _cache_file(address)
    changed = _changed(cached) if cached else None
    if cached and changed:
        return _read_or_fall_back(str(cached), changed)
    return _first_fetch(address) if named else _packaged()


def refresh_catalog(url: str | None = None, *, timeout: float = 60.0) -> Catalog:
    """Fetch the public catalog, and keep it in the cache for later lookups.

    Parameters
    ----------
    url
        Address or file to read instead; by default what ``ITSLIVE_CATALOG`` names, else the public catalog.
    timeout
        Seconds to wait for each piece of the answer.

    Raises
    ------
    ServiceError
        If it cannot be fetched, or lists no cube. What was there before stays in use.
    """
    address = url or os.environ.get(VARIABLE, "").strip() or PUBLIC
    if not _is_address(address):
        return _read(Path(address).expanduser())
    content = fetch(address, who="the catalog of cubes", retry=Retry(read=timeout))
    catalog = _parse_or_raise(content, address)
    cached = _cache_file(address)
    if cached:
        try:
            write_atomically(cached, _as_csv(catalog.records))
        except OSError as error:
            log.warning("the catalog of cubes is not kept for the next start: %s", error)
    return catalog


def refresh_in_background(
    callback: Callable[[Catalog], None] | None = None, *, max_age: float = 7.0
) -> threading.Thread:
    """Refresh the catalog in a thread, unless the cached one is recent.

    Parameters
    ----------
    callback
        Called in that thread with the new catalog; not called where nothing was fetched.
    max_age
        Days during which a cached catalog is recent enough.

    Returns
    -------
    threading.Thread
        Started; a failure is logged and changes nothing.
    """

    def work() -> None:
        address = os.environ.get(VARIABLE, "").strip() or PUBLIC
        cached = _cache_file(address) if _is_address(address) else None
        changed = _changed(cached) if cached else None
        if changed and time.time() - changed / 1e9 < max_age * DAY:
            return
        try:
            catalog = refresh_catalog(address)
        except ItsliveError as error:
            log.warning("the catalog of cubes stays as it is: %s", error)
            return
        if callback is not None:
            callback(catalog)

    thread = threading.Thread(target=work, name="itslive-catalog", daemon=True)
    thread.start()
    return thread


def parse(content: bytes, source: str) -> Catalog:
    """Read a catalog: GeoJSON in any of the variants in circulation, or our own table.

    Parameters
    ----------
    content
        What the file holds.
    source
        Where it came from.

    Raises
    ------
    ValueError
        If it is no catalog, or lists no cube.
    """
    text = content.decode("utf-8-sig")
    if text.startswith(",".join(COLUMNS[:3])):
        records = [_from_row(row) for row in csv.DictReader(io.StringIO(text))]
    else:
        document = json.loads(text)
        features = document.get("features") if isinstance(document, dict) else None
        if not isinstance(features, list):
            raise ValueError("it has no list of features")
        found = [_from_feature(feature) for feature in features]
        records = [record for record in found if record is not None]
        if len(records) < len(features):
            skipped = len(features) - len(records)
            log.info("%d of %d entries of %s name no cube that exists", skipped, len(features), source)
    if not records:
        what = "composites or mosaics, and no cube of image pairs" if PRODUCTS.search(text) else "no cube"
        raise ValueError(f"it lists {what}")
    unique = {(record.epsg, record.cx, record.cy, record.side): record for record in records}
    return Catalog(tuple(unique.values()), source)


def _parse_or_raise(content: bytes, source: str) -> Catalog:
    try:
        return parse(content, source)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServiceError(f"{source} is not a catalog of cubes: {error}; name another one") from error


def _read(path: Path) -> Catalog:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ServiceError(f"the catalog {path} cannot be read: {error.strerror or error}") from error
    return _parse_or_raise(content, str(path))


@lru_cache(maxsize=4)
def _read_or_fall_back(path: str, changed: int | None) -> Catalog:  # noqa: ARG001 - a new date is a new entry
    try:
        return _read(Path(path).expanduser())
    except ItsliveError as error:
        log.warning("the package's own catalog is used: %s", error)
        return _packaged()


@lru_cache(maxsize=4)
def _first_fetch(address: str) -> Catalog:
    try:
        return refresh_catalog(address, timeout=15.0)
    except ItsliveError as error:
        log.warning("the package's own catalog is used: %s", error)
        return _packaged()


@lru_cache(maxsize=1)
def _packaged() -> Catalog:
    return parse(lattice_file(), "package data")


def _is_address(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _cache_file(address: str) -> Path | None:
    key = hashlib.sha256(address.encode()).hexdigest()[:16]
    try:
        return cache_folder("catalog") / f"{key}.csv"
    except OSError:
        return None


def _changed(path: Path) -> int | None:
    """When a file was changed last [ns], or None if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _as_csv(records: tuple[CubeRecord, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [record.epsg, record.cx, record.cy, record.version, record.location, record.side]
        for record in records
    )
    return text.getvalue().encode()


def _from_row(row: Mapping[str, str | None]) -> CubeRecord:
    epsg, side = int(row["epsg"] or ""), int(row.get("side") or BOX)
    cx, cy = (float(row[name] or "") for name in COLUMNS[1:3])
    if side == BOX:
        cx, cy = int(cx), int(cy)
    return CubeRecord(epsg, cx, cy, row.get("version") or VERSION, "", row.get("location") or "", side)


def _from_feature(feature: Any) -> CubeRecord | None:
    """Read one entry of a GeoJSON catalog; None where it names no cube that exists on a lattice."""
    given = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(given, dict):
        return None
    entries = {str(key).lower(): value for key, value in given.items()}
    if entries.get("datacube_exist", entries.get("datacube_e", 1)) in (0, "0", False):
        return None
    url = _public(next((one for one in _addresses(entries) if not _is_product(one)), ""))
    if not url and any(_is_product(one) for one in entries.values() if isinstance(one, str)):
        return None  # a composite or a mosaic
    name = url or str(entries.get("cube_id") or "")
    place = _of_side(_from_box(entries), TILE) or _from_name(name) or _of_side(_from_box(entries), BOX)
    if place is None or not _exists(place.epsg):
        return None
    release = RELEASE.search(url)
    record = replace(place, version=release.group(1) if release else VERSION)
    return record if url in ("", record.url) else replace(record, location=url)


def _addresses(entries: Mapping[str, Any]) -> Iterator[str]:
    preferred = [entries.get(name) for name in ("zarr_url", "url", "zarr", "s3")]
    for value in [*preferred, *entries.values()]:
        if isinstance(value, str) and value.rstrip("/").endswith(".zarr"):
            yield value.rstrip("/")


@lru_cache(maxsize=256)
def _exists(epsg: int) -> bool:
    """Tell whether a coordinate system is one."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        CRS.from_epsg(epsg)
    except CRSError:
        return False
    return True


def _is_product(address: str) -> bool:
    """Tell whether an address is one of what was made of cubes; the name of its host does not matter."""
    return PRODUCTS.search(address.partition("://")[2].partition("/")[2] or address) is not None


def _public(url: str) -> str:
    """Return an address in the public bucket as https; others stay as they are."""
    for prefix in (HTTPS.replace("https:", "http:", 1), S3):
        if url.startswith(prefix):
            return HTTPS + url[len(prefix) :]
    return url


def _from_name(url: str) -> CubeRecord | None:
    """Tell the place of a cube from its name: of a box by its centre, of a tile by its lower left corner."""
    name = url.rpartition("/")[2]
    if match := NAME.search(name):
        epsg, cx, cy = map(int, match.groups())
        if _is_box(cx, cy):
            return CubeRecord(epsg, cx, cy)
        corner = _corner(cx - TILE / 2, cy - TILE / 2)
        near = max(abs(corner[0] + TILE / 2 - cx), abs(corner[1] + TILE / 2 - cy)) < 2 * TILE_ORIGIN[1]
        return _tile(epsg, corner) if near else None
    match = TILE_NAME.search(name)
    if match is None or int(match[2]) != TILE:
        return None
    return _tile(int(match[1]), _corner(int(match[3]), int(match[4])))


def _corner(x: float, y: float) -> tuple[float, float]:
    """Give the lower left corner of a tile that is next: names hold whole metres, corners lie on halves."""
    near = [round((value - begin) / TILE) * TILE + begin for value, begin in zip((x, y), TILE_ORIGIN)]
    return near[0], near[1]


def _tile(epsg: int, corner: tuple[float, float]) -> CubeRecord:
    return CubeRecord(epsg, corner[0] + TILE / 2, corner[1] + TILE / 2, side=TILE)


def _is_box(cx: float, cy: float) -> bool:
    return not any((value - BOX // 2) % BOX for value in (cx, cy))


def _from_box(entries: Mapping[str, Any]) -> tuple[int, float, float, float, float] | None:
    """EPSG, centre and sides of the box in projected coordinates; None where an entry has none."""
    code = str(entries.get("epsg", entries.get("data_epsg", ""))).strip().removesuffix(".0")
    epsg = re.search(r"(\d{4,5})$", code)
    box = entries.get("geometry_epsg", entries.get("geometry_e"))
    if isinstance(box, str):
        try:
            box = json.loads(box)
        except ValueError:
            return None
    points = set(_points(box.get("coordinates"))) if isinstance(box, dict) else set()
    if epsg is None or not points:
        return None
    (xmin, ymin), (xmax, ymax) = map(min, zip(*points)), map(max, zip(*points))
    if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))) or not points >= set(
        product((xmin, xmax), (ymin, ymax))
    ):
        return None
    return int(epsg[1]), (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin


def _of_side(box: tuple[int, float, float, float, float] | None, side: int) -> CubeRecord | None:
    """Make a record of a box that has the sides of a generation."""
    if box is None or max(abs(length - side) for length in box[3:]) > 1.0:
        return None
    epsg, cx, cy = box[:3]
    if side == BOX:
        return CubeRecord(epsg, round(cx), round(cy)) if _is_box(round(cx), round(cy)) else None
    return CubeRecord(epsg, cx, cy, side=side)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    """All points of nested GeoJSON coordinates, of a Polygon or a MultiPolygon."""
    if isinstance(coordinates, list) and coordinates:
        if isinstance(coordinates[0], int | float):
            yield float(coordinates[0]), float(coordinates[1])
        else:
            for part in coordinates:
                yield from _points(part)
