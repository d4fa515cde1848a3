"""Series along a line: each pixel that the line meets is estimated once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SelectionError
from itslive_core.estimators import estimator_of
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.points import at_stations, time_axis, work_at_a_point
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.places.geodesy import transformer
from itslive_core.places.lines import as_line, points_along
from itslive_core.places.stations import Station
from itslive_core.series import TIME_ATTRIBUTES, grid_mapping, time_coordinates
from itslive_core.series.recipe import Recipe, cube_facts, sum_of
from itslive_core.series.turning import turn_between, turned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.series.stations import StationResult
    from itslive_core.settings import Settings

__all__ = ["ProfileTask", "profile"]

_OF_ONE_POINT = {"recipe", "warnings", "reason", "filters", "findings", "smoothing_used"}


def profile(
    cubes: Datacube | Sequence[Datacube],
    line: Any,
    settings: Settings | None = None,
    *,
    spacing: float | None = None,
    selection: PairSelection | None = None,
    rgi_id: str | None = None,
    workers: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Estimate the series along a line, as one dataset of time and distance.

    Parameters
    ----------
    cubes : Datacube or sequence of Datacube
        In any order, as for `itslive_core.run_points`.
    line : path, shapely line, or array_like of shape (n, 2)
        A file of lines (GeoJSON, GeoPackage, shapefile, KML ...), or longitude and latitude [degrees].
    settings : InversionSettings, GaussianProcessSettings or those of another estimator, optional
        By default an inversion with the recommended settings.
    spacing : float, optional
        Distance between points [m]; by default the size of a pixel.
    selection : PairSelection, optional
        Filters on metadata.
    rgi_id : str, optional
        Which glacier's line, where the file has several; its main one is taken.
    workers : int, optional
        Threads that compute.
    should_stop : callable, optional
        Asked between pixels; once true, `KeyboardInterrupt` is raised.
    progress : callable, optional
        Told how many points of how many are done.

    Returns
    -------
    xarray.Dataset
        Variables of the series with dimensions (time, distance); coordinates ``distance`` along the line
        [m], ``lon`` and ``lat`` of each point [degrees], ``x`` and ``y`` of the centre of its pixel, the
        nearest one [m]; ``n_pairs_used`` (distance). Points without a series are NaN. ``problems`` among the
        attributes names what could not be read. Of cubes of several projections, the one that most points
        are of is that of the result: vectors of the others are turned, and ``cube_url`` (distance) says which
        cube each point is of.

    Raises
    ------
    SelectionError
        If no point has a series.
    ItsliveError
        If the line cannot be read.
    """
    task = ProfileTask.of(cubes, line, settings, spacing, selection, rgi_id)
    found: list[StationResult] = []
    for done, result in enumerate(
        at_stations(task.cubes, task.stations, task.work, workers=workers, should_stop=should_stop), start=1
    ):
        found.append(result)
        if progress is not None:
            progress(done, len(task.stations))
    if should_stop is not None and should_stop():
        raise KeyboardInterrupt
    return task.dataset(found)


@dataclass(frozen=True, eq=False)
class ProfileTask:
    """A line, and what is to be done at its points."""

    cubes: tuple[Datacube, ...]
    settings: Settings
    selection: PairSelection | None
    vertices: NDArray[np.float64]
    spacing: float
    distance: NDArray[np.float64]
    stations: list[Station]
    grid: TimeGrid

    @classmethod
    def of(
        cls,
        cubes: Datacube | Sequence[Datacube],
        line: Any,
        settings: Settings | None,
        spacing: float | None,
        selection: PairSelection | None,
        rgi_id: str | None,
    ) -> ProfileTask:
        """Check what is asked for; parameters as for `profile`."""
        from itslive_core.cubes.datacube import Datacube

        opened = (cubes,) if isinstance(cubes, Datacube) else tuple(cubes)
        chosen = InversionSettings() if settings is None else settings
        estimator_of(chosen).check(chosen, area=False)
        vertices = as_line(line, rgi_id=rgi_id)
        step = abs(opened[0].pixel_size[0]) if spacing is None else float(spacing)
        distance, lon, lat = points_along(vertices, step)
        stations = [
            Station(f"at {at:.0f} m", float(east), float(north))
            for at, east, north in zip(distance, lon, lat, strict=True)
        ]
        grid = time_axis(opened, selection, chosen.interval)
        return cls(opened, chosen, selection, vertices, step, distance, stations, grid)

    @property
    def work(self) -> Callable[[ImagePairs], Any]:
        """What is done with the pairs of a point."""
        return work_at_a_point("series", self.settings, self.selection)

    def dataset(self, found: list[StationResult]) -> xr.Dataset:
        """Put together what was found at the points, in any order; some may be missing."""
        good = [result for result in found if result.error is None]
        if not good:
            raise SelectionError(f"no point of the line has a series, the first because: {found[0].error}")
        systems = Counter(_system(result) for result in good)
        [(system, _)] = systems.most_common(1)  # of equals that which the line meets first
        lon, lat = (np.array([getattr(one, name) for one in self.stations]) for name in ("lon", "lat"))
        ds = _side_by_side([_turned(result, system) for result in good], self.grid, self.distance, lon, lat)
        if len(systems) > 1:
            urls = np.full(len(self.distance), "", dtype=object)
            for result in good:
                urls[result.number] = result.cube_url
            ds["cube_url"] = ("distance", urls, {"long_name": "datacube that the point is of"})
        recipe = Recipe(
            "series",
            {"line": {"coordinates": self.vertices.tolist(), "spacing": self.spacing}},
            cube_facts(self.cubes),
            self.settings.to_dict(),
            {} if self.selection is None else self.selection.to_dict(),
            estimator_of(self.settings).name,
            values=sum_of(result.checksum for result in sorted(good, key=lambda one: one.number)),
        )
        problems = [result.error for result in found if result.error is not None and not result.empty]
        ds.attrs |= {"problems": "\n".join(problems), "recipe": recipe.to_json()}
        return ds


