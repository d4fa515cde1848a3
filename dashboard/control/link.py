"""The link to what is on the screen: what it says of points and datacubes, and how to come back to them.

A link names datacubes by their addresses, those of the example by nothing, and one on somebody's own machine
by its name and a digest of its content: whoever opens such a link is asked for a copy. A path is never in it.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dashboard.hosting.results import is_id
from dashboard.hosting.secrets import has_secret
from dashboard.state.selection import MAX_POINTS, Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dashboard.control.session import Session
    from itslive_core import Datacube

__all__ = ["PLACE_KEYS", "LinkedPoint", "Place", "content_of", "place_in", "restore", "written_place"]

PLACE_KEYS = frozenset({"lon", "lat", "cube", "cubes", "points", "glacier", "job", "layer", "time", "data"})
"""What a link holds of where it points and of what the maps show there."""
_LONGEST_ADDRESS = 500
_CONTENTS: WeakKeyDictionary[Datacube, str] = WeakKeyDictionary()
"""What was summed up: the address is written at each move of a slider, and a cube does not change."""
_OWN = re.compile(r"~([\w.-]{0,60})~([0-9a-f]{12})")
_GLACIER = re.compile(r"[\w.:-]{1,60}")
_VERSION = re.compile(r"[\w.:+-]{1,60}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class LinkedPoint:
    """A point as a link names it.

    Parameters
    ----------
    lon, lat : float
        [degrees]
    slot : int
        Of its colour.
    cube : str
        Address of its cube, ``~NAME~DIGEST`` of one that the link's maker has, or empty for that of the
        example.
    """

    lon: float
    lat: float
    slot: int = 0
    cube: str = ""


@dataclass(frozen=True)
class Place:
    """What a link points at.

    Parameters
    ----------
    points : tuple of LinkedPoint
        The last one is active.
    glacier : str
        RGI id of the active glacier; empty where the link does not say.
    job : str
        Id of the estimate of a whole glacier, empty for none.
    layer, time : str
        What the glacier's map shows, and the marked day; empty where the link does not say.
    data : str
        Version of the data of the active point when the link was made.
    """

    points: tuple[LinkedPoint, ...] = ()
    glacier: str = ""
    job: str = ""
    layer: str = ""
    time: str = ""
    data: str = ""

    @property
    def active(self) -> LinkedPoint | None:
        """The active point."""
        return self.points[-1] if self.points else None


def content_of(cube: Datacube) -> str:
    """Sum up which pixels and image pairs a datacube holds, wherever it lies: 12 hexadecimal digits."""
    found = _CONTENTS.get(cube)
    if found is None:
        digest = hashlib.blake2b(cube.crs.to_wkt().encode(), digest_size=6)
        table = cube.pair_table
        for values in (cube.x, cube.y, table.start, table.end):
            digest.update(values.astype("<f8").tobytes())
        found = _CONTENTS[cube] = digest.hexdigest()
    return found


def _token(cube: Datacube | None, url: str, example: Iterable[str], *, named: bool) -> str:
    """Name a cube as a link does; empty for one of the example, and for one that cannot be named."""
    if url in set(example) or has_secret(url):
        return ""
    if url.startswith(("https://", "s3://")):
        return url if "::" not in url and len(url) < _LONGEST_ADDRESS else ""
    if cube is None:
        return ""
    name = re.sub(r"[^\w.-]", "_", PurePath(url).name)[:60] if named else ""
    return f"~{name}~{content_of(cube)}"


def written_place(
    session: Session, example: Iterable[str], layer: str = "median", time: str = ""
) -> dict[str, str]:
    """Return what a link should hold of where it points; nothing without a point or a result.

    Parameters
    ----------
    session : Session
    example : iterable of str
        Where the cubes of the open example lie.
    layer, time : str
        What the glacier's map shows, and the marked day.
    """
    selection, example = session.selection, tuple(example)
    points = selection.points
    job = {"job": session.jobs.shown} if session.jobs.shown else {}
    if not points:
        return job
    cubes = {cube.url: cube for cube in selection.cubes}
    named = not session.host.rules.public
    tokens = [_token(cubes.get(one.cube_url), one.cube_url, example, named=named) for one in points]
    active = points[-1]
    found = {"lon": f"{active.lon:.6f}", "lat": f"{active.lat:.6f}", **job}
    known = list(dict.fromkeys(reversed(tokens)))
    if tokens[-1]:
        found["cube"] = tokens[-1]
    if len(known) > 1:
        found["cubes"] = "|".join(known)
    if len(points) > 1 or active.slot:
        found["points"] = ";".join(
            f"{one.lon:.6f},{one.lat:.6f},{one.slot}" + (f",{known.index(token)}" if len(known) > 1 else "")
            for one, token in zip(points, tokens, strict=True)
        )
    glacier = selection.glacier
    if glacier is not None and glacier.rgi_id and _GLACIER.fullmatch(str(glacier.rgi_id)):
        found["glacier"] = str(glacier.rgi_id)
    cube = cubes.get(active.cube_url)
    if cube is not None and cube.date_updated and _VERSION.fullmatch(str(cube.date_updated)):
        found["data"] = str(cube.date_updated)
    if layer != "median":
        found["layer"] = layer
    if time:
        found["time"] = time
    return found


def _cube_in(text: Any) -> str:
    text = str(text)
    remote = text.startswith(("https://", "s3://")) and "::" not in text and len(text) < _LONGEST_ADDRESS
    return text if remote or _OWN.fullmatch(text) else ""


def _degrees(text: Any, limit: float) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and abs(value) <= limit else None


def _point_in(parts: Sequence[str], cubes: Sequence[str]) -> LinkedPoint | None:
    if not 2 <= len(parts) <= 4:
        return None
    lon, lat = _degrees(parts[0], 180.0), _degrees(parts[1], 90.0)
    whole = [int(one) for one in parts[2:] if one.isdecimal() and len(one) < 4]
    if lon is None or lat is None or len(whole) != len(parts) - 2:
        return None
    slot, cube = (*whole, 0, 0)[:2]
    if slot >= MAX_POINTS or cube >= max(len(cubes), 1):
        return None
    return LinkedPoint(lon, lat, slot, cubes[cube] if cubes else "")


def place_in(query: Mapping[str, Any]) -> Place:
    """Read the place from the query of an address; what is impossible is left out."""
    cube = _cube_in(query.get("cube", ""))
    cubes = (
        [_cube_in(one) for one in str(query["cubes"]).split("|")][:MAX_POINTS] if "cubes" in query else [cube]
    )
    listed = str(query.get("points", "")).split(";")[:MAX_POINTS] if query.get("points") else []
    points = [_point_in(one.split(","), cubes) for one in listed]
    found = tuple(one for one in points if one is not None)
    if len({one.slot for one in found}) < len(found):
        found = ()
    if not found:
        alone = _point_in((str(query.get("lon")), str(query.get("lat"))), [cube])
        found = (alone,) if alone is not None else ()
    words = {
        name: text
        for name, form in (("glacier", _GLACIER), ("layer", _GLACIER), ("time", _TIME), ("data", _VERSION))
        if form.fullmatch(text := str(query.get(name, "")))
    }
    job = str(query.get("job", ""))
    return Place(found, job=job if is_id(job) else "", **words)


def missing(place: Place, cubes: Iterable[Datacube]) -> tuple[list[str], list[str]]:
    """Return what has to be opened for a place: addresses, and names of cubes that only others have."""
    cubes = list(cubes)
    urls = {cube.url for cube in cubes}
    wanted = list(dict.fromkeys(point.cube for point in reversed(place.points) if point.cube))
    addresses = [one for one in wanted if "://" in one and one not in urls]
    own = [match for one in wanted if (match := _OWN.fullmatch(one))]
    contents = {content_of(cube) for cube in cubes} if own else set()
    return addresses, [match[1] or "a datacube" for match in own if match[2] not in contents]


def restore(
    session: Session, place: Place, active: Datacube, example: Iterable[str], read: Callable[[], None]
) -> str:
    """Select the points of a place, and have them read.

    Parameters
    ----------
    session : Session
        The cubes of the place are open.
    place : Place
    active : Datacube
        The cube to take where the link does not say which.
    example : iterable of str
        Where the cubes of the open example lie.
    read : callable
        Reads points that are selected and not known.

    Returns
    -------
    str
        What to beware of; empty for nothing.
    """
    from itslive_core.errors import ItsliveError

    cubes, example = session.selection.cubes, set(example)
    contents = (
        {content_of(cube): cube for cube in cubes} if any("~" in one.cube for one in place.points) else {}
    )
    points, lost, used = [], 0, active
    for point in place.points:
        own = _OWN.fullmatch(point.cube)
        cube = next((one for one in cubes if one.url == point.cube), None)
        if own is not None:
            cube = contents.get(own[2])
        elif cube is None:
            here = [one for one in cubes if one.covers(point.lon, point.lat)]
            known = [one for one in here if one.url in example] if not point.cube else []
            cube = active if active in (known or here) else next(iter(known or here), None)
        try:
            if cube is None:
                raise LookupError
            pixel = cube.locate(lon=point.lon, lat=point.lat)
        except (LookupError, ItsliveError):
            lost += 1
            continue
        used = cube
        points.append(Point(pixel.lon, pixel.lat, pixel.x, pixel.y, cube.url, slot=point.slot))
    session.selection.restore(points)
    read()
    notes = []
    if lost:
        notes.append(f"{lost} of {len(place.points)} points of this link lie in no open datacube.")
    if place.data and points and str(used.date_updated) != place.data:
        notes.append(
            f"The data changed since this link was made: they are of {used.date_updated}, and were of "
            f"{place.data}. Curves may differ."
        )
    return " ".join(notes)
