"""Where the glaciers of the demo lie: curved valleys, a nunatak, a patch of ice apart, and named points.

Places are metres in EPSG:3413.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DEMO_POINTS",
    "EPSG",
    "FAST_NAME",
    "NUNATAK_RADIUS",
    "PATCH_RADIUS",
    "SURGE_NAME",
    "DemoPoint",
    "Valley",
    "demo_valleys",
    "nunatak_centre",
    "nunatak_ring",
    "patch_centre",
    "patch_line",
    "patch_ring",
]

EPSG = 3413
"""Code of the grid: NSIDC sea ice polar stereographic north, as in the cubes of Greenland."""

FAST_NAME = "Demo glacier (synthetic)"
SURGE_NAME = "Demo surge glacier (synthetic)"

_ORIGIN = (-200_000.0, -2_255_000.0)
"""A point on the edge that two real 100 km cubes share, in West Greenland."""

NUNATAK_RADIUS = 230.0
PATCH_RADIUS = 250.0
_PATCH_OFFSET = (-1_700.0, 2_620.0)
_LINE_STEP = 10.0


@dataclass(frozen=True)
class DemoPoint:
    """A named place on the demo.

    Parameters
    ----------
    label : str
        What to expect there.
    lon, lat : float
        WGS 84 [degrees].
    x, y : float
        Centre of a pixel, EPSG:3413 [m].
    """

    label: str
    lon: float
    lat: float
    x: float
    y: float


DEMO_POINTS: dict[str, DemoPoint] = {
    "front": DemoPoint(
        "front, 5 to 8 km/yr, long pairs lock", -50.206454, 69.312764, -205_507.5, -2_255_332.5
    ),
    "trunk": DemoPoint(
        "trunk, 3 to 4 km/yr, long pairs lock", -50.124539, 69.314304, -202_267.5, -2_255_452.5
    ),
    "upstream": DemoPoint("upstream, 1 km/yr, next tile", -50.015019, 69.327437, -197_827.5, -2_254_372.5),
    "surge": DemoPoint("surge of 2018 to 2020", -50.177578, 69.330937, -204_187.5, -2_253_412.5),
    "slow": DemoPoint("slow ice, 40 m/yr", -50.102993, 69.337618, -201_187.5, -2_252_932.5),
}
"""Named pixels; all but ``upstream`` lie in the first cube."""


@dataclass(frozen=True)
class Valley:
    """A glacier bed: a curved centreline and a half width that varies along it.

    Parameters
    ----------
    name : str
        Name of the glacier.
    x, y : ndarray, shape (n,)
        Centreline from head to terminus, every 10 m [m, EPSG:3413].
    half_width, widening : ndarray, shape (n,)
        Half width [m] and its derivative along the line.
    curvature : ndarray, shape (n,)
        Of the centreline [1/m], positive to the left.
    tangent : ndarray, shape (n, 2)
        Unit vector down-glacier.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    half_width: NDArray[np.float64]
    widening: NDArray[np.float64]
    curvature: NDArray[np.float64]
    tangent: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Length of the centreline [m]."""
        return float(_LINE_STEP * (self.x.size - 1))

    def locate(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
        """Distance along the centreline and to its left, and the nearest vertex, for each point.

        Parameters
        ----------
        x, y : ndarray, shape (p,)

        Returns
        -------
        along, left : ndarray, shape (p,)
            Metres; outside [0, length] beyond the ends.
        nearest : ndarray of int, shape (p,)
        """
        from scipy.spatial import cKDTree

        _, nearest = cKDTree(np.column_stack((self.x, self.y))).query(np.column_stack((x, y)))
        dx, dy = x - self.x[nearest], y - self.y[nearest]
        tx, ty = self.tangent[nearest].T
        return nearest * _LINE_STEP + dx * tx + dy * ty, dy * tx - dx * ty, nearest

    def ring(self, *, step: float = 60.0) -> NDArray[np.float64]:
        """Outline of the valley as a closed ring, shape (m, 2) [m]."""
        every = max(1, round(step / _LINE_STEP))
        keep = np.unique(np.append(np.arange(0, self.x.size, every), self.x.size - 1))
        normal = np.column_stack((-self.tangent[:, 1], self.tangent[:, 0]))
        line = np.column_stack((self.x, self.y))
        left = (line + normal * self.half_width[:, None])[keep]
        right = (line - normal * self.half_width[:, None])[keep]
        return np.concatenate((left, right[::-1], left[:1]))


def _valley(name: str, nodes: list[tuple[float, float]], width: tuple[float, float, float]) -> Valley:
    from scipy.interpolate import CubicSpline

    points = np.array(nodes) + np.array(_ORIGIN)
    chord = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    spline = CubicSpline(chord, points)
    fine = spline(np.linspace(0.0, chord[-1], 20_001))
    arc = np.append(0.0, np.cumsum(np.hypot(*np.diff(fine, axis=0).T)))
    along = np.arange(0.0, arc[-1], _LINE_STEP)
    x, y = np.interp(along, arc, fine[:, 0]), np.interp(along, arc, fine[:, 1])
    tx, ty = np.gradient(x, along), np.gradient(y, along)
    norm = np.hypot(tx, ty)
    mean, swing, wavelength = width
    phase = 2.0 * np.pi * along / wavelength
    return Valley(
        name=name,
        x=x,
        y=y,
        half_width=mean + swing * np.cos(phase),
        widening=-swing * 2.0 * np.pi / wavelength * np.sin(phase),
        curvature=np.gradient(np.unwrap(np.arctan2(ty, tx)), along),
        tangent=np.column_stack((tx / norm, ty / norm)),
    )


@lru_cache(maxsize=1)
def demo_valleys() -> tuple[Valley, Valley]:
    """Give the fast tidewater glacier, then the slow one that surges."""
    fast = [(6_300.0, 550.0), (3_600.0, 850.0), (500.0, 150.0), (-2_800.0, -550.0), (-6_400.0, 50.0)]
    surge = [(-500.0, 2_300.0), (-2_500.0, 1_800.0), (-4_500.0, 1_650.0), (-6_300.0, 2_000.0)]
    return (
        _valley(FAST_NAME, fast, (710.0, 80.0, 9_000.0)),
        _valley(SURGE_NAME, surge, (340.0, 40.0, 3_000.0)),
    )


def nunatak_centre() -> tuple[float, float]:
    """Middle of the rock that stands out of the fast glacier [m]."""
    fast = demo_valleys()[0]
    at = 320
    left = -0.3 * fast.half_width[at]
    tx, ty = fast.tangent[at]
    return float(fast.x[at] - left * ty), float(fast.y[at] + left * tx)


def nunatak_ring() -> NDArray[np.float64]:
    """Outline of that rock: a closed ring, shape (m, 2) [m]."""
    return _circle(nunatak_centre(), NUNATAK_RADIUS)


def patch_centre() -> tuple[float, float]:
    """Middle of the patch of ice apart from the trunk of the surging glacier [m]."""
    return _ORIGIN[0] + _PATCH_OFFSET[0], _ORIGIN[1] + _PATCH_OFFSET[1]


def patch_ring() -> NDArray[np.float64]:
    """Outline of that patch: a closed ring, shape (m, 2) [m]."""
    return _circle(patch_centre(), PATCH_RADIUS)


def patch_line() -> NDArray[np.float64]:
    """Centreline of that patch, from head to foot, shape (2, 2) [m]."""
    x, y = patch_centre()
    return np.array([(x, y + 0.8 * PATCH_RADIUS), (x, y - 0.8 * PATCH_RADIUS)])


def _circle(centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    angle = np.linspace(0.0, 2.0 * np.pi, 41)
    ring = np.column_stack((centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)))
    ring[-1] = ring[0]
    return ring
