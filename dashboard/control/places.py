"""Finding things: a click on the world map, a search, a file of outlines, a cube by its path."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.runner import Policy, once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.control.session import Session
    from dashboard.hosting.host import Host
    from itslive_core import Datacube, Glacier

__all__ = ["PlaceControl", "parse_position"]

_POSITION = re.compile(
    r"^\s*([-+]?\d+(?:\.\d+)?)\s*°?\s*([NSns]?)\s*[,; ]\s*([-+]?\d+(?:\.\d+)?)\s*°?\s*([EWew]?)\s*$"
)
_RGI = re.compile(r"^\s*RGI", re.IGNORECASE)
_AREA_DEGREES = 0.03
_SUFFIXES = {".geojson", ".json", ".gpkg", ".zip", ".shp", ".kml", ".fgb", ".parquet"}


def parse_position(text: str) -> tuple[float, float] | None:
    """Read "lat, lon" in degrees; return lon, lat, or None where the text is no position.

    Raises
    ------
    itslive_core.errors.SelectionError
        If it is a position that does not exist.
    """
    match = _POSITION.match(text)
    if match is None:
        return None
    from itslive_core.errors import SelectionError

    lat, lon = float(match[1]), float(match[3])
    lat = -abs(lat) if match[2].upper() == "S" else lat
    lon = -abs(lon) if match[4].upper() == "W" else lon
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 360.0):
        raise SelectionError(
            f"{text.strip()!r} is no place on Earth: write latitude (-90 to 90), then longitude"
        )
    return (lon - 360.0 if lon > 180.0 else lon), lat


class PlaceControl:
    """Opens cubes and outlines and selects glaciers.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    on_glacier : callable
        Told the glacier and the cubes to read it from, best first and on one lattice.
    on_position : callable
        Told a cube and lon, lat where a point should be selected.
    """

    def __init__(
        self,
        session: Session,
        on_glacier: Callable[[Glacier, list[Datacube]], None],
        on_position: Callable[[Datacube, float, float], None],
    ) -> None:
        self._session = session
        self._on_glacier = on_glacier
        self._on_position = on_position

    def click(self, lon: float, lat: float) -> None:
        """Select the glacier at a position of the world map, and its cube."""
        glacier = self._session.selection.glacier_at(lon, lat)
        self._find(lambda: glacier or _glacier_or_area(lon, lat), (lon, lat), point=False)

    def search(self, text: str) -> None:
        """Go to "lat, lon", an RGI id, or the name of a loaded outline."""
        from itslive_core import Glacier
        from itslive_core.errors import ItsliveError

        text = text.strip()
        if not text:
            return
        try:
            position = parse_position(text)
        except ItsliveError as error:
            self._session.messages.error(str(error))
            return
        known = self._session.selection.known
        if position is not None:
            glacier = self._session.selection.glacier_at(*position)
            self._find(lambda: glacier or _glacier_or_area(*position), position, point=True)
            return
        wanted = text.casefold()
        exact = [one for one in known if wanted in {str(one.rgi_id).casefold(), str(one.label).casefold()}]
        partly = [one for one in known if wanted in str(one.label).casefold()]
        if exact or partly:
            self.select((exact or partly)[0])
        elif _RGI.match(text):
            self._find(lambda: (Glacier.from_rgi_id(text), ""), None, point=False)
        else:
            self._session.messages.tell(
                f"Nothing called {text!r} is loaded: search for an RGI id or for latitude, longitude, "
                "or load a file of outlines.",
                "warning",
            )

    def select(self, glacier: Glacier) -> None:
        """Make a loaded glacier the active one."""
        self._find(lambda: glacier, None, point=False)

    def open_cube(
        self, path: str, then: Callable[[Datacube], None] | None = None, *, own: bool = False
    ) -> None:
        """Open a datacube by its path or URL.

        Parameters
        ----------
        path : str
        then : callable, optional
            Told the cube.
        own : bool
            The server names it, not its visitor.
        """
        host, path = self._session.host, path.strip()
        if not path:
            return

        def work() -> Datacube:
            if not own:
                host.rules.check_cube(path)
            return host.open_cube(path)

        def opened(cube: Datacube) -> None:
            self.adopt(cube)
            self._session.messages.tell(
                f"Opened {Path(cube.url).name}: {cube.n_pairs:,} image pairs.", "success"
            )
            if then is not None:
                then(cube)

        self._run("open", f"Opening {path}", once(work), opened)

    def adopt(self, cube: Datacube) -> None:
        """Make an open cube the active one."""
        selection = self._session.selection
        others = [one for one in selection.cubes if one.url != cube.url]
        selection.param.update(cubes=[*others, cube], cube=cube)

    def load_outlines(self, path: str, name: str | None = None, *, own: bool = False) -> None:
        """Load the outlines of a file; `own` says that the server names it, not its visitor."""
        from itslive_core import Glacier

        rules, path = self._session.host.rules, path.strip()
        if not path:
            return

        def work() -> list[Glacier]:
            if not own:
                rules.check_path()
            return Glacier.list_from_file(path)

        def loaded(glaciers: list[Glacier]) -> None:
            self._session.selection.learn(glaciers)
            count = f"{len(glaciers)} outlines" if len(glaciers) != 1 else "One outline"
            self._session.messages.tell(f"{count} loaded from {name or Path(path).name}.", "success")

        self._run("outlines", f"Loading {name or path}", once(work), loaded)

    def upload(self, content: bytes, name: str) -> None:
        """Load outlines from the content of a file that a person chose in the browser."""
        suffix = Path(name).suffix.lower()
        if suffix not in _SUFFIXES:
            self._session.messages.error(
                f"{name!r} is no file of outlines: choose a GeoJSON, a GeoPackage or a zipped shapefile."
            )
            return
        rules, known = self._session.host.rules, self._session.selection.known

        def work(_should_stop: Callable[[], bool]) -> Iterator[Any]:
            from itslive_core import Glacier

            rules.check_upload(content, name)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"outlines{suffix}"
                path.write_bytes(content)
                found = Glacier.list_from_file(path)
            rules.check_outlines([one.outline for one in (*known, *found)])
            yield found

        def loaded(glaciers: list[Glacier]) -> None:
            self._session.selection.learn(glaciers)
            self._session.messages.tell(f"{len(glaciers)} outline(s) loaded from {name}.", "success")

        self._run("outlines", f"Loading {name}", work, loaded)

    def _find(self, glacier: Callable[[], Any], position: tuple[float, float] | None, *, point: bool) -> None:
        """Look a glacier and its cubes up in the worker, then select them."""
        open_ones, host = list(self._session.selection.cubes), self._session.host

        def work(_should_stop: Callable[[], bool]) -> Iterator[Any]:
            found = glacier()
            found, note = found if isinstance(found, tuple) else (found, "")
            here = position or _inside(found)
            yield found, _cubes_for(found, here, open_ones, host), here, note

        def done(result: tuple[Glacier, list[Datacube], tuple[float, float], str]) -> None:
            found, cubes, here, note = result
            selection = self._session.selection
            for cube in reversed(cubes):
                self.adopt(cube)
            selection.select_glacier(found)
            if note:
                self._session.messages.tell(note, "warning")
            self._on_glacier(found, cubes)
            if point:
                self._on_position(cubes[0], *here)

        self._run("lookup", "Looking the glacier up", work, done)

    def _run(self, lane: str, activity: str, work: Any, on_result: Callable[[Any], None]) -> None:
        self._session.messages.clear()
        self._session.begin(activity)
        self._session.runner.submit(
            lane,
            work,
            on_result,
            self._session.messages.error,
            on_done=self._session.end,
            policy=Policy.CANCEL if lane == "lookup" else Policy.ALL,
        )


def _inside(glacier: Glacier) -> tuple[float, float]:
    here = glacier.outline.representative_point()
    return float(here.x), float(here.y)


def _cubes_for(
    glacier: Glacier, here: tuple[float, float], open_ones: list[Datacube], host: Host
) -> list[Datacube]:
    """Return open cubes of the place or the glacier, else those of the catalog; all on one lattice."""
    covering = [cube for cube in reversed(open_ones) if cube.covers(*here)]
    overlapping = [cube for cube in reversed(open_ones) if _overlaps(cube, glacier)]
    if not covering and not overlapping:
        records = glacier.cubes()
        return [host.open_cube(record.url) for record in records if record.epsg == records[0].epsg]
    first = (covering or overlapping)[0]
    return [first] + [
        cube
        for cube in overlapping
        if cube.url != first.url and cube.epsg == first.epsg and cube not in covering
    ]


def _overlaps(cube: Datacube, glacier: Glacier) -> bool:
    x0, y0, x1, y1 = glacier.outline_in(cube.crs).bounds
    west, south, east, north = cube.bounds
    return west < x1 and east > x0 and south < y1 and north > y0


def _glacier_or_area(lon: float, lat: float) -> tuple[Glacier, str]:
    """Ask GLIMS for the glacier at a position; where it cannot tell, take the surroundings."""
    import shapely

    from itslive_core import Glacier, cubes_at
    from itslive_core.errors import OutlineError, ServiceError

    try:
        return Glacier.at(lon, lat), ""
    except (ServiceError, OutlineError) as error:
        cubes_at(lon, lat)  # raises the clear message where there is no data at all
        wide = _AREA_DEGREES / max(0.05, math.cos(math.radians(lat)))
        box = shapely.box(lon - wide, lat - _AREA_DEGREES, lon + wide, lat + _AREA_DEGREES)
        return (
            Glacier(box, rgi_id=None, name=f"Area around {lat:.3f}, {lon:.3f}", area_km2=None, attributes={}),
            f"{error} Showing the surroundings of the click instead.",
        )