def _system(result: StationResult) -> int | str | None:
    """Give the projection of a series: its EPSG code, else its WKT."""
    mapping = result.value.get("mapping")
    if mapping is None:
        return None
    attributes = mapping.attrs
    return int(attributes["spatial_epsg"]) if "spatial_epsg" in attributes else str(attributes["crs_wkt"])


def _turned(result: StationResult, system: int | str | None) -> StationResult:
    """Bring the series of a point to a projection: its place is moved, and its vectors are turned."""
    own = _system(result)
    if own == system or own is None or system is None:
        return result
    ds: xr.Dataset = result.value
    at = np.atleast_1d(float(ds["x"])), np.atleast_1d(float(ds["y"]))
    to = transformer(own, system).transform(*at)
    arrays = {str(name): variable.values for name, variable in ds.data_vars.items()}
    vectors = turned(arrays, float(turn_between(own, at, system, to)[0]))
    ds = ds.assign({name: ds[name].copy(data=values) for name, values in vectors.items()})
    place = {name: ds[name].copy(data=value[0]) for name, value in zip("xy", to, strict=True)}
    ds = ds.assign_coords(place).assign(mapping=((), 0, grid_mapping(system)))
    return replace(result, value=ds)


def _side_by_side(
    good: list[StationResult],
    grid: TimeGrid,
    distance: NDArray[np.float64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
) -> xr.Dataset:
    """Put series beside each other, on the cells that any of them has."""
    import xarray as xr

    first: xr.Dataset = good[0].value
    edges = [_first_cell(result.value, grid.interval) for result in good]
    begin = min(edges)
    end = max(at + result.value.sizes["time"] for at, result in zip(edges, good, strict=True))
    own = TimeGrid(grid.interval, begin, end - begin)
    names = [str(name) for name, variable in first.data_vars.items() if variable.dims == ("time",)]
    size, shape = len(distance), (own.size, len(distance))
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        kind = first[name].dtype
        columns[name] = np.full(shape, np.nan) if kind.kind == "f" else np.zeros(shape, dtype=kind)
    x, y, used = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int32)
    shared = dict(first.attrs)
    for at, result in zip(edges, good, strict=True):
        ds, k = result.value, result.number
        for name in names:
            columns[name][at - begin : at - begin + ds.sizes["time"], k] = ds[name].values
        x[k], y[k], used[k] = float(ds["x"]), float(ds["y"]), ds.attrs["n_pairs_used"]
        shared = {key: v for key, v in shared.items() if key in ds.attrs and bool(np.all(ds.attrs[key] == v))}
    centres, bounds = time_coordinates(own)
    along = {"long_name": "distance along the line", "units": "m"}
    centre = {
        n: {"standard_name": f"projection_{n}_coordinate", "long_name": "centre of the pixel", "units": "m"}
        for n in ("x", "y")
    }
    out = xr.Dataset(
        {name: (("time", "distance"), columns[name], {**first[name].attrs}) for name in names},
        coords={
            "time": ("time", centres, dict(TIME_ATTRIBUTES)),
            "distance": ("distance", distance, along),
            "lon": ("distance", lon, {"standard_name": "longitude", "units": "degrees_east"}),
            "lat": ("distance", lat, {"standard_name": "latitude", "units": "degrees_north"}),
            "x": ("distance", x, centre["x"]),
            "y": ("distance", y, centre["y"]),
        },
        attrs={k: v for k, v in shared.items() if k not in _OF_ONE_POINT and not k.startswith("n_pairs_")},
    )
    out["time_bnds"] = (("time", "bnds"), bounds)
    out["n_pairs_used"] = ("distance", used, {"long_name": "number of used image pairs", "units": "1"})
    system = _system(good[0])
    if system is not None:
        out["mapping"] = ((), 0, grid_mapping(system))
    return out


def _first_cell(ds: xr.Dataset, interval: float) -> int:
    days = (ds["time_bnds"].values[0, 0] - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "D")
    return round(float(days) / interval)
