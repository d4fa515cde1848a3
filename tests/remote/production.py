"""A cube with the layout of the public ones, small on the ground: where every request goes can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tiny_cube import CubeOptions, TinyCube, write_cube

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NAME", "PRODUCTION", "make_production"]

NAME = "datacubes/v2-updated-october2024/N30E090/ITS_LIVE_vel_EPSG32646_G0120_X750000_Y3350000.zarr"

PRODUCTION = CubeOptions(
    n_pairs=47_000,
    chunks=(20_000, 10, 10),
    rows=20,
    cols=12,
    empty=0.8,
    label_chunk=352,
    radar=False,
    without=("v", "v_error", "interp_mask"),
)
"""As production writes: three chunks in time, one-dimensional arrays in one, but mid_date in 134."""


def make_production(folder: Path) -> TinyCube:
    """Write it below a folder, under the name that a public cube has."""
    path = folder / NAME
    path.parent.mkdir(parents=True)
    return write_cube(path, PRODUCTION)
