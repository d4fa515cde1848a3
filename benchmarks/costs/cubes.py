"""Synthetic datacubes of any number of pixels, cheap to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from costs.rows import YEAR
from itslive_core.synthetic.schema import attributes_of_mapping
from itslive_core.synthetic.terrain import EPSG

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_cube"]

_SPACING = 120.0
_MISSING = -32_767
_LEFT, _TOP = -250_020.0, -2_250_060.0
_SCENE = 16.0
"""Days between the passes of the one satellite."""
_FIRST = 16_500.0
"""Spring of 2015 [days since 1970-01-01]."""


def write_cube(
    path: Path,
    shape: tuple[int, int],
    n_pairs: int,
    *,
    years: float,
    chunk: tuple[int, int] = (10, 10),
    column: int = 0,
    gaps: float = 0.2,
    seed: int = 0,
) -> None:
    """Write a cube with the layout of ITS_LIVE: chunks of all layers and some pixels.

    Speeds rise from 20 to 420 m/yr from the top to the bottom and swing by a fifth with the season. The noise
    of a component is 100 / span + 3 m/yr, formal errors say so, and one pair in twenty is far off.

    Parameters
    ----------
    path : Path
        Must not exist.
    shape : tuple of int
        Rows and columns.
    n_pairs : int
        Layers, of one mission, over the years; spans are 16 to 96 days.
    years : float
    chunk : tuple of int
        Rows and columns of a chunk.
    column : int
        Where its first column lies, so that cubes can stand side by side.
    gaps : float
        Share of values that are missing.
    seed : int
    """
    rng = np.random.default_rng(seed)
    rows, cols = shape
    passes = _FIRST + 0.4 + _SCENE * np.arange(int(years * YEAR / _SCENE))
    first = rng.integers(0, len(passes) - 6, n_pairs)
    start, end = passes[first], passes[first + rng.integers(1, 7, n_pairs)]
    # Real acquisitions of a pass differ by seconds from path to path.
    start, end = (day + np.round(rng.uniform(-9.0, 9.0, n_pairs)) / 86_400.0 for day in (start, end))
    error = 100.0 / (end - start) + 3.0
    season = 1.0 + 0.2 * np.sin(2.0 * np.pi * 0.5 * (start + end) / YEAR)
    base = np.linspace(20.0, 420.0, rows)[:, None] * np.linspace(0.9, 1.1, cols)
    velocity = {}
    far = rng.random(n_pairs) < 0.05
    gone = rng.random((n_pairs, rows, cols), dtype=np.float32) < gaps
    for name, part in (("vx", 0.8), ("vy", -0.6)):
        noise = rng.standard_normal((n_pairs, rows, cols), dtype=np.float32)
        noise *= np.where(far, 10.0, 1.0).astype(np.float32)[:, None, None]
        noise *= error.astype(np.float32)[:, None, None]
        values = np.rint(part * season[:, None, None].astype(np.float32) * base.astype(np.float32) + noise)
        velocity[name] = np.where(gone, _MISSING, values).astype(np.int16)
    x = _LEFT + _SPACING * (column + np.arange(cols) + 0.5)
    y = _TOP - _SPACING * (np.arange(rows) + 0.5)
    time = ("mid_date",)
    days = {"units": "days since 1970-01-01"}
    code = np.full(n_pairs, "8")
    cube = xr.Dataset(
        {
            **{
                name: ((*time, "y", "x"), values, {"missing_value": _MISSING, "grid_mapping": "mapping"})
                for name, values in velocity.items()
            },
            "acquisition_date_img1": (time, start, days),
            "acquisition_date_img2": (time, end, days),
            "satellite_img1": (time, code),
            "satellite_img2": (time, code),
            "vx_error": (time, error),
            "vy_error": (time, error),
            "mapping": ((), 0, attributes_of_mapping(x, y)),
        },
        coords={"mid_date": (time, 0.5 * (start + end), days), "y": y, "x": x},
        attrs={"projection": str(EPSG)},
    )
    layers = {"chunks": (n_pairs, *chunk)}
    cube.to_zarr(path, zarr_format=2, encoding=dict.fromkeys(velocity, layers))
