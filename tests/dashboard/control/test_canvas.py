"""The pixels of a glacier while its blocks come in."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.control.canvas import Canvas
from itslive_core import open_cube
from itslive_core.demo import demo_path


def test_canvas_takes_what_is_known_of_pixels():
    canvas = Canvas(np.array([60.0, 180.0]), np.array([180.0, 60.0]))
    values = {"vx": ("time", "y", "x"), "vy": ("time", "y", "x")}
    block = xr.Dataset(
        {name: (dims, np.full((1, 1, 1), 3.0)) for name, dims in values.items()}
        | {"trend": (("y", "x"), [[-2.0]])},
        coords={"time": np.array(["2020-01-01"], "datetime64[ns]"), "y": [60.0], "x": [180.0]},
    )
    canvas.put_series(block)
    assert canvas.facts["trend"][1, 1] == -2.0
    assert np.isfinite(canvas.facts["trend"]).sum() == 1
    assert list(canvas.facts) == ["trend"]


def test_canvas_takes_blocks_of_two_cubes():
    cubes = [open_cube(path) for path in demo_path().cubes]
    bounds = (
        min(cube.bounds[0] for cube in cubes),
        min(cube.bounds[1] for cube in cubes),
        max(cube.bounds[2] for cube in cubes),
        max(cube.bounds[3] for cube in cubes),
    )
    canvas = Canvas.around(cubes, bounds)
    for number, cube in enumerate(cubes):
        canvas.put_median(cube.x, cube.y, np.full(cube.shape, number))
    assert (canvas.median == 0).sum() == np.prod(cubes[0].shape)
    assert (canvas.median == 1).sum() == np.prod(cubes[1].shape)
