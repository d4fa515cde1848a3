"""Cubes of one smooth field of velocity, cut out of it on the lattices of any UTM zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
import zarr
from pyproj import Transformer

from itslive_core.series.direction import north_of_map
from tests.reading import write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Field", "box_between", "write_cut"]

MIDDLE = 96.0, 26.15
"""Longitude and latitude of the middle of the field, where those of zones 46 and 47 meet [degrees]."""
_STEP = 120.0
_WAVE = 2500.0  # m


@dataclass(frozen=True, kw_only=True)
class Field:
    """Ice that moves to the north-east, with waves in space, a season, and the same noise on all maps.

    Parameters
    ----------
    n : int
        Image pairs.
    noise : float
        Standard deviation of a pair, common to neighbouring pixels [m/yr].
    seed : int
    """

    n: int = 60
    noise: float = 0.0
    seed: int = 1

    steepest = 60.0 / _WAVE
    """The velocity changes by so much at most along a metre [m/yr/m]."""

    def dates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Start and end of the pairs [days since 1970]."""
        rng = np.random.default_rng(self.seed)
        start = np.sort(18_000.0 + np.floor(rng.uniform(0.0, 700.0, self.n)))
        return start, start + 12.0 * rng.integers(1, 5, self.n)

    def east_north(self, lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
        """Velocity to true east and north at places, shape (n, ny, nx) [m/yr]."""
        start, end = self.dates()
        rng = np.random.default_rng(self.seed + 1)
        metre = 6_371_000.0 * np.pi / 180.0
        a = (lon - MIDDLE[0]) * metre * np.cos(np.radians(MIDDLE[1]))
        b = (lat - MIDDLE[1]) * metre
        season = 1.0 + 0.2 * np.sin(2 * np.pi * (start + end) / 2 / 365.25)[:, None, None]
        wave = 40.0 * np.sin(a / _WAVE) * np.cos(b / _WAVE)
        out = []
        for level in (120.0 + wave, 160.0 - wave):
            shape = rng.normal(size=(3, self.n, 1, 1)) * self.noise
            out.append(season * level + shape[0] + (shape[1] * a + shape[2] * b) / 20_000.0)
        return out[0], out[1]


def write_cut(
    path: Path,
    field: Field,
    epsg: int,
    cols: tuple[int, int],
    rows: tuple[int, int] = (-6, 6),
    *,
    chunks: tuple[int, int] = (6, 6),
    updated: str | None = None,
    shift: float = 0.0,
) -> Path:
    """Write the pixels of some columns and rows of a zone's lattice, counted from the middle of the field.

    Parameters
    ----------
    path : Path
    field : Field
    epsg : int
        The zone.
    cols, rows : (first, behind the last)
        Rows are counted to the south.
    chunks : (rows, columns)
    updated : str, optional
    shift : float
        By which the lattice is moved to the east [m].
    """
    x0, y0 = Transformer.from_crs(4326, epsg, always_xy=True).transform(*MIDDLE)
    x = np.floor(x0 / _STEP) * _STEP + 52.5 + shift + _STEP * np.arange(*cols)
    y = np.floor(y0 / _STEP) * _STEP - 52.5 - _STEP * np.arange(*rows)
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*np.meshgrid(x, y))
    east, north = field.east_north(lon, lat)
    turn = np.radians(north_of_map(epsg, *np.meshgrid(x, y)))
    vx, vy = np.cos(turn) * east - np.sin(turn) * north, np.cos(turn) * north + np.sin(turn) * east
    start, end = field.dates()
    kinds = {name: np.full(field.n, "8") for name in ("satellite_img1", "satellite_img2")}
    errors = {name: np.full(field.n, max(field.noise, 1.0)) for name in ("vx_error", "vy_error")}
    write_arrays(
        path,
        vx.astype(np.float32),
        vy.astype(np.float32),
        start=start,
        end=end,
        chunks=(field.n, *chunks),
        **kinds,
        **errors,
    )
    group = zarr.open_group(path, mode="r+")
    group.attrs["projection"] = str(epsg)
    group["x"][...], group["y"][...] = x, y
    if updated is not None:
        group.attrs["date_updated"] = updated
    return path


def box_between(cols: tuple[float, float], rows: tuple[float, float], epsg: int = 32646) -> shapely.Polygon:
    """Give the outline in lon/lat of columns and rows of a zone's lattice, as `write_cut` counts them."""
    to_map = Transformer.from_crs(4326, epsg, always_xy=True)
    x0, y0 = to_map.transform(*MIDDLE)
    ring = shapely.segmentize(
        shapely.box(
            x0 + _STEP * cols[0], y0 - _STEP * rows[1], x0 + _STEP * cols[1], y0 - _STEP * rows[0]
        ).exterior,
        _STEP,
    )
    x, y = shapely.get_coordinates(ring).T
    back = Transformer.from_crs(epsg, 4326, always_xy=True)
    return shapely.Polygon(np.column_stack(back.transform(x, y)))
