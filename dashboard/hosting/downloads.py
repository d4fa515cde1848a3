"""Results of whole glaciers as files, sent piece by piece: a ZIP of the store, NetCDF, GeoTIFF."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from dashboard.hosting.door import words
from dashboard.hosting.results import NoResultError
from dashboard.hosting.secrets import nameless_attributes
from itslive_core.errors import ItsliveError
from itslive_core.export import write_area, zip_store
from itslive_core.jobs.area_store import finished_blocks
from itslive_core.jobs.scratch import scratch_beside

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from dashboard.hosting.host import Host

__all__ = ["FORMATS", "file_name", "pieces_of", "routes"]

FORMATS = {"zip": "Zarr", "nc": "NetCDF", "tif": "GeoTIFF"}
"""By suffix, what they are called."""
_TYPES = {"zip": "application/zip", "nc": "application/x-netcdf", "tif": "image/tiff"}
_PIECE = 1 << 18


def file_name(host: Host, job: str, suffix: str) -> str:
    """Name the file of a result.

    Raises
    ------
    NoResultError
        If there is none, or nothing in it yet.
    """
    name = host.jobs.results.record(job).name
    if not finished_blocks(host.jobs.results.store(job)):
        raise NoResultError("There is nothing in this result yet.")
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "glacier"
    return f"{plain}_{job[:6]}.{'zarr.zip' if suffix == 'zip' else suffix}"


def pieces_of(host: Host, job: str, suffix: str) -> Iterator[bytes]:
    """Give a result as a file, in pieces; strangers learn no folder of its datacubes.

    Parameters
    ----------
    host : Host
    job : str
    suffix : {"zip", "nc", "tif"}

    Raises
    ------
    NoResultError, OutputError
    """
    import xarray as xr

    results = host.jobs.results
    store, cubes = results.store(job), results.record(job).cubes

    def told(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        return nameless_attributes(attributes, cubes) if host.rules.public else attributes

    if suffix == "zip":
        yield from zip_store(store, attributes=told)
        return
    with scratch_beside(store) as folder:
        path = folder / f"area.{suffix}"
        with xr.open_dataset(str(store), engine="zarr", chunks=None) as area:
            write_area(area.assign_attrs(told(area.attrs)), path)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


class _Result(RequestHandler):
    """Sends a result to whoever knows its id."""

    async def get(self, job: str, suffix: str) -> None:
        """Send it."""
        host: Host = self.application.settings["itslive_host"]
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        try:
            name = file_name(host, job, suffix)
        except NoResultError as error:
            self.set_status(404)
            self.finish(words("No such result", str(error)))
            return
        self.set_header("Content-Type", _TYPES[suffix])
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        loop = asyncio.get_running_loop()
        # A thread of its own: the file is made in it, and the loop serves others meanwhile.
        with ThreadPoolExecutor(1) as pool, closing(_in_turn(host, job, suffix)) as pieces:
            try:
                while (piece := await loop.run_in_executor(pool, next, pieces, None)) is not None:
                    self.write(piece)
                    await self.flush()
            except StreamClosedError:
                return  # whoever asked has left
            except ItsliveError:
                self.set_status(500)
        self.finish()


def _in_turn(host: Host, job: str, suffix: str) -> Generator[bytes, None, None]:
    """Make a file among those who work, so many at a time."""
    with host.crew.turn() as waits:
        for _ in waits:
            pass
        yield from pieces_of(host, job, suffix)


def routes() -> list[tuple[str, type[RequestHandler]]]:
    """Return the routes of results."""
    return [(r"/results/([A-Za-z0-9_-]{22})\.(zip|nc|tif)", _Result)]
