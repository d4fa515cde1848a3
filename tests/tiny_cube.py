"""Tiny ITS_LIVE cubes on disk, with a switch for every oddity that real ones have.

`write_cube` writes one and returns what a reader should get from it. `VARIANTS` names the readable ones,
`BAD_VARIANTS` those that cannot be read.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tests.cube_files import drop_chunk, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BAD_VARIANTS", "VARIANTS", "CubeOptions", "TinyCube", "write_cube"]

_KINDS = (
    # satellites of both images, mission group, span step [d], pairs in a hundred
    ("1A", "1A", "S1", 12.0, 14),
    ("2A", "2A", "S2", 10.0, 14),
    ("2A", "2B", "S2", 5.0, 14),
    ("2B", "2A", "S2", 5.0, 4),
    ("8", "8", "L8_9", 16.0, 26),
    ("7", "7", "L7", 16.0, 12),
    ("7", "8", "L7", 8.0, 8),
    ("8", "7", "L7", 8.0, 8),
)


@dataclass(frozen=True, kw_only=True)
class CubeOptions:
    """What the cube is like; the default is as production writes it, with unsorted and repeated dates.

    Content
        `seed`, `n_pairs`, `rows`, `cols`, `epsg`; `noise` [m/yr]; `trend` of vx [m/yr per year]; `empty`:
        share of layers without data; `gaps`: share of missing values in the others; `complete_pixel`
        (row, col) has none.
    Storage
        `zarr_format`; `consolidated`; `chunks` of vx and vy; `shards` (format 3); `tile`: pixels of the whole
        cube, which sets the chunks of x and y; `edge_garbage`: padding of edge chunks is no missing value;
        `missing_chunks`: keys (t, row, col) of chunks of `missing_chunks_of` that are not on disk.
    Values
        `velocity`: type on disk; `missing`: marker; `marked_by`: where it is said; `masks_differ`: share of
        values whose vx is missing while vy is there, and as many the other way round.
    Time
        `time_dim`, in chunks of `label_chunk` (0: in eleven); `line_chunk` of other lines (0: in one);
        `units` of all dates ("<unit> since <date>");
        `shuffled`; `repeated`: share of pairs whose dates occur more than once; numbers of pairs with
        `swapped` dates, `zero_length`, `missing_dates`.
    Codes
        `codes`: spelling of the satellites; `unknown`: number of pairs of satellites nobody knows.
    Errors
        `errors`: good, "holes" (fill values, NaN, zero and negative ones), or "absent".
    Place
        `crs`: where it is said, or "none"; `y_ascending`.
    Variables
        `radar`: with va and vr; `without`: names left out.
    """

    seed: int = 0
    n_pairs: int = 400
    rows: int = 12
    cols: int = 14
    epsg: int = 32646
    noise: float = 3.0
    trend: float = 0.0
    empty: float = 0.4
    gaps: float = 0.2
    complete_pixel: tuple[int, int] | None = None
    zarr_format: Literal[2, 3] = 2
    consolidated: bool = True
    chunks: tuple[int, int, int] = (150, 10, 10)
    shards: tuple[int, int, int] | None = None
    tile: int = 833
    edge_garbage: bool = False
    missing_chunks: tuple[tuple[int, int, int], ...] = ()
    missing_chunks_of: tuple[str, ...] = ("vx", "vy")
    velocity: Literal["int16", "float32"] = "int16"
    missing: int = -32767
    marked_by: Literal["missing_value", "_FillValue", "fill_value", "both", "nothing"] = "missing_value"
    masks_differ: float = 0.0
    time_dim: Literal["mid_date", "time"] = "mid_date"
    label_chunk: int = 0
    line_chunk: int = 0
    units: str = "days since 1970-01-01"
    shuffled: bool = True
    repeated: float = 0.1
    swapped: int = 0
    zero_length: int = 0
    missing_dates: int = 0
    codes: Literal["plain", "dotted", "decimal", "padded", "cut", "number", "object"] = "plain"
    unknown: int = 0
    errors: Literal["good", "holes", "absent"] = "good"
    crs: Literal["everywhere", "epsg", "proj4", "wkt", "spatial_ref", "attribute", "none"] = "everywhere"
    y_ascending: bool = False
    radar: bool = True
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class TinyCube:
    """A cube on disk and what should be read from it.

    Parameters
    ----------
    path : Path
    options : CubeOptions
    x, y : (nx,), (ny,) centres [m]
    start, end : (n,) acquisition times in the right order [days since 1970-01-01]; NaN where missing
    swapped, usable : (n,) dates were stored the wrong way round; dates are known and differ
    mission : (n,) mission group
    satellite_1, satellite_2 : (n,) of the earlier and of the later image, spelt right
    vx_error, vy_error : (n,) [m/yr], NaN where not known (also zero and negative ones)
    vx, vy : (n, ny, nx) stored values [m/yr], NaN where missing
    true_vx, true_vy : (ny, nx) truth without the trend [m/yr]
    """

    path: Path
    options: CubeOptions
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    swapped: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    mission: NDArray[np.str_]
    satellite_1: NDArray[np.str_]
    satellite_2: NDArray[np.str_]
    vx_error: NDArray[np.float64]
    vy_error: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    true_vx: NDArray[np.float64]
    true_vy: NDArray[np.float64]

    def good_rows(self, row: int, col: int) -> NDArray[np.intp]:
        """Layers that a reader should keep at a pixel: both components, dates in order, each pair once."""
        best: dict[tuple[Any, ...], int] = {}
        for j in map(int, np.flatnonzero(self.dated(row, col))):
            minutes = [round(t * 86_400_000) // 60_000 for t in (self.start[j], self.end[j])]
            names = self.satellite_1[j], self.satellite_2[j]
            pair = (*minutes, *names, self.vx[j, row, col], self.vy[j, row, col])
            best[pair] = min(best.get(pair, j), j, key=self._preference)
        return np.array(sorted(best.values()), dtype=np.intp)

    def dated(self, row: int, col: int) -> NDArray[np.bool_]:
        """Whether a layer has both components at a pixel, and dates in order."""
        return np.isfinite(self.vx[:, row, col]) & np.isfinite(self.vy[:, row, col]) & self.usable

    def _preference(self, j: int) -> tuple[float, ...]:
        """Of copies the one of the smallest formal error is kept."""
        x, y = (np.inf if np.isnan(error[j]) else float(error[j]) for error in (self.vx_error, self.vy_error))
        return x**2 + y**2, x, y, float(self.start[j]), float(self.end[j])


VARIANTS: dict[str, CubeOptions] = {
    "production": CubeOptions(),
    "clipped": CubeOptions(consolidated=True, crs="spatial_ref", shuffled=False),
    "v3": CubeOptions(zarr_format=3, time_dim="time", chunks=(200, 8, 8), tile=512, rows=16, cols=16),
    "v3-sharded": CubeOptions(
        zarr_format=3, time_dim="time", chunks=(200, 8, 8), shards=(400, 16, 16), tile=512, rows=18, cols=16
    ),
    "v3-not-consolidated": CubeOptions(zarr_format=3, consolidated=False),
    "v3-nanoseconds": CubeOptions(zarr_format=3, time_dim="time", units="nanoseconds since 1970-01-01"),
    "not-consolidated": CubeOptions(consolidated=False),
    "one-chunk": CubeOptions(chunks=(400, 12, 14)),
    "many-chunks": CubeOptions(chunks=(64, 5, 7)),
    "edge-garbage": CubeOptions(edge_garbage=True, gaps=0.0, empty=0.0),
    "missing-chunks": CubeOptions(missing_chunks=((0, 0, 0), (2, 1, 1))),
    "missing-vy-chunk": CubeOptions(missing_chunks=((1, 0, 1),), missing_chunks_of=("vy",)),
    "float32": CubeOptions(velocity="float32"),
    "missing-9999": CubeOptions(missing=-9999),
    "fill-value-attribute": CubeOptions(missing=-9999, marked_by="_FillValue"),
    "zarr-fill-value": CubeOptions(missing=-9999, marked_by="fill_value"),
    "marked-twice": CubeOptions(marked_by="both"),
    "complete-pixel": CubeOptions(complete_pixel=(3, 4), empty=0.3),
    "complete": CubeOptions(empty=0.0, gaps=0.0),
    "masks-differ": CubeOptions(masks_differ=0.1),
    "swapped": CubeOptions(swapped=60),
    "zero-length": CubeOptions(zero_length=20),
    "missing-dates": CubeOptions(missing_dates=15),
    "bad-dates": CubeOptions(swapped=30, zero_length=10, missing_dates=10),
    "days-since-2000": CubeOptions(units="days since 2000-01-01 00:00:00", missing_dates=3),
    "seconds": CubeOptions(units="seconds since 1970-01-01", missing_dates=3),
    "hours-since-1950": CubeOptions(units="hours since 1950-01-01T00:00:00"),
    "dotted-codes": CubeOptions(codes="dotted"),
    "decimal-codes": CubeOptions(codes="decimal"),
    "padded-codes": CubeOptions(codes="padded"),
    "cut-codes": CubeOptions(codes="cut"),
    "cut-codes-no-mission": CubeOptions(codes="cut", without=("mission_img1", "mission_img2")),
    "number-codes": CubeOptions(codes="number"),
    "object-codes": CubeOptions(codes="object"),
    "unknown-codes": CubeOptions(unknown=12),
    "no-mission": CubeOptions(without=("mission_img1", "mission_img2")),
    "error-holes": CubeOptions(errors="holes"),
    "no-errors": CubeOptions(errors="absent"),
    "mapping-epsg": CubeOptions(crs="epsg"),
    "mapping-proj4": CubeOptions(crs="proj4"),
    "mapping-wkt": CubeOptions(crs="wkt"),
    "projection-attribute": CubeOptions(crs="attribute"),
    "polar": CubeOptions(epsg=3413, crs="attribute"),
    "south": CubeOptions(epsg=32718),
    "y-ascending": CubeOptions(y_ascending=True),
    "no-radar": CubeOptions(radar=False),
    "no-masks": CubeOptions(without=("landice", "floatingice")),
    "bare": CubeOptions(
        radar=False,
        without=(
            "landice",
            "floatingice",
            "v",
            "v_error",
            "interp_mask",
            "date_dt",
            "granule_url",
            "mid_date",
        ),
    ),
    "no-axes": CubeOptions(without=("x", "y")),
    "no-date-center": CubeOptions(without=("date_center",)),
    "one-pair": CubeOptions(n_pairs=1, empty=0.0, gaps=0.0, repeated=0.0),
    "all-empty": CubeOptions(empty=1.0),
}
"""Cubes that must be readable, by name."""

BAD_VARIANTS: dict[str, CubeOptions] = {
    "no-vx": CubeOptions(without=("vx",)),
    "no-vy": CubeOptions(without=("vy",)),
    "no-dates": CubeOptions(without=("acquisition_date_img1", "acquisition_date_img2", "date_dt")),
    "no-crs": CubeOptions(crs="none"),
}
"""Cubes that lack what an estimate needs, by name."""


def write_cube(path: str | Path, options: CubeOptions | None = None, /, **changes: Any) -> TinyCube:
    """Write a tiny cube.

    Parameters
    ----------
    path : path
        Must not exist.
    options : CubeOptions, optional
        The default cube if left out.
    **changes
        Options to change, e.g. ``write_cube(path, swapped=5)``.

    Returns
    -------
    TinyCube
        What should be read from it.
    """
    chosen = replace(options or CubeOptions(), **changes)
    rng = np.random.default_rng(chosen.seed)
    x, y = _axes(chosen)
    start, end, names, mission = _pairs(chosen, rng)
    swapped, usable = _spoil_dates(chosen, start, end)
    true_vx = 80.0 + 4.0 * np.arange(chosen.cols) - 2.0 * np.arange(chosen.rows)[:, None]
    true_vy = -50.0 + 1.0 * np.arange(chosen.cols) + 3.0 * np.arange(chosen.rows)[:, None]
    vx, vy = _observe(chosen, rng, start, end, true_vx, true_vy)
    errors = _errors(chosen, rng, end - start)

    path = Path(path)
    with warnings.catch_warnings():
        # Format 3 has no agreed form of fixed-length text yet, which zarr says each time.
        warnings.simplefilter("ignore")
        write_arrays(path, chosen, x, y, start, end, swapped, names, vx, vy, errors)
    for chunk in chosen.missing_chunks:
        for name in chosen.missing_chunks_of:
            drop_chunk(path, chosen, name, chunk, vx if name == "vx" else vy)
    codes = [_spelt(chosen, n) for n in names]
    known = [np.where(np.isfinite(e) & (e > 0.0), e, np.nan) for e in errors]
    return TinyCube(
        path=path,
        options=chosen,
        x=x,
        y=y,
        start=start,
        end=end,
        swapped=swapped,
        usable=usable,
        mission=mission,
        satellite_1=np.where(swapped, codes[1], codes[0]),
        satellite_2=np.where(swapped, codes[0], codes[1]),
        vx_error=known[0],
        vy_error=known[1],
        vx=vx,
        vy=vy,
        true_vx=true_vx,
        true_vy=true_vy,
    )


def _axes(o: CubeOptions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, top = {3413: (-200_000.0, -2_200_000.0), 32718: (600_000.0, 4_500_000.0)}.get(
        o.epsg, (700_000.0, 3_400_000.0)
    )
    x = np.ceil(left / 120.0) * 120.0 + 52.5 + 120.0 * np.arange(o.cols)
    y = np.floor(top / 120.0) * 120.0 - 52.5 - 120.0 * np.arange(o.rows)
    return x, (y[::-1].copy() if o.y_ascending else y)


def _pairs(
    o: CubeOptions, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[NDArray[np.str_]], NDArray[np.str_]]:
    kinds = [k for k in _KINDS if o.codes != "number" or k[2][0] == "L"]
    share = np.array([k[4] for k in kinds], dtype=float)
    pick = rng.choice(len(kinds), size=o.n_pairs, p=share / share.sum())
    step = np.array([k[3] for k in kinds])[pick]
    count = np.where(step == 12.0, 1, np.ceil(rng.exponential(6.0, o.n_pairs)))
    start = 17_250.0 + np.floor(rng.uniform(0.0, 1_500.0, o.n_pairs)) + 0.4
    # Real spans are a few seconds off whole days.
    end = start + step * count + np.round(rng.uniform(-9.0, 9.0, o.n_pairs)) / 86_400.0
    names = [np.array([k[i] for k in kinds], dtype="<U2")[pick] for i in (0, 1)]
    mission = np.array([k[2] for k in kinds], dtype="<U5")[pick]
    names[0][: o.unknown], names[1][: o.unknown], mission[: o.unknown] = "Q", "Q", "other"
    repeats = int(o.repeated * o.n_pairs)
    if repeats:
        source = rng.integers(0, o.n_pairs - repeats, repeats)
        for values in (start, end, *names, mission):
            values[o.n_pairs - repeats :] = values[source]
    order = rng.permutation(o.n_pairs) if o.shuffled else np.argsort(start + end, kind="stable")
    return start[order], end[order], [n[order] for n in names], mission[order]


def _spoil_dates(
    o: CubeOptions, start: NDArray[np.float64], end: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Change dates in place; which pairs are stored the wrong way round, and which are usable."""
    rows = np.arange(o.n_pairs)
    swapped = rows < o.swapped
    zero = (rows >= o.swapped) & (rows < o.swapped + o.zero_length)
    end[zero] = start[zero]
    gone = rows[o.n_pairs - o.missing_dates :]
    start[gone[::2]] = np.nan
    end[gone[1::2]] = np.nan
    return swapped, np.isfinite(start) & np.isfinite(end) & ~zero


