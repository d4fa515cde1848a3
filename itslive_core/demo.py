"""The synthetic datacube with a known truth: what the dashboard shows before anything is loaded.

Two neighbouring tiles on the disk layout of real ITS_LIVE cubes (Zarr format 2, names, types, attributes,
compressors, missing values, chunks, and the oddities: unsorted pairs, duplicated dates, empty layers), the
outlines and centrelines of two glaciers that do not exist, and the velocity they were given.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.errors import OutputError
from itslive_core.support.caching import CACHE_VARIABLE, cache_folder
from itslive_core.synthetic.terrain import DEMO_POINTS, DemoPoint
from itslive_core.synthetic.truth import true_mean_velocity, true_velocity

if TYPE_CHECKING:
    import os

__all__ = [
    "DEFAULT_SEED",
    "DEMO_POINTS",
    "DEMO_VERSION",
    "DemoFiles",
    "DemoPoint",
    "demo_path",
    "make_demo",
    "true_mean_velocity",
    "true_velocity",
]

DEMO_VERSION = 1
"""Raised with every change of the content, so that a cached older demo is not taken for this one."""

DEFAULT_SEED = 19_850_402


@dataclass(frozen=True)
class DemoFiles:
    """Where the parts of the demo are.

    Parameters
    ----------
    cubes : tuple of Path
        The tile with the front of the fast glacier and all of the slow one, then its eastern neighbour.
    outlines : Path
        GeoJSON with the columns of RGI 7: two glaciers, a nunatak, a part apart.
    centreline : Path
        GeoJSON with the columns of RGI 7 L.
    truth : Path
        NetCDF: true mean velocity in every 12-day cell at every pixel of both tiles, and of every 2 days at
        `DEMO_POINTS`. For other times and places call `true_velocity` and `true_mean_velocity`.
    points : Path
        CSV: `DEMO_POINTS` as name, lon, lat.
    reference : Path
        CSV: monthly speed at the trunk, as a station on the ice would measure it.
    """

    cubes: tuple[Path, ...]
    outlines: Path
    centreline: Path
    truth: Path
    points: Path
    reference: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.cubes, self.outlines, self.centreline, self.truth, self.points, self.reference)


def make_demo(
    path: str | os.PathLike[str], *, seed: int = DEFAULT_SEED, overwrite: bool = False
) -> DemoFiles:
    """Make the synthetic datacube, its outlines, centrelines and truth.

    Parameters
    ----------
    path : path
        Where the main cube goes; the other parts go beside it and their names begin with its stem. If it is
        a folder that exists and is not a cube, everything goes into it, and cubes are named like real ones.
    seed : int
        Seed of the schedule and the noise; the truth is always the same. The same seed gives the same bytes.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    DemoFiles

    Raises
    ------
    OutputError
        If something is there already, or cannot be written.
    """
    place = Path(path).expanduser()
    files = _in_folder(place) if place.is_dir() and not _is_cube(place) else _beside(place)
    folder = files.outlines.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist: make it first, or name another")
    present = [p for p in files.paths if p.exists()]
    if present and not overwrite:
        raise OutputError(f"{present[0]} exists already: choose another name, or add --overwrite")
    try:
        with tempfile.TemporaryDirectory(prefix=".itslive-demo-", dir=folder) as temporary:
            built = _in_folder(Path(temporary))
            _build(built, seed)
            for new, final in zip(built.paths, files.paths):
                _remove(final)
                new.rename(final)
    except OSError as error:
        raise OutputError(f"cannot write the demo to {folder}: {error.strerror or error}") from error
    return files


def demo_path() -> DemoFiles:
    """Give the demo in the user's cache folder, made there by the first call.

    The environment variable ITSLIVE_CACHE names another cache folder. Safe when several processes call it at
    once: the demo is made in a folder of its own, which is renamed when it is whole.

    Returns
    -------
    DemoFiles

    Raises
    ------
    OutputError
        If the cache folder cannot be written.
    """
    try:
        cache = cache_folder("demo")
        home = cache / f"v{DEMO_VERSION}"
        files = _in_folder(home)
        if not _whole(files):
            temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
            try:
                _build(_in_folder(temporary), DEFAULT_SEED)
                _put(temporary, home)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the demo in the cache folder ({error}): set {CACHE_VARIABLE} to a folder that can "
            "be written"
        ) from error
    return files


def _whole(files: DemoFiles) -> bool:
    return all(path.exists() for path in files.paths)


def _put(temporary: Path, home: Path) -> None:
    """Rename a finished demo into place, unless another process was first."""
    # mkdtemp makes folders that only their owner can read.
    temporary.chmod(0o755)
    for last in (False, True):
        try:
            temporary.rename(home)
            return
        except OSError:
            if _whole(_in_folder(home)):
                return
            if last:
                raise
            # What is there lost some of its files; it would be in the way.
            shutil.rmtree(home, ignore_errors=True)


def _in_folder(folder: Path) -> DemoFiles:
    """Names of the parts in a folder, with the cubes named like real ones."""
    from itslive_core.synthetic.cube import TILES

    return DemoFiles(
        cubes=tuple(folder / tile.name for tile in TILES),
        outlines=folder / "demo_outlines.geojson",
        centreline=folder / "demo_centrelines.geojson",
        truth=folder / "demo_truth.nc",
        points=folder / "demo_points.csv",
        reference=folder / "demo_reference.csv",
    )


def _beside(cube: Path) -> DemoFiles:
    """Names of the parts beside the main cube."""
    stem = cube.name.removesuffix(".zarr")
    return DemoFiles(
        cubes=(cube, cube.with_name(f"{stem}_east.zarr")),
        outlines=cube.with_name(f"{stem}_outlines.geojson"),
        centreline=cube.with_name(f"{stem}_centrelines.geojson"),
        truth=cube.with_name(f"{stem}_truth.nc"),
        points=cube.with_name(f"{stem}_points.csv"),
        reference=cube.with_name(f"{stem}_reference.csv"),
    )


def _is_cube(path: Path) -> bool:
    return (path / ".zgroup").exists() or (path / "zarr.json").exists()


def _build(files: DemoFiles, seed: int) -> None:
    from itslive_core.synthetic.cube import write_tiles
    from itslive_core.synthetic.outlines import write_centrelines, write_outlines
    from itslive_core.synthetic.tables import write_points, write_reference
    from itslive_core.synthetic.truth_file import write_truth

    write_tiles(files.cubes, seed)
    write_outlines(files.outlines)
    write_centrelines(files.centreline)
    write_truth(files.truth)
    write_points(files.points)
    write_reference(files.reference)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
