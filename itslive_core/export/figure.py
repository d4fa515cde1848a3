"""Figures of results for a paper or a talk: PNG or SVG, with a caption and what is to be cited."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core._version import __version__
from itslive_core.errors import OutputError, SettingsError
from itslive_core.export.files import FIGURE_SUFFIXES, check_output, replacing
from itslive_core.series import VARIABLES
from itslive_core.series.citation import REFERENCES

if TYPE_CHECKING:
    import os

    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["write_figure"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B5B95", "#000000")
"""Okabe and Ito (2008), "Color Universal Design": told apart with the common colour vision deficiencies."""
_MOST_CURVES = len(_COLOURS)
_SIZES = {"series": (8.0, 4.6), "line": (8.0, 4.8), "area": (7.0, 6.4)}
_KILOMETRE = 1e3


@dataclass(frozen=True, eq=False)
class _Curve:
    """A series: its times, and a variable with its limits."""

    name: str
    time: NDArray[np.datetime64]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def write_figure(
    file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    variable: str = "v",
    date: str | None = None,
    station: str | None = None,
) -> Path:
    """Draw a result: series with their band, a line in time, or the map of an area.

    Parameters
    ----------
    file : path
        A ``.nc``, ``.csv`` or ``.parquet`` of one point or of many, the ``.nc`` of a line, or a ``.nc`` or
        ``.zarr`` of an area, of this package.
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    variable : str
        What is shown: ``v``, ``vx``, ``vy``, ``v_std`` ..., of an area also ``trend`` and others of (y, x).
    date : str, optional
        Of an area: the cell that holds this day is shown, instead of the median in time.
    station : str, optional
        Of many points: only this one.

    Returns
    -------
    pathlib.Path
        The figure.

    Raises
    ------
    OutputError
        If the result cannot be read, or the figure cannot be written.
    SettingsError
        If there is no such variable, station or date.
    """
    path = check_output(path, FIGURE_SUFFIXES)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("figures need matplotlib: pip install matplotlib") from error

    opened = _open(Path(file))
    with rc_context({"svg.hashsalt": "itslive", "svg.fonttype": "none", "font.size": 9.0}):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        if isinstance(opened, list):
            figure.set_size_inches(_SIZES["series"])
            caption = _draw_curves(axes, _of_tables(opened, variable, station), variable)
        else:
            with opened as ds:
                caption = _draw(figure, axes, ds, variable, date, station)
        figure.supxlabel(textwrap.fill(f"{caption} Data: {REFERENCES}", 118), fontsize=6.5, x=0.01, ha="left")
        # No date of making: the same result gives the same file.
        kind = path.suffix.lower().lstrip(".")
        told = {"png": {"Description": caption}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        with replacing(path) as partial:
            figure.savefig(partial, format=kind, dpi=200, metadata=told)
    return path


def _open(path: Path) -> Any:
    """Open a result: a dataset, or the tables of its points."""
    if not path.exists():
        raise OutputError(f"{path} does not exist: name a file that this program wrote")
    try:
        import pandas as pd
        import xarray as xr

        suffix = path.suffix.lower()
        if suffix in (".csv", ".parquet"):
            table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
            if "time" not in table:
                raise OutputError(f"{path} is no series: there is no column time")
            if "name" not in table:
                return [("", table)]
            return [(str(name), rows) for name, rows in table.groupby("name", sort=False)]
        engine: dict[str, Any] = {"engine": "zarr"} if path.is_dir() else {}
        return xr.open_dataset(path, chunks=None, **engine)
    except (OSError, ValueError, RuntimeError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise OutputError(f"{path} cannot be read ({first}): name a file that this program wrote") from error


def _of_tables(tables: list[tuple[str, pd.DataFrame]], variable: str, station: str | None) -> list[_Curve]:
    import pandas as pd

    found = []
    for name, table in tables:
        if station not in (None, name):
            continue
        columns = {str(column).partition(" [")[0]: table[column] for column in table.columns}
        if variable not in columns or columns[variable].dtype.kind not in "fi":
            raise SettingsError(f"there is no {variable!r} in the table: choose from {', '.join(columns)}")
        time = pd.to_datetime(columns["time"], utc=True).dt.tz_localize(None).to_numpy()
        known = {
            key: values.to_numpy(dtype=np.float64)
            for key, values in columns.items()
            if values.dtype.kind in "fi"
        }
        found.append(_Curve(name, time, known[variable], *_limits(known, variable)))
    return _some(found, [name for name, _ in tables], station)


def _some(found: list[_Curve], names: list[str], station: str | None) -> list[_Curve]:
    if not found:
        raise SettingsError(f"there is no station {station!r}: choose from {', '.join(names[:20])}")
    if len(found) > _MOST_CURVES:
        raise SettingsError(
            f"{len(found)} stations are too many for one figure: choose one with --station, of"
            f" {', '.join(names[:20])}"
        )
    return found


def _limits(known: Any, variable: str) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Give the 95 % band of a variable, where it has one."""
    if variable == "v" and "v_lower" in known:
        return np.asarray(known["v_lower"]), np.asarray(known["v_upper"])
    if f"{variable}_std" in known:
        values, reach = np.asarray(known[variable]), 1.96 * np.asarray(known[f"{variable}_std"])
        return values - reach, values + reach
    return None, None


