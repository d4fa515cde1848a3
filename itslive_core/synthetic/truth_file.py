"""The true velocity of the demo as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.synthetic.cube import TILES
from itslive_core.synthetic.schema import attributes_of_mapping
from itslive_core.synthetic.terrain import DEMO_POINTS
from itslive_core.synthetic.truth import Flow

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_truth"]

_CELL, _FINE_CELL = 12.0, 2.0
_DAYS = (5_479.0, 20_026.0)  # 1985-01-01 to 2024-10-30
_MISSING = -32_767


def write_truth(path: Path) -> None:
    """Write the true velocity: means of 12-day cells at every pixel on ice, of 2-day cells at named points.

    Parameters
    ----------
    path : Path
        NetCDF.
    """
    import xarray as xr

    x = np.unique(np.concatenate([tile.x for tile in TILES]))
    y = np.unique(np.concatenate([tile.y for tile in TILES]))[::-1]
    gx, gy = (c.ravel() for c in np.meshgrid(x, y))
    points = list(DEMO_POINTS.values())
    data: dict[str, Any] = {}
    for suffix, time, step, (px, py) in (
        ("", "time", _CELL, (gx, gy)),
        (
            "_point",
            "time_fine",
            _FINE_CELL,
            (np.array([p.x for p in points]), np.array([p.y for p in points])),
        ),
    ):
        edges = step * np.arange(np.floor(_DAYS[0] / step), np.ceil(_DAYS[1] / step) + 1)
        flow = Flow.at(px, py)
        ice = np.hypot(*flow.direction.T) > 0.0
        speed = flow.mean_speed(edges[:-1], edges[1:]).astype(np.float32)
        dims = (time, "y", "x") if not suffix else (time, "point")
        shape = (edges.size - 1, y.size, x.size) if not suffix else (edges.size - 1, len(points))
        for axis, name in enumerate(("vx", "vy")):
            values = np.where(ice, speed * flow.direction[:, axis].astype(np.float32), np.nan)
            data[f"{name}{suffix}"] = (dims, values.reshape(shape), _truth_attributes(name))
        data[f"{time}_bnds"] = ((time, "bnds"), np.column_stack((edges[:-1], edges[1:])))
        data[time] = (time, 0.5 * (edges[:-1] + edges[1:]), _time_attributes(time))
    data |= {
        "x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"}),
        "point": ("point", list(DEMO_POINTS)),
        "point_x": ("point", [p.x for p in points], {"units": "m"}),
        "point_y": ("point", [p.y for p in points], {"units": "m"}),
        "lon": ("point", [p.lon for p in points], {"units": "degrees_east"}),
        "lat": ("point", [p.lat for p in points], {"units": "degrees_north"}),
        "mapping": ((), np.int32(0), attributes_of_mapping(x, y)),
    }
    encoding = {
        name: {"dtype": "int16", "scale_factor": 0.5, "_FillValue": _MISSING, "zlib": True, "complevel": 3}
        for name in ("vx", "vy", "vx_point", "vy_point")
    }
    attributes = {
        "Conventions": "CF-1.8",
        "title": "True velocity of the synthetic ITS_LIVE demo",
        "comment": "These glaciers do not exist. Values are exact means over each cell.",
    }
    xr.Dataset(data, attrs=attributes).to_netcdf(path, engine="netcdf4", encoding=encoding)


def _truth_attributes(name: str) -> dict[str, str]:
    axis = name[-1]
    return {
        "standard_name": f"land_ice_surface_{axis}_velocity",
        "long_name": f"true mean velocity along {axis}",
        "units": "m year-1",
        "grid_mapping": "mapping",
    }


def _time_attributes(name: str) -> dict[str, str]:
    return {
        "standard_name": "time",
        "units": "days since 1970-01-01",
        "calendar": "standard",
        "bounds": f"{name}_bnds",
    }
