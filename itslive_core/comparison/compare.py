"""How far a series is from a reference, over the windows that both have."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.comparison.reference import Reference, as_reference
from itslive_core.errors import ItsliveError, SelectionError, SettingsError

if TYPE_CHECKING:
    import os

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Comparison", "Statistics", "compare"]

_LEAST_COVER = 0.9
_UNITS = "m/yr"


@dataclass(frozen=True)
class Statistics:
    """Differences of series less reference.

    Parameters
    ----------
    n : int
        Windows.
    bias, rmse, mae : float
        Mean, root mean square and mean absolute difference [m/yr].
    """

    n: int
    bias: float
    rmse: float
    mae: float

    @classmethod
    def of(cls, difference: NDArray[np.float64]) -> Statistics:
        """Sum up differences."""
        mean, square = float(difference.mean()), float(np.sqrt((difference**2).mean()))
        return cls(len(difference), mean, square, float(np.abs(difference).mean()))


@dataclass(frozen=True)
class Comparison(Statistics):
    """A comparison: the statistics of the speed, and more.

    Parameters
    ----------
    n, bias, rmse, mae
        Of the speed, see `Statistics`.
    components : dict of Statistics
        ``vx`` and ``vy``, where the reference has them.
    n_reference : int
        Values of the reference that entered.
    table : DataFrame
        ``start``, ``end``, and series and reference side by side: ``v``, ``v_reference``, ...
    problems : tuple of str
        Rows of the reference that could not be used.
    """

    components: dict[str, Statistics] = field(default_factory=dict)
    n_reference: int = 0
    table: pd.DataFrame = field(default=None, compare=False, repr=False)
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain values for JSON."""

        def plain(one: Statistics) -> dict[str, Any]:
            return {"n": one.n, "bias": one.bias, "rmse": one.rmse, "mae": one.mae}

        parts = {name: plain(one) for name, one in self.components.items()}
        return {**plain(self), "units": _UNITS, **parts, "n_reference": self.n_reference}