def _draw(
    figure: Figure, axes: Axes, ds: xr.Dataset, variable: str, date: str | None, station: str | None
) -> str:
    """Draw a dataset on axes; returns the caption."""
    if variable not in ds.data_vars or ds[variable].dtype.kind not in "fi":
        numbers = [str(name) for name in ds.data_vars if ds[name].dtype.kind == "f"]
        raise SettingsError(f"there is no {variable!r} in the file: choose from {', '.join(numbers)}")
    dims = ds[variable].dims
    where = _place(ds)
    if dims == ("time",) or dims == ("station", "time"):
        figure.set_size_inches(_SIZES["series"])
        curves, names = [], [""]
        rows = [ds]
        if "station" in dims:
            names = [str(name) for name in ds["station_name"].values]
            rows = [ds.isel(station=k) for k, name in enumerate(names) if station in (None, name)]
        for row in rows:
            name = str(row["station_name"].values) if "station" in dims else ""
            known = {n: row[n].values for n in row.data_vars if row[n].dims == ("time",)}
            curves.append(_Curve(name, row["time"].values, known[variable], *_limits(known, variable)))
        return _draw_curves(axes, _some(curves, names, station), variable) + where + _made(ds)
    label, unit = _label(variable, ds[variable].attrs)
    if set(dims) == {"time", "distance"}:
        figure.set_size_inches(_SIZES["line"])
        distance = ds["distance"].values / _KILOMETRE
        shown = axes.pcolormesh(
            ds["time"].values,
            distance,
            ds[variable].transpose("distance", "time").values,
            shading="nearest",
            cmap="viridis",
        )
        axes.set_ylabel("Distance along the line [km]")
        figure.colorbar(shown, ax=axes, label=f"{label} [{unit}]")
        return f"{label} along a line.{_made(ds)}"
    if dims[-2:] != ("y", "x"):
        raise SettingsError(f"{variable!r} has the dimensions {', '.join(map(str, dims))}: nothing to draw")
    figure.set_size_inches(_SIZES["area"])
    values, when = _map_of(ds, variable, date)
    degrees = ds["x"].attrs.get("units") == "degrees_east"
    scale, words = (1.0, "[degree]") if degrees else (_KILOMETRE, "[km]")
    x, y = ds["x"].values / scale, ds["y"].values / scale
    shown = axes.pcolormesh(x, y, values, shading="nearest", cmap="viridis", rasterized=True)
    axes.set_aspect("equal" if not degrees else 1.0 / max(np.cos(np.radians(float(y.mean()))), 0.05))
    axes.set_xlabel(f"{'Longitude' if degrees else 'x'} {words}")
    axes.set_ylabel(f"{'Latitude' if degrees else 'y'} {words}")
    axes.ticklabel_format(useOffset=False, style="plain")
    figure.colorbar(shown, ax=axes, label=f"{label} [{unit}]", shrink=0.8)
    return f"{label}{when}.{_made(ds)}"


def _map_of(ds: xr.Dataset, variable: str, date: str | None) -> tuple[NDArray[Any], str]:
    """Give the plane that is shown, and its time in words."""
    shown = ds[variable]
    if "time" not in shown.dims:
        return shown.values, ""
    if date is None:
        if variable == "v":  # of the vector: speeds of noise do not average to zero
            vx, vy = (_median(ds[name].values) for name in ("vx", "vy"))
            return np.hypot(vx, vy), ", of the median velocity over all times"
        return _median(shown.values), ", median over all times"
    try:
        day = np.datetime64(date, "ns")
    except ValueError:
        raise SettingsError(f"{date!r} is no date: give one such as 2019-07-01") from None
    begins, ends = ds["time_bnds"].values.T
    at = np.flatnonzero((begins <= day) & (day < ends))
    if not len(at):
        raise SettingsError(
            f"no cell holds {date}: there are those from {_day(begins[0])} to {_day(ends[-1])}"
        )
    k = int(at[0])
    return shown.isel(time=k).values, f", {_day(begins[k])} to {_day(ends[k])}"


def _median(values: NDArray[Any]) -> NDArray[np.float64]:
    """Give the median in time of each pixel; NaN, and no warning, where there is none."""
    out = np.full(values.shape[1:], np.nan)
    known = np.isfinite(values).any(axis=0)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out


def _draw_curves(axes: Axes, curves: list[_Curve], variable: str) -> str:
    label, unit = _label(variable, {})
    for curve, colour in zip(curves, _COLOURS, strict=False):
        axes.plot(curve.time, curve.values, color=colour, lw=1.2, label=curve.name)
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.time, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
    axes.set_ylabel(f"{label} [{unit}]")
    axes.grid(visible=True, lw=0.3)
    if any(curve.name for curve in curves):
        axes.legend(frameon=False)
    band = "; shaded is the 95 % band" if any(curve.low is not None for curve in curves) else ""
    return f"{label}{band}."


def _label(variable: str, attributes: Any) -> tuple[str, str]:
    known = {**VARIABLES.get(variable, {}), **attributes}
    words = str(known.get("long_name", variable)).partition(":")[0].partition(",")[0]
    return words[0].upper() + words[1:], str(known.get("units", "m/yr"))


def _place(ds: xr.Dataset) -> str:
    """Say where a point is."""
    if "lon" not in ds.variables or ds["lon"].ndim or not np.isfinite(float(ds["lon"])):
        return ""
    return f" At longitude {float(ds['lon']):.4f}, latitude {float(ds['lat']):.4f}."


def _made(ds: xr.Dataset) -> str:
    """Say how a result was made."""
    attributes = ds.attrs
    method = str(attributes.get("method", "estimate")).replace("_", " ")
    means = f", means: {attributes['means']}" if "means" in attributes else ""
    updated = f" Cubes of {attributes['cube_date_updated']}." if attributes.get("cube_date_updated") else ""
    version = attributes.get("itslive_core_version", __version__)
    pairs = attributes.get("n_pairs_used")
    used = f" of {int(pairs):,} image pairs" if pairs is not None else ""
    return f" {method[0].upper() + method[1:]}{used}{means}, itslive-dashboard {version}.{updated}"


def _day(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))
