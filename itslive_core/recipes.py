"""Making a result again from its recipe."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from itslive_core._version import __version__
from itslive_core.cubes.datacube import Datacube, open_cube
from itslive_core.cubes.icechunk_files import split_version
from itslive_core.errors import CubeError, ItsliveError, OutputError, SettingsError
from itslive_core.estimators import ESTIMATORS, estimator
from itslive_core.export import (
    AREA_SUFFIXES,
    PAIRS_SUFFIXES,
    PROFILE_SUFFIXES,
    SEASON_SUFFIXES,
    SERIES_SUFFIXES,
    Grid,
    check_output,
    write_area,
    write_area_like,
    write_pairs,
    write_profile,
    write_season,
    write_series,
    write_station_pairs,
    write_station_seasons,
    write_station_series,
)
from itslive_core.export.differences import differences_of, digest_of
from itslive_core.export.recipes import read_recipe
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.area_store import attribute_of
from itslive_core.jobs.glacier import run_glacier
from itslive_core.jobs.points import at_stations, recipe_of_stations, time_axis, work_at_a_point
from itslive_core.jobs.profiles import profile
from itslive_core.jobs.scratch import remove_folder, scratch_beside
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.windows import Windows
from itslive_core.places.stations import Station
from itslive_core.series.recipe import Recipe, sum_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from itslive_core.export import StationsWritten
    from itslive_core.places.glaciers import Glacier
    from itslive_core.series.stations import StationResult
    from itslive_core.settings import Settings

__all__ = [
    "Compared",
    "compare_again",
    "differences",
    "glacier_of",
    "located",
    "rerun",
    "settings_of",
    "version_note",
]

_TASKS = ("series", "pairs", "season")


def rerun(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    cubes: Sequence[str | os.PathLike[str] | Datacube] | None = None,
    anyway: bool = False,
    workers: int | None = None,
) -> Path:
    """Make a result again, from the recipe that its file carries: the arrays are the same.

    Parameters
    ----------
    path : path
        A file that this package wrote: NetCDF, Zarr, GeoTIFF, a CSV with its recipe beside it, or the recipe.
    out : path
        The new file; it may be of another format that the result has.
    cubes : sequence of path or Datacube, optional
        Where the datacubes of the recipe are now, in its order.
    anyway : bool
        Go on if a cube has changed since.
    workers : int, optional
        Threads, for areas and many points.

    Returns
    -------
    pathlib.Path
        The new file.

    Raises
    ------
    CubeError
        If a cube has changed: another date, or another number of pairs. The message says what differs.
    ItsliveError
        If there is no recipe, or it cannot be followed.
    """
    path = Path(path)
    recipe = read_recipe(path)
    if recipe.by_hand:
        raise ItsliveError(f"{path}: its pairs were chosen by hand in Python, which its recipe cannot repeat")
    opened = _open(recipe, path, cubes)
    changed = differences(recipe, opened)
    if changed and not anyway:
        raise CubeError(f"{'; '.join(changed)}: the result would be another one")
    selection = PairSelection.from_dict(recipe.selection)
    settings = settings_of(recipe)
    [kind] = recipe.place.keys() & {"point", "points", "area", "line"} or {""}
    if recipe.task not in _TASKS or not kind or (kind in ("area", "line") and recipe.task != "series"):
        raise ItsliveError(f"{path}: its recipe is of a kind that this version does not know")
    if anyway:
        recipe = replace(recipe, values="")
    if kind == "point":
        return _point(recipe, opened[0], settings, selection, out)
    if kind == "points":
        return _points(recipe, opened, settings, selection, out, workers)
    if kind == "line":
        check_output(out, PROFILE_SUFFIXES)
        known = recipe.place["line"]
        options: dict[str, Any] = {"spacing": known["spacing"], "selection": selection, "workers": workers}
        again = profile(opened, known["coordinates"], settings, **options)
        _check_values(recipe, Recipe.from_json(again.attrs["recipe"]).values)
        return write_profile(again, out)
    return _area(recipe, opened, settings, selection, out, workers)


@dataclass(frozen=True)
class Compared:
    """A result held against itself made again.

    Parameters
    ----------
    digest : str
        Of the values of the file, see `itslive_core.export.differences.digest_of`.
    differences : tuple of str
        In what the new one differs; empty where it is the same.
    """

    digest: str
    differences: tuple[str, ...]


def compare_again(path: str | os.PathLike[str], **options: Any) -> Compared:
    """Make a result again and compare it with its file; options and errors as for `rerun`."""
    path = Path(path)
    if path.suffix.lower() == ".json":
        raise SettingsError(f"{path} is a recipe, with no values to compare with: name its file, or give -o")
    with tempfile.TemporaryDirectory(prefix="itslive-") as folder:
        again = rerun(path, Path(folder) / f"again{path.suffix}", **options)
        return Compared(digest_of(path), tuple(differences_of(path, again)))


def differences(recipe: Recipe, cubes: Sequence[Datacube]) -> list[str]:
    """Say in which ways datacubes differ from those of a recipe; nothing where they do not.

    Parameters
    ----------
    recipe : Recipe
    cubes : sequence of Datacube
        In its order.
    """
    found = []
    for then, now in zip(recipe.cubes, cubes, strict=True):
        if then.date_updated != (now.date_updated or ""):
            was, is_ = then.date_updated or "no date", now.date_updated or "no date"
            found.append(f"{now.url} was updated: {was} then, {is_} now")
        snapshot = split_version(then.url)[1]
        if snapshot is not None and snapshot.name != now.snapshot:
            found.append(f"{now.url} is not the snapshot {snapshot.name}")
        if then.n_pairs != now.n_pairs:
            found.append(f"{now.url} had {then.n_pairs:,} image pairs, and has {now.n_pairs:,}")
    return found


def _check_values(recipe: Recipe, now: str) -> None:
    """Refuse values other than those a result was made from, where both are known.

    Raises
    ------
    CubeError
    """
    if recipe.values and now and recipe.values != now:
        names = ", ".join(facts.url for facts in recipe.cubes)
        raise CubeError(
            f"the values of {names} have changed under the same date (checksum {recipe.values} then,"
            f" {now} now): the result would be another one"
        )


def _watched(results: Iterable[StationResult], recipe: Recipe) -> Iterator[StationResult]:
    """Give results, and refuse what comes of them if the values are others."""
    seen: dict[int, str] = {}
    for result in results:
        if result.error is None:
            seen[result.number] = result.checksum
        yield result
    _check_values(recipe, sum_of(seen[number] for number in sorted(seen)))


def version_note(recipe: Recipe) -> str:
    """Say that another version made a result; empty if it was this one."""
    if recipe.version == __version__:
        return ""
    return f"Made by version {recipe.version}, this is {__version__}: numbers may differ"


def located(recipe: Recipe, path: Path, cubes: Sequence[str] | None = None) -> Recipe:
    """Name the datacubes of a recipe where they are now.

    Parameters
    ----------
    recipe : Recipe
    path : Path
        Its file: a cube that is gone from its folder may be beside it.
    cubes : sequence of str, optional
        Where they are, in the order of the recipe.

    Raises
    ------
    SettingsError
        If another number of cubes is given.
    CubeError
        If none is given, and one is gone.
    """
    if cubes is not None and len(cubes) != len(recipe.cubes):
        raise SettingsError(_other_number(recipe, len(cubes)))
    urls = [_where(facts.url, path) for facts in recipe.cubes] if cubes is None else cubes
    facts = (replace(one, url=url) for one, url in zip(recipe.cubes, urls, strict=True))
    return replace(recipe, cubes=tuple(facts))


def _other_number(recipe: Recipe, given: int) -> str:
    return f"the recipe has {len(recipe.cubes)} datacubes, {given} are given"


def _open(
    recipe: Recipe, path: Path, cubes: Sequence[str | os.PathLike[str] | Datacube] | None
) -> list[Datacube]:
    if cubes is None:
        return [open_cube(_where(facts.url, path)) for facts in recipe.cubes]
    if len(cubes) != len(recipe.cubes):
        raise SettingsError(_other_number(recipe, len(cubes)))
    return [one if isinstance(one, Datacube) else open_cube(one) for one in cubes]


def _where(url: str, path: Path) -> str:
    """Give the address of a cube; one that is gone from its folder may be beside the file."""
    address, version = split_version(url)
    if "://" in url or Path(address).exists():
        return url
    beside = path.absolute().parent / Path(address).name
    if beside.exists():
        return str(beside) if version is None else f"{beside}#{version.kind}={version.name}"
    raise CubeError(f"the datacube {url} is gone: name where it is now")


def settings_of(recipe: Recipe) -> Settings | None:
    """Return the settings of a recipe; None where its task has none.

    Raises
    ------
    ItsliveError
        If they are those of an estimator, or of values, that this version does not know.
    """
    if recipe.task == "pairs":
        return None
    if recipe.task == "season":
        return InversionSettings.from_dict(recipe.settings)
    if recipe.estimator not in ESTIMATORS:
        raise ItsliveError(f"the recipe is for the estimator {recipe.estimator!r}, which there is not")
    return estimator(recipe.estimator).settings.from_dict(recipe.settings)


def _point(
    recipe: Recipe, cube: Datacube, settings: Settings | None, selection: PairSelection, out: Any
) -> Path:
    suffixes = {"pairs": PAIRS_SUFFIXES, "season": SEASON_SUFFIXES, "series": SERIES_SUFFIXES}
    check_output(out, suffixes[recipe.task])
    pairs = cube.pairs_at(x=recipe.place["point"]["x"], y=recipe.place["point"]["y"])
    _check_values(recipe, pairs.checksum)
    means = recipe.options.get("means")
    found = work_at_a_point(recipe.task, settings, selection, means)(pairs)
    if recipe.task == "pairs":
        return write_pairs(found, out, selection=selection)
    return write_season(found, out) if recipe.task == "season" else write_series(found, out)


def _points(
    recipe: Recipe,
    cubes: Sequence[Datacube],
    settings: Settings | None,
    selection: PairSelection,
    out: Any,
    workers: int | None,
) -> Path:
    try:
        stations = [Station(**point) for point in recipe.place["points"]]
    except TypeError as error:
        raise ItsliveError(f"the recipe is damaged ({error}): nothing can be made from it") from error
    means = recipe.options.get("means")
    work = work_at_a_point(recipe.task, settings, selection, means)
    results = _watched(at_stations(cubes, stations, work, workers=workers), recipe)
    again = recipe_of_stations(recipe.task, cubes, stations, settings, selection, means)
    written: StationsWritten
    if recipe.task == "pairs":
        written = write_station_pairs(results, out, recipe=again, cubes=cubes)
    elif recipe.task == "season":
        written = write_station_seasons(results, out, recipe=again, cubes=cubes)
    else:
        grid = time_axis(cubes, selection, cast("Settings", settings).interval)
        axis = grid if means is None else Windows.of(means, grid)
        written = write_station_series(results, out, stations=stations, grid=axis, recipe=again, cubes=cubes)
    return written.path


def glacier_of(recipe: Recipe) -> Glacier | None:
    """Return the glacier of the recipe of an area; None where that is a box or a whole cube.

    Raises
    ------
    ItsliveError
        If the recipe is that of something else.
    """
    import shapely.geometry

    from itslive_core.places.glaciers import Glacier

    area = recipe.place.get("area")
    if not isinstance(area, dict):
        raise ItsliveError("the recipe is not that of an area")
    shape = area.get("outline")
    if shape is None:
        return None
    several = {"rgi_ids": area["rgi_ids"]} if "rgi_ids" in area else {}
    return Glacier(shapely.geometry.shape(shape), area.get("rgi_id"), area.get("name"), attributes=several)


def _area(
    recipe: Recipe,
    cubes: Sequence[Datacube],
    settings: Settings | None,
    selection: PairSelection,
    out: Any,
    workers: int | None,
) -> Path:
    out = check_output(out, AREA_SUFFIXES)
    area = recipe.place["area"]
    glacier = glacier_of(recipe)
    bbox = None if area.get("bbox") is None else tuple(area["bbox"])
    like = recipe.options.get("like")
    as_file = out.suffix.lower() != ".zarr" or like is not None
    folder = scratch_beside(out) if as_file else nullcontext(Path())
    with folder as place:
        store = place / "area.zarr" if as_file else out
        season = recipe.options.get("season")
        job = run_glacier(
            cubes,
            glacier,
            settings,
            store,
            selection=selection,
            bbox=bbox,
            whole=bool(area.get("whole")),
            workers=workers,
            season=season,
            means=recipe.options.get("means"),
        )
        failed = [block.error for block in job if block.error is not None]
        if failed:
            raise OutputError(f"{len(failed)} blocks failed, the first because: {failed[0]}")
        try:
            _check_values(recipe, Recipe.from_json(attribute_of(store, "recipe")).values)
        except CubeError:
            remove_folder(store)
            raise
        if like is not None:
            write_area_like(store, Grid.from_dict(like), out)
        elif as_file:
            write_area(store, out)
    return out
