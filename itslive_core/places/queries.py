"""What a person means who types something into one search box."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from itslive_core.places.positions import Position, parse_position
from itslive_core.places.rgi import parse_rgi_id

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["OUTLINE_SUFFIXES", "Query", "read_query"]

OUTLINE_SUFFIXES = frozenset(
    {".geojson", ".json", ".gpkg", ".zip", ".shp", ".kml", ".kmz", ".fgb", ".parquet"}
)
"""Endings of files of outlines."""

Kind: TypeAlias = 'Literal["nothing", "position", "rgi", "glims", "cube", "outlines", "name"]'

_RGI6_SHORT = re.compile(r"(?:RGI)?[ _-]?(?:60)?[ _-]?(\d\d)\.(\d{5})", re.IGNORECASE)
_RGI7_SHORT = re.compile(r"(?:RGI2000[ _-]v7\.0[ _-])?G[ _-](\d\d)[ _-](\d{5})", re.IGNORECASE)
_GLIMS = re.compile(r"G(\d{3})(\d{3})E(\d{2})(\d{3})([NS])", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)


@dataclass(frozen=True)
class Query:
    """What was typed, understood.

    Attributes
    ----------
    kind
        ``position``; ``rgi`` or ``glims``, an id in its usual spelling; ``cube`` or ``outlines``, a path or
        URL; ``name``, anything else; ``nothing``.
    text
        The id, path, URL or name.
    position
        The place of a position, and the one that a GLIMS id holds.
    """

    kind: Kind
    text: str
    position: Position | None = None


def read_query(text: str) -> Query:
    """Understand what was typed.

    Parameters
    ----------
    text
        A position, an RGI or GLIMS id, a path or URL of a cube or of outlines, or a name.

    Raises
    ------
    SelectionError
        If it is a position that does not exist.
    SettingsError
        If it is an RGI id of a region that does not exist.
    """
    plain = " ".join(text.split())
    bare = plain.strip("\"'<>")
    if not bare:
        return Query("nothing", "")
    for pattern, usual in ((_RGI6_SHORT, "RGI60-{}.{}"), (_RGI7_SHORT, "RGI2000-v7.0-G-{}-{}")):
        if match := pattern.fullmatch(bare):
            return Query("rgi", parse_rgi_id(usual.format(*match.groups())).text)
    if match := _GLIMS.fullmatch(bare):
        return Query("glims", bare.upper(), _of_glims(match))
    position = parse_position(text)
    if position is not None:
        return Query("position", plain, position)
    if (path := _path(bare)) is not None:
        return path
    if bare.upper().startswith("RGI"):
        return Query("rgi", parse_rgi_id(bare).text)
    return Query("name", plain)


def _of_glims(match: re.Match[str]) -> Position:
    """Return the place that a GLIMS id is made of."""
    lon, lat = float(f"{match[1]}.{match[2]}"), float(f"{match[3]}.{match[4]}")
    return Position(
        lon - 360.0 if lon > 180.0 else lon, -lat if match[5].upper() == "S" else lat, ordered=True
    )


def _path(text: str) -> Query | None:
    """Understand a path or a URL; None where it is neither."""
    scheme = urlsplit(text).scheme.lower() if "://" in text else ""
    if scheme == "file":
        text = urlsplit(text).path
    where = urlsplit(text).path if scheme in ("http", "https", "s3", "gs") else text
    suffix = PurePosixPath(where.replace("\\", "/").rstrip("/")).suffix.lower()
    if suffix in OUTLINE_SUFFIXES:
        return Query("outlines", text)
    if scheme or suffix == ".zarr" or text.startswith(("/", "~", "./", "../")) or _DRIVE.match(text):
        return Query("cube", text.rstrip("/"))
    return None
