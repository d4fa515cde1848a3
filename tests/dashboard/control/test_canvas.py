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


def block(x: float, n_pairs: list[int], speed: list[float]) -> xr.Dataset:
    shape = (len(speed), 1, 1)
    columns = {"vx": speed, "vy": np.zeros(len(speed)), "n_pairs": n_pairs}
    times = np.datetime64("2020-01-01", "ns") + 12 * np.arange(len(speed)).astype("timedelta64[D]")
    return xr.Dataset(
        {name: (("time", "y", "x"), np.reshape(values, shape)) for name, values in columns.items()},
        coords={"time": times, "y": [60.0], "x": [x]},
    )


def test_the_best_covered_date_is_the_one_that_most_pairs_hold():
    canvas = Canvas(np.array([60.0, 180.0]), np.array([180.0, 60.0]))
    assert canvas.best_covered() == 0
    canvas.put_series(block(60.0, [2, 8, 3, 0], [10.0, 11.0, 12.0, 900.0]))
    canvas.put_series(block(180.0, [2, 6, 500, 0], [10.0, 11.0, 12.0, 900.0]))
    assert canvas.best_covered() == 1, "a pixel of very many pairs does not decide alone"
    assert canvas.count == 2
    assert np.nanmax(canvas.typical_speeds()) == 12.0, (
        "what hardly any pair holds does not spread the colours"
    )


def test_the_fastest_pixel_is_one_that_is_well_observed():
    canvas = Canvas(np.array([60.0, 180.0, 300.0]), np.array([60.0]))
    assert canvas.fastest() is None
    canvas.put_median(canvas.x, canvas.y, np.array([[900.0, 50.0, 40.0]]), np.array([[3, 80, 100]]))
    assert canvas.fastest() == (180.0, 60.0)