def compare(
    series: xr.Dataset | str | os.PathLike[str],
    reference: Any,
    *,
    station: str | None = None,
    least_cover: float = _LEAST_COVER,
) -> Comparison:
    """Hold a series against a reference.

    A reference value is a mean over its own span, and is held against the mean of the series over that span:
    of the velocity, whose length is the speed. Values of instants are averaged over each cell of the series
    first: a cell is a mean, too.

    Parameters
    ----------
    series : xarray.Dataset or path
        With ``time_bnds``, and ``vx`` and ``vy`` or ``v`` [m/yr]: what an estimator returned, or its .nc or
        .csv file.
    reference : path or DataFrame
        See `itslive_core.comparison.reference.as_reference`.
    station : str, optional
        Which one, of a file of many.
    least_cover : float
        Share of a window that cells with a value must cover.

    Returns
    -------
    Comparison

    Raises
    ------
    SelectionError
        If both have no window in common.
    ItsliveError
        If one of them cannot be read.
    """
    if not 0.0 < least_cover <= 1.0:
        raise SettingsError(f"least_cover is {least_cover!r}: give a number above 0, up to 1")
    cells = _cells_of(series, station)
    known = as_reference(reference)
    first, last, ours, theirs, used = (_in_cells if known.instants else _in_spans)(cells, known, least_cover)
    if len(first) == 0:
        raise SelectionError(
            "the series and the reference have no window in common:"
            f" {_range(cells.start, cells.end)} and {_range(known.start, known.end)}"
        )
    for values in (ours, theirs):
        if "v" not in values:
            values["v"] = np.hypot(values["vx"], values["vy"])
    columns: dict[str, Any] = {"start": _dates(first), "end": _dates(last)}
    found: dict[str, Statistics] = {}
    for name in ("v", "vx", "vy"):
        if name in ours and name in theirs:
            columns[name], columns[f"{name}_reference"] = ours[name], theirs[name]
            found[name] = Statistics.of(ours[name] - theirs[name])
    import pandas as pd

    speed = found.pop("v")
    return Comparison(
        speed.n, speed.bias, speed.rmse, speed.mae, found, used, pd.DataFrame(columns), known.problems
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells with a value: begin and end [days since 1970-01-01], and values [m/yr]."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]]


_Matched = tuple[
    "NDArray[np.float64]",
    "NDArray[np.float64]",
    "dict[str, NDArray[np.float64]]",
    "dict[str, NDArray[np.float64]]",
    int,
]


def _in_spans(cells: _Cells, known: Reference, least_cover: float) -> _Matched:
    """Average the series over the spans of the reference."""
    size = len(known.start)
    cover, means = np.zeros(size), {name: np.zeros(size) for name in cells.values}
    for row, (begin, end) in enumerate(zip(known.start, known.end, strict=True)):
        low, high = np.searchsorted(cells.end, begin, "right"), np.searchsorted(cells.start, end, "left")
        share = np.minimum(cells.end[low:high], end) - np.maximum(cells.start[low:high], begin)
        total = share.sum()
        if total > 0.0:
            cover[row] = total / (end - begin)
            for name, values in cells.values.items():
                means[name][row] = share @ values[low:high] / total
    keep = cover >= least_cover - 1e-9
    ours = {name: values[keep] for name, values in means.items()}
    if "vx" in ours:
        ours["v"] = np.hypot(ours["vx"], ours["vy"])
    theirs = {name: values[keep] for name, values in known.values.items()}
    return known.start[keep], known.end[keep], ours, theirs, int(keep.sum())


def _in_cells(cells: _Cells, known: Reference, _: float) -> _Matched:
    """Average the instants of the reference over the cells."""
    at = np.searchsorted(cells.start, known.start, "right") - 1
    inside = at >= 0
    inside[inside] = known.start[inside] < cells.end[at[inside]]
    here, place = np.unique(at[inside], return_inverse=True)
    count = np.bincount(place, minlength=len(here))
    theirs = {
        name: np.bincount(place, values[inside], minlength=len(here)) / np.maximum(count, 1)
        for name, values in known.values.items()
    }
    ours = {name: values[here] for name, values in cells.values.items()}
    return cells.start[here], cells.end[here], ours, theirs, int(inside.sum())


def _cells_of(series: xr.Dataset | str | os.PathLike[str], station: str | None) -> _Cells:
    import xarray as xr

    if isinstance(series, xr.Dataset):
        return _of_dataset(series, station)
    path = Path(series)
    if not path.is_file():
        raise ItsliveError(f"there is no file {path}: name the .nc or .csv of a series")
    if path.suffix.lower() == ".csv":
        return _of_table(path, station)
    try:
        with xr.open_dataset(path) as ds:
            return _of_dataset(ds.load(), station)
    except (OSError, ValueError) as error:
        if isinstance(error, ItsliveError):
            raise
        raise ItsliveError(f"{path} cannot be read: name the .nc or .csv of a series") from error


def _of_dataset(ds: xr.Dataset, station: str | None) -> _Cells:
    if "station" in ds.dims:
        names = [str(name) for name in ds["station_name"].values]
        ds = ds.isel(station=names.index(_chosen(names, station)))
    if "time_bnds" not in ds or "v" not in ds or ds["v"].dims != ("time",):
        raise ItsliveError("that is no series of one point: it has no v(time) with time_bnds")
    edges = _days(ds["time_bnds"].values)
    names_ = ("vx", "vy") if {"vx", "vy"} <= set(ds.data_vars) else ("v",)
    return _with_values(edges[:, 0], edges[:, 1], {n: ds[n].values.astype(float) for n in names_})


def _of_table(path: Path, station: str | None) -> _Cells:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"name": str})
        if "name" in table:
            table = table[table["name"] == _chosen(list(dict.fromkeys(table["name"])), station)]
        edges = [_days(pd.to_datetime(table[name]).to_numpy()) for name in ("time_start", "time_end")]
        values = {name: table[f"{name} [m/yr]"].to_numpy(float) for name in ("vx", "vy")}
    except (KeyError, ValueError) as error:
        if isinstance(error, ItsliveError):
            raise
        raise ItsliveError(f"{path} is no series of this program ({error}): name its .nc or .csv") from error
    return _with_values(edges[0], edges[1], values)


def _chosen(names: list[str], station: str | None) -> str:
    few = ", ".join(names[:5])
    if station is None:
        if len(names) == 1:
            return names[0]
        raise SettingsError(f"the file has {len(names)} stations ({few} ...): choose one")
    if station not in names:
        raise SettingsError(f"the file has no station {station!r}: choose from {few} ...")
    return station


def _with_values(
    start: NDArray[np.float64], end: NDArray[np.float64], values: dict[str, NDArray[np.float64]]
) -> _Cells:
    keep = np.all([np.isfinite(one) for one in values.values()], axis=0)
    cells = _Cells(start[keep], end[keep], {name: one[keep] for name, one in values.items()})
    if not keep.any():
        raise SelectionError("the series has no value")
    return cells


def _days(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    days: NDArray[np.float64] = (times - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "D")
    return days


def _dates(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return np.rint(days * 86_400e3).astype("int64").astype("datetime64[ms]")


def _range(start: NDArray[np.float64], end: NDArray[np.float64]) -> str:
    if len(start) == 0:
        return "none at all"
    first, last = (str(date)[:10] for date in _dates(np.array([start.min(), end.max()])))
    return f"{first} to {last}"
