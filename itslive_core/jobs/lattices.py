"""Cubes whose pixels do not coincide: which share a lattice, and how results come from one to another.

Image pairs are never resampled: every pixel is estimated where its cube has it. Only what was estimated is
brought to the lattice of the result, each pixel there taking the whole series of the nearest pixel, so that
its standard deviations, gaps and counts stay those of one pixel of one cube. Vectors are turned by the angle
between the two maps at the pixel; lengths are those of the cube's own map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.places.geodesy import transformer
from itslive_core.series.turning import turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube

__all__ = ["Nearest", "Onto", "lattices_of", "nearest_pixels"]

_LINED_UP = 0.01
"""Share of a pixel by which the pixels of two cubes of one lattice may miss each other."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The pixels of a cube that are nearest to n places.

    Parameters
    ----------
    row, col : ndarray of int64, shape (n,)
        Of the cube.
    inside : ndarray of bool, shape (n,)
        The place is on the cube; row and col mean nothing else.
    distance : ndarray of float64, shape (n,)
        From the place to the centre of the pixel, on the map of the cube [m].
    """

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    inside: NDArray[np.bool_]
    distance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Onto:
    """Where the pixels of a block go on another lattice: n pixels of a rectangle there take one each.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the rectangle.
    rows, cols : ndarray of int64, shape (n,)
        Pixels of the rectangle.
    from_rows, from_cols : ndarray of int64, shape (n,)
        The pixels of the block that they take; one may be taken twice.
    turn : ndarray of float64, shape (n,)
        Angle by which vectors are turned, clockwise [degree]: what the map of the block is turned against
        that of the rectangle.
    distance : ndarray of float64, shape (n,)
        Between the centres of both pixels [m].
    """

    shape: tuple[int, int]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    from_rows: NDArray[np.int64]
    from_cols: NDArray[np.int64]
    turn: NDArray[np.float64]
    distance: NDArray[np.float64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels of the rectangle that take one."""
        mask = np.zeros(self.shape, dtype=bool)
        mask[self.rows, self.cols] = True
        return mask

    def place(self, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Bring the estimates of a block to the rectangle.

        Vectors are turned, see `turned`.

        Parameters
        ----------
        arrays : mapping of ndarray, shape (..., y, x)
            On the pixels of the block.

        Returns
        -------
        dict of ndarray, shape (..., y, x)
            On those of the rectangle, of the same types; outside `mask` NaN, of whole numbers 0.
        """
        taken = {name: values[..., self.from_rows, self.from_cols] for name, values in arrays.items()}
        taken |= turned(taken, self.turn)
        out = {}
        for name, values in arrays.items():
            missing = np.nan if values.dtype.kind == "f" else 0
            out[name] = np.full((*values.shape[:-2], *self.shape), missing, dtype=values.dtype)
            out[name][..., self.rows, self.cols] = taken[name]
        return out


def lattices_of(cubes: Sequence[Datacube]) -> list[list[int]]:
    """Group cubes whose pixels coincide: one map projection, one size of pixels, lined up.

    Parameters
    ----------
    cubes : sequence of Datacube

    Returns
    -------
    list of list of int
        Numbers of the cubes of each lattice, in their order.

    Raises
    ------
    SettingsError
        If the pixels of one are of another size.
    """
    groups: list[list[int]] = []
    for number, cube in enumerate(cubes):
        for group in groups:
            if _coincide(cubes[group[0]], cube):
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def _coincide(first: Datacube, cube: Datacube) -> bool:
    steps = np.array([first.pixel_size, cube.pixel_size])
    if not np.allclose(np.abs(steps[0]), np.abs(steps[1])):
        raise SettingsError(
            f"the pixels of {cube.url} are of another size than those of {first.url} "
            f"({abs(steps[1, 0]):g} and {abs(steps[0, 0]):g} m): work on one of them at a time"
        )
    if cube.epsg != first.epsg or not (cube.epsg or cube.crs.equals(first.crs)):
        return False
    offset = np.array([cube.x[0] - first.x[0], cube.y[0] - first.y[0]]) / steps[0]
    return bool(np.allclose(steps[0], steps[1]) and np.abs(offset - np.rint(offset)).max() <= _LINED_UP)


def nearest_pixels(cube: Datacube, x: NDArray[np.float64], y: NDArray[np.float64], crs: object) -> Nearest:
    """Find the pixels of a cube that are nearest to places on another map.

    Parameters
    ----------
    cube : Datacube
    x, y : ndarray, shape (n,)
        The places [m].
    crs
        Their map.
    """
    own_x, own_y = transformer(crs, cube.crs).transform(x, y)
    step_x, step_y = cube.pixel_size
    places = np.stack([(own_y - cube.y[0]) / step_y, (own_x - cube.x[0]) / step_x])
    ends = np.array(cube.shape)[:, None] - 0.5
    inside = np.all((places >= -0.5) & (places <= ends), axis=0)  # also false for infinity
    whole = np.rint(np.where(inside, places, 0.0)).astype(np.int64)
    row, col = np.clip(whole, 0, np.array(cube.shape)[:, None] - 1)
    distance = np.hypot(own_x - cube.x[col], own_y - cube.y[row])
    return Nearest(row, col, inside, distance)
