"""Files with shapes: which are opened, and with what.

What a file is its content says, never its name. GDAL looks into files too, but some of its drivers go on to
read other files and addresses that a file names (virtual layers, streamed algorithms, web services), and
pyogrio cannot tell it which drivers to use. So GDAL is shown three binary formats only, whose first bytes no
other driver takes; text is parsed in Python, and archives are unpacked.
"""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutlineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["READABLE", "Kind", "ShapeFile", "open_shapes"]

READABLE = "GeoJSON, GeoPackage, shapefile (zipped too), FlatGeobuf, KML or GeoParquet"
"""What can be read, for messages."""

LARGEST = 4_000_000_000
"""Bytes that an archive may unpack to; the largest region of RGI has a tenth of that."""


class Kind(Enum):
    """Formats that are read; for those that GDAL reads, the name of its driver."""

    GEOJSON = "GeoJSON"
    KML = "KML"
    PARQUET = "GeoParquet"
    GEOPACKAGE = "GPKG"
    SHAPEFILE = "ESRI Shapefile"
    FLATGEOBUF = "FlatGeobuf"


@dataclass(frozen=True)
class ShapeFile:
    """A file that may be read.

    Attributes
    ----------
    name
        What its user called it, for messages.
    path
        Where it is, while it is open; a folder where there are several shapefiles.
    kind
        Its format.
    shapes
        What it should hold, for messages.
    """

    name: str
    path: Path
    kind: Kind
    shapes: str

    def refused(self, reason: str) -> OutlineError:
        """Make the error for a file that is none of the formats that are read, and say what it is."""
        return _refused(self.name, self.shapes, f", but {reason}")

    def placemarks(self, layer: str | None = None) -> tuple[np.ndarray, list[Mapping[str, Any]]]:
        """Read the shapes (n,) and attributes of a KML file, in lon/lat; see `kml.read_placemarks`.

        Raises
        ------
        OutlineError
            If it is some other XML, is damaged, or has no such layer.
        """
        import shapely

        from itslive_core.places.kml import read_placemarks

        try:
            shapes, tables = read_placemarks(self.path, layer)
        except (OSError, ValueError, RecursionError, shapely.errors.ShapelyError) as error:
            raise self.refused(f"XML that is not read as KML ({error})") from error
        return np.array(shapes, dtype=object), tables


def _refused(name: str, shapes: str, reason: str = "") -> OutlineError:
    return OutlineError(f"{name} cannot be read: it holds no {shapes} as {READABLE}{reason}")


_BINARY = (
    (b"\x00\x00\x27\x0a", Kind.SHAPEFILE),
    (b"fgb\x03fgb", Kind.FLATGEOBUF),
    (b"PAR1", Kind.PARQUET),
)
_SQLITE = b"SQLite format 3\x00"
_APPLICATION_ID = slice(68, 72)
_GEOPACKAGES = (b"GPKG", b"GP10", b"GP11")
_ZIP = b"PK\x03\x04"
_OF_GDAL = (Kind.GEOPACKAGE, Kind.SHAPEFILE, Kind.FLATGEOBUF)

_MEMBERS = (
    (".shp",),
    (".gpkg",),
    (".fgb",),
    (".parquet", ".geoparquet"),
    (".geojson",),
    (".kml",),
    (".json",),
)
"""Endings of what an archive may hold; the first that is there counts: RGI packs notes in JSON, too."""
_BESIDE_SHP = (".shx", ".dbf", ".prj", ".cpg")


@contextmanager
def open_shapes(path: str | Path, *, noun: str, shapes: str) -> Iterator[ShapeFile]:
    """Find out what a file is, and make sure that reading it reads nothing else.

    Parameters
    ----------
    path
        A file of this machine; or a zip archive of one, or a folder of shapefiles.
    noun, shapes
        What messages call the file (``outline``) and what it should hold (``polygons``).

    Raises
    ------
    OutlineError
        If it is missing, or none of the formats that are read.
    """
    name = str(path)
    if "://" in name:
        raise OutlineError(f"{name} is an address: download the {noun} file and give its path")
    if not _is_file_or_folder(Path(name)):
        raise OutlineError(f"there is no {noun} file {name}: check the path")
    if "!" in name:  # pyogrio would take what follows for a member of an archive
        raise OutlineError(f"{name} has a ! in its path: rename it")
    whole = Path(name).resolve()
    with tempfile.TemporaryDirectory() as folder:
        try:
            inside = whole
            if whole.is_file() and _head(whole).startswith(_ZIP):
                inside = _unpacked(whole, Path(folder), name)
            parts = _shapefiles(inside) if inside.is_dir() else [inside]
            inside = parts[0] if len(parts) == 1 else inside
            kinds = {_kind(part) for part in parts}
            kind = kinds.pop() if len(kinds) == 1 else None
        except OSError as error:
            raise OutlineError(f"{name} cannot be read: {error.strerror or error}") from error
        if kind is None or (inside.is_dir() and kind is not Kind.SHAPEFILE):
            raise _refused(name, shapes)
        if kind is Kind.GEOPACKAGE:
            _check_geopackage(inside, name)
        if kind in _OF_GDAL:
            _check_driver(inside, kind, name)
        yield ShapeFile(name, inside, kind, shapes)


