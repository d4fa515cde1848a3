"""What a reader must give: checks of a cube against its truth, and cubes made of a few given arrays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from tests.tiny_cube import CubeOptions, write_cube

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.pairs import ImagePairs
    from tests.tiny_cube import TinyCube

__all__ = ["CubeShelf", "assert_pixel", "assert_reads", "corners", "damage", "write_arrays"]


def corners(truth: TinyCube) -> list[tuple[int, int]]:
    """Pixels in every corner of the cube and on both sides of a chunk border."""
    rows, cols = truth.options.rows, truth.options.cols
    inner = (min(9, rows - 1), min(10, cols - 1))
    return [(0, 0), (rows - 1, 0), (0, cols - 1), (rows - 1, cols - 1), inner, (3, 4)]


def assert_pixel(pairs: ImagePairs, truth: TinyCube, row: int, col: int) -> None:
    """Compare what was read at a pixel with the truth, to the last digit of what was stored."""
    keep = truth.good_rows(row, col)
    assert len(pairs) == len(keep)
    # Dates in other units come back with the rounding of a float: under a millisecond.
    np.testing.assert_allclose(pairs.start, truth.start[keep], rtol=0, atol=1e-8)
    np.testing.assert_allclose(pairs.end, truth.end[keep], rtol=0, atol=1e-8)
    np.testing.assert_array_equal(pairs.vx, truth.vx[keep, row, col])
    np.testing.assert_array_equal(pairs.vy, truth.vy[keep, row, col])
    np.testing.assert_array_equal(pairs.mission, truth.mission[keep])
    np.testing.assert_array_equal(pairs.satellite_1, truth.satellite_1[keep])
    np.testing.assert_array_equal(pairs.satellite_2, truth.satellite_2[keep])
    for errors, expected in ((pairs.vx_error, truth.vx_error), (pairs.vy_error, truth.vy_error)):
        np.testing.assert_array_equal(np.where(errors > 0, errors, np.nan), expected[keep])
        assert not np.any(errors == -32_767)
    assert (pairs.x, pairs.y) == (truth.x[col], truth.y[row])

    there = np.isfinite(truth.vx[:, row, col]), np.isfinite(truth.vy[:, row, col])
    both, some = there[0] & there[1], there[0] | there[1]
    usable = both & truth.usable
    counts = [(step.name, step.kept, step.dropped) for step in pairs.history]
    copies = usable.sum() - len(keep)
    assert counts == [
        ("read", some.sum(), len(some) - some.sum()),
        ("components", both.sum(), some.sum() - both.sum()),
        ("valid_dates", usable.sum(), both.sum() - usable.sum()),
        *([("duplicates", len(keep), copies)] if copies else []),
    ]


def assert_reads(cube: Datacube, truth: TinyCube) -> None:
    """Compare a cube with the truth at a few pixels."""
    options = truth.options
    assert cube.shape == (options.rows, options.cols)
    assert cube.n_pairs == options.n_pairs
    assert cube.epsg == options.epsg
    np.testing.assert_array_equal(cube.x, truth.x)
    np.testing.assert_array_equal(cube.y, truth.y)
    for row, col in corners(truth):
        assert_pixel(cube.pairs_at(x=truth.x[col], y=truth.y[row]), truth, row, col)


def write_arrays(
    path: Path,
    vx: NDArray[Any],
    vy: NDArray[Any],
    *,
    start: NDArray[Any] | None = None,
    end: NDArray[Any] | None = None,
    zarr_format: Any = 2,
    chunks: tuple[int, int, int] | None = None,
    velocity: dict[str, Any] | None = None,
    velocity_attributes: dict[str, Any] | None = None,
    date_attributes: dict[str, Any] | None = None,
    **others: Any,
) -> Path:
    """Write a minimal cube of given arrays, as stored.

    ``velocity`` goes to `zarr.Group.create_array` for vx and vy; ``others`` are arrays along time, with x, y.
    """
    n, ny, nx = vx.shape
    group = zarr.create_group(path, zarr_format=zarr_format, attributes={"projection": "32646"})
    start = 17_000.0 + 10.0 * np.arange(n) if start is None else start
    end = start + 16.0 if end is None else end
    dims = ("mid_date", "y", "x")

    def put(name: str, values: NDArray[Any], names: tuple[str, ...], attributes: Any, **how: Any) -> None:
        if zarr_format == 2:
            attributes = {"_ARRAY_DIMENSIONS": list(names), **(attributes or {})}
        else:
            how["dimension_names"] = names
        how["config"] = {"write_empty_chunks": True}
        array = group.create_array(
            name, shape=values.shape, dtype=values.dtype, attributes=attributes or {}, **how
        )
        if values.size:
            array[...] = values

    for name, values in (("vx", vx), ("vy", vy)):
        put(name, values, dims, velocity_attributes, chunks=chunks or vx.shape, **(velocity or {}))
    put("acquisition_date_img1", start, dims[:1], date_attributes)
    put("acquisition_date_img2", end, dims[:1], date_attributes)
    put("x", 700_052.5 + 120.0 * np.arange(nx), ("x",), None)
    put("y", 3_399_947.5 - 120.0 * np.arange(ny), ("y",), None)
    for name, values in others.items():
        put(name, values, dims[:1], None)
    return path


class CubeShelf:
    """Tiny cubes of a test module, each written once.

    What is never read and slow to write is left out unless a test asks for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, TinyCube] = {}

    def get(self, **changes: Any) -> TinyCube:
        """Give a cube, only to be read."""
        lean: dict[str, Any] = {"radar": False, "without": ("v", "v_error", "interp_mask")}
        options = replace(CubeOptions(n_pairs=160, chunks=(60, 10, 10)), **{**lean, **changes})
        key = repr(options)
        if key not in self._made:
            self._made[key] = write_cube(self._folder / f"cube{len(self._made)}.zarr", options)
        return self._made[key]

    def copy(self, path: Path, **changes: Any) -> TinyCube:
        """Give a copy that may be changed."""
        truth = self.get(**changes)
        return replace(truth, path=shutil.copytree(truth.path, path))


def damage(file: Path, *, keep: float = 0.5) -> None:
    """Cut a file, as a broken download does."""
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content))])