def _observe(
    o: CubeOptions,
    rng: np.random.Generator,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    true_vx: NDArray[np.float64],
    true_vy: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shape = (o.n_pairs, o.rows, o.cols)
    years = np.nan_to_num((0.5 * (start + end) - 17_750.0) / 365.25)[:, None, None]
    values = [
        true_vx + o.trend * years + o.noise * rng.standard_normal(shape),
        true_vy + o.noise * rng.standard_normal(shape),
    ]
    values = [np.rint(v) if o.velocity == "int16" else v.astype(np.float32).astype(float) for v in values]
    gone = rng.random(shape) < o.gaps
    gone[rng.random(o.n_pairs) < o.empty] = True
    if o.complete_pixel is not None:
        gone[(slice(None), *o.complete_pixel)] = False
    lost = rng.random(shape)
    values[0][gone | (lost < o.masks_differ)] = np.nan
    values[1][gone | (lost > 1.0 - o.masks_differ)] = np.nan
    return values[0], values[1]


def _errors(
    o: CubeOptions, rng: np.random.Generator, span: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if o.errors == "absent":
        return np.full(o.n_pairs, np.nan), np.full(o.n_pairs, np.nan)
    base = 2.0 + 100.0 / np.maximum(np.nan_to_num(np.abs(span), nan=30.0), 2.0)
    out = [(base * rng.uniform(0.8, 1.2, o.n_pairs)).astype(np.float32).astype(float) for _ in "xy"]
    if o.errors == "holes":
        out[0][::7], out[1][::7] = -32_767.0, -32_767.0
        out[0][3::11] = np.nan
        out[1][5::13] = 0.0
        out[0][6::17] = -1.0
    return out[0], out[1]


def _spelt(o: CubeOptions, names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Codes as a reader should give them: of a code cut to one character only the mission is left."""
    if o.codes != "cut":
        return names
    return np.where(np.char.str_len(names) == 2, np.char.add("S", names.astype("<U1")), names)
