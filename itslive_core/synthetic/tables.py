"""Tables that go with the demo: its points, and what a station measured at one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.synthetic.terrain import DEMO_POINTS
from itslive_core.synthetic.truth import true_mean_velocity

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_points", "write_reference"]

_STATION = "trunk"
_MONTHS = np.arange(np.datetime64("2016-01"), np.datetime64("2020-02"))


def write_points(path: Path) -> None:
    """Write the points of the demo: name, lon, lat."""
    lines = [f"{name},{point.lon},{point.lat}" for name, point in DEMO_POINTS.items()]
    path.write_text("\n".join(["name,lon,lat", *lines, ""]), encoding="utf-8")


def write_reference(path: Path) -> None:
    """Write the true speed at the trunk by months, as a station on the ice would measure it [m/d]."""
    point, edges = DEMO_POINTS[_STATION], _MONTHS.astype("datetime64[D]")
    vx, vy = true_mean_velocity(point.x, point.y, edges[:-1], edges[1:])
    speed = np.hypot(vx, vy) / 365.25
    rows = [f"{a},{b},{v:.5f}" for a, b, v in zip(edges[:-1], edges[1:], speed, strict=True)]
    path.write_text("\n".join(["start,end,v [m/d]", *rows, ""]), encoding="utf-8")