def _is_file_or_folder(path: Path) -> bool:
    """Tell whether there is something to read: a pipe would keep its reader waiting."""
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or with a zero byte in it
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _kind(path: Path) -> Kind | None:
    """Tell the format of a file from its first bytes; None if it is not one that is read."""
    head = _head(path)
    if head.startswith(_SQLITE):
        return Kind.GEOPACKAGE if head[_APPLICATION_ID] in _GEOPACKAGES else None
    for magic, kind in _BINARY:
        if head.startswith(magic):
            return kind
    if head.startswith(_ZIP):
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{") or path.suffix.lower() in (".geojson", ".json"):
        return Kind.GEOJSON
    return Kind.KML if text.startswith(b"<") else None


def _shapefiles(folder: Path) -> list[Path]:
    """List the shapefiles of a folder; none where there are several, and other files that GDAL might read."""
    every = [path for path in folder.iterdir() if path.name not in ("__MACOSX", ".DS_Store")]
    if len(every) == 1 and every[0].is_dir() and not every[0].is_symlink():
        return _shapefiles(every[0])
    found = [path for path in every if path.suffix.lower() == ".shp"]
    alone = all(path.suffix.lower() in (".shp", *_BESIDE_SHP) for path in every)
    return found if len(found) == 1 or alone else []


def _check_geopackage(path: Path, name: str) -> None:
    """Refuse a database whose tables are more than stored values.

    Virtual tables, views and generated columns may call functions that GDAL adds to SQLite, and some of these
    read files and addresses. Plain SQLite knows none of them: what it can prepare is harmless.
    """
    import re
    import sqlite3

    index = re.compile(
        r'CREATE VIRTUAL TABLE ("(?:[^"]|"")*"|\w+) USING "?(rtree|fts[345])"?\s*\(', re.IGNORECASE
    )
    # A database with a write-ahead log cannot be opened as one that nobody changes.
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            tables = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view')"
            for table, sql in database.execute(tables).fetchall():
                if not index.match(sql or ""):
                    if str(sql).upper().startswith("CREATE VIRTUAL"):
                        raise OutlineError(f"{name} has a virtual table, {table!r}: save it as a plain one")
                    quoted = str(table).replace('"', '""')
                    database.execute(f'EXPLAIN SELECT * FROM "{quoted}"')  # noqa: S608 - quoted
    except sqlite3.Error as error:
        raise OutlineError(
            f"{name} cannot be read as a plain GeoPackage ({error}): export it again"
        ) from error


def _check_driver(path: Path, kind: Kind, name: str) -> None:
    """Make sure that GDAL takes a file for what its first bytes say."""
    from pyogrio import read_info

    try:
        driver = read_info(path, layer=0)["driver"]
    except (RuntimeError, OSError, ValueError) as error:  # all of pyogrio.errors are RuntimeErrors
        raise OutlineError(f"{name} cannot be read ({error})") from error
    if driver != kind.value:
        raise OutlineError(f"{name} cannot be read: GDAL takes it for {driver} instead of {kind.value}")


def _unpacked(path: Path, folder: Path, name: str) -> Path:
    """Unpack the shapes of an archive into a folder, whatever folders it has, and give the file or files."""
    import shutil
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as archive:
            files = [
                one for one in archive.infolist() if not one.is_dir() and "__MACOSX/" not in one.filename
            ]
            chosen: list[zipfile.ZipInfo] = []
            for endings in _MEMBERS:
                chosen = [one for one in files if one.filename.lower().endswith(endings)]
                if chosen:
                    break
            names = [Path(one.filename).name for one in chosen]
            shapefiles = bool(chosen) and names[0].lower().endswith(".shp")
            if not chosen or (len(chosen) > 1 and not shapefiles) or len({*names}) < len(names):
                raise OutlineError(
                    f"{name} holds {', '.join(names[:4]) or 'no file'} where one was expected:"
                    f" pack one {READABLE}"
                )
            if shapefiles:
                stems = {one.filename[:-4] for one in chosen}
                chosen += [
                    one
                    for one in files
                    if one.filename[:-4] in stems and one.filename.lower().endswith(_BESIDE_SHP)
                ]
            if sum(one.file_size for one in chosen) > LARGEST:
                raise OutlineError(f"{name} unpacks to more than {LARGEST / 1e9:.0f} GB: give a smaller file")
            for one in chosen:
                with archive.open(one) as source, (folder / Path(one.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise OutlineError(f"{name} cannot be unpacked ({error}): pack it again") from error
    return folder if shapefiles else folder / names[0]
