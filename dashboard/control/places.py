"""Finding things: a click on the world map, a search, a file of outlines, a cube by its path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.control.lookup import (
    box_of,
    cubes_for,
    glacier_or_area,
    inside,
    overlaps,
    words_of_cubes,
    words_of_open_cubes,
)
from dashboard.control.uploads import uploaded
from dashboard.runner import Policy, once
from itslive_core.places.catalog import describe
from itslive_core.places.gazetteer import NamedPlace, gazetteer, like, ranked
from itslive_core.places.positions import Position
from itslive_core.places.queries import OUTLINE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.control.session import Session
    from itslive_core import Datacube, Glacier

__all__ = ["PlaceControl"]

_GLIMS_NAMES = ("glims_id", "glimsid")


class PlaceControl:
    """Opens cubes and outlines and selects glaciers.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    on_glacier : callable
        Told the glacier and the cubes to read it from, those first on whose map it is shown.
    on_position : callable
        Told a cube and lon, lat where a point should be selected.
    on_view : callable
        Told a box that should be in view: west, south, east, north [degrees].
    """

    def __init__(
        self,
        session: Session,
        on_glacier: Callable[[Glacier, list[Datacube]], None],
        on_position: Callable[[Datacube, float, float], None],
        on_view: Callable[[tuple[float, float, float, float]], None],
    ) -> None:
        self._session = session
        self._on_glacier = on_glacier
        self._on_position = on_position
        self._on_view = on_view

    def click(self, lon: float, lat: float) -> None:
        """Select the glacier at a position of the world map, and its cube."""
        glacier = self._session.selection.glacier_at(lon, lat)
        self._find(lambda: glacier or glacier_or_area(lon, lat), (lon, lat), point=False)

    def search(self, text: str) -> None:
        """Go to a position, an RGI or GLIMS id or a name, or open what a path or URL names."""
        from itslive_core.errors import ItsliveError
        from itslive_core.places.queries import read_query

        try:
            query = read_query(text)
        except ItsliveError as error:
            self._session.messages.error(str(error))
            return
        if query.kind == "cube":
            self.open_cube(query.text)
        elif query.kind == "outlines":
            self.load_outlines(query.text)
        elif query.kind in ("rgi", "glims"):
            self._go_to_id(query.text, query.position)
        elif query.position is not None:
            self._go_to(query.position)
        elif query.kind == "name":
            self._go_to_name(query.text)

    def _go_to_id(self, wanted: str, place: Position | None) -> None:
        """Go to a loaded glacier with an id, else to what the inventory has; a GLIMS id holds its place."""
        from itslive_core import Glacier

        for glacier in self._session.selection.known:
            ids = {glacier.rgi_id, *(glacier.attributes.get(name) for name in _GLIMS_NAMES)}
            if wanted.casefold() in {str(one).strip().casefold() for one in ids if one}:
                self.select(glacier)
                return
        if place is not None:
            self._go_to(place, point=False)
        else:
            self._find(lambda: (Glacier.from_rgi_id(wanted), ""), None, point=False)

    def _go_to(self, position: Position, *, point: bool = True, name: str | None = None) -> None:
        """Go to a position, and select its pixel where one is asked for."""
        position = self._settled(position)
        here = position.lon, position.lat
        glacier = self._session.selection.glacier_at(*here)
        self._find(lambda: glacier or glacier_or_area(*here, name), here, point=point, note=position.note)

    def _settled(self, position: Position) -> Position:
        """Take a position for longitude, latitude where only so there are data, and say so."""
        other = position.swapped
        if other is None or self._has_data(position) or not self._has_data(other):
            return position
        note = (
            f"No data lie at {describe(position.lon, position.lat)}: this was read as longitude, latitude, "
            f"{describe(other.lon, other.lat)}."
        )
        return replace(other, note=note)

    def _has_data(self, position: Position) -> bool:
        from itslive_core import cubes_at
        from itslive_core.errors import ItsliveError

        here = position.lon, position.lat
        if any(cube.covers(*here) for cube in self._session.selection.cubes):
            return True
        try:
            return bool(cubes_at(*here))
        except ItsliveError:
            return False

    def _go_to_name(self, text: str) -> None:
        """Go to the glacier of a name: of the loaded outlines first, then of the gazetteer."""
        known = [(name, one) for one in self._session.selection.known for name in _names_of(one)]
        places = [(name, one) for one in gazetteer() for name in (one.name, *one.aliases)]
        found = sorted((*ranked(text, known), *ranked(text, places)), key=lambda one: one[0])
        if not found:
            meant = like(text, [name for name, _ in (*known, *places)])
            ask = f" Did you mean {' or '.join(meant)}?" if meant else ""
            self._session.messages.tell(
                f"Nothing called {text!r} is known here.{ask} Search for a name, an RGI or GLIMS id, or "
                "latitude, longitude; or load a file of outlines.",
                "warning",
            )
            return
        how, name, one = found[0]
        others = [other for rank, other, _ in found[1:4] if rank == how and how > 0]
        note = f"{text!r} is {name} here; there are also {', '.join(others)}." if others else ""
        if isinstance(one, NamedPlace):
            place = Position(one.lon, one.lat, note, ordered=True)
            self._go_to(place, point=False, name=f"Around {one.name}")
        else:
            self._find(lambda: (one, note), None, point=False)

    def select(self, glacier: Glacier, point: tuple[float, float] | None = None) -> None:
        """Make a loaded glacier the active one, and a pixel of it where longitude and latitude are given."""
        self._find(lambda: glacier, point, point=point is not None)

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
            (then or self._turn_to)(cube)

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

        self._run(
            "outlines",
            f"Loading {name or path}",
            once(work),
            lambda glaciers: self._learn(glaciers, name or Path(path).name),
        )

    def _learn(self, glaciers: list[Glacier], name: str) -> None:
        """Take in outlines, and turn to them: to the only one, or to where all are."""
        self._session.selection.learn(glaciers)
        if glaciers:
            self._on_view(box_of([glacier.outline.bounds for glacier in glaciers]))
        if len(glaciers) == 1:
            self.select(glaciers[0])
            return
        self._session.messages.tell(
            f"{len(glaciers)} outlines loaded from {name}: click one on the map.", "success"
        )

    def _turn_to(self, cube: Datacube) -> None:
        """Turn to a cube that was opened: to the selected or only glacier in it, else to itself."""
        selection = self._session.selection
        here = [one for one in selection.known if overlaps(cube, one)]
        now = selection.glacier
        if now is not None and overlaps(cube, now):
            here = [now]
        if len(here) == 1:
            self.select(here[0])
        else:
            self._on_view(cube.lonlat_bounds)

    @property
    def most_upload(self) -> int:
        """Bytes that an uploaded file may have."""
        return self._session.host.rules.upload

    def too_large(self, name: str) -> None:
        """Say that a file that is on its way is too large."""
        self._session.messages.error(self._session.host.rules.too_large(name))

    def upload(self, content: bytes, name: str) -> None:
        """Load outlines from the content of a file that a person chose in the browser."""
        suffix = Path(name).suffix.lower()
        if suffix not in OUTLINE_SUFFIXES:
            self._session.messages.error(
                f"{name!r} is no file of outlines: choose a GeoJSON, a GeoPackage or a zipped shapefile."
            )
            return
        rules, known = self._session.host.rules, self._session.selection.known

        def work(_should_stop: Callable[[], bool]) -> Iterator[Any]:
            from itslive_core import Glacier

            with uploaded(content, name, rules) as path:
                found = Glacier.list_from_file(path)
            rules.check_outlines([one.outline for one in (*known, *found)])
            yield found

        self._run("outlines", f"Loading {name}", work, lambda glaciers: self._learn(glaciers, name))

    def _find(
        self,
        glacier: Callable[[], Any],
        position: tuple[float, float] | None,
        *,
        point: bool,
        note: str = "",
    ) -> None:
        """Look a glacier and its cubes up in the worker, then select them."""
        said, host = note, self._session.host
        open_ones = list(self._session.selection.cubes)

        def work(_should_stop: Callable[[], bool]) -> Iterator[Any]:
            found = glacier()
            found, note = found if isinstance(found, tuple) else (found, "")
            here = position or inside(found)
            cubes = cubes_for(found, here, open_ones, host.open_cube)
            yield found, cubes, here, " ".join(filter(None, (said, note)))

        def done(result: tuple[Glacier, list[Datacube], tuple[float, float], str]) -> None:
            found, cubes, here, note = result
            selection = self._session.selection
            for cube in reversed(cubes):
                self.adopt(cube)
            selection.select_glacier(found)
            used = next((cube for cube in cubes if cube.covers(*here)), cubes[0])
            choice = words_of_open_cubes(used, here, open_ones)
            told = " ".join(filter(None, (note, words_of_cubes(cubes), choice)))
            if told:
                told = host.rules.shown(told, [*cubes, *open_ones])
                self._session.messages.tell(told, "warning" if note else "info")
            self._on_glacier(found, cubes)
            if point:
                self._on_position(used, *here)

        self._run("lookup", "Looking the glacier up", work, done)

    def _run(self, lane: str, activity: str, work: Any, on_result: Callable[[Any], None]) -> None:
        self._session.messages.clear()
        told = self._session.begin(activity, lane)
        self._session.runner.submit(
            lane,
            work,
            on_result,
            self._session.messages.error,
            on_done=told,
            policy=Policy.CANCEL if lane == "lookup" else Policy.ALL,
        )


def _names_of(glacier: Glacier) -> list[str]:
    """Return what a loaded glacier may be called."""
    glims = (glacier.attributes.get(name) for name in _GLIMS_NAMES)
    return [str(one) for one in (glacier.label, glacier.name, glacier.rgi_id, *glims) if one]
