"""The tables that the CSV files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.export.georeference import epsg_of, wkt_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs

__all__ = [
    "PAIRS_COLUMNS",
    "SEASON_COLUMNS",
    "SERIES_COLUMNS",
    "iso_dates",
    "pairs_table",
    "season_table",
    "series_table",
    "write_table",
]

# Ten digits keep every velocity to a thousandth of a millimetre a year, every coordinate to the millimetre.
_FLOAT_FORMAT = "%.10g"

SERIES_COLUMNS = (
    "time",
    "time_start",
    "time_end",
    "vx [m/yr]",
    "vy [m/yr]",
    "v [m/yr]",
    "vx_std [m/yr]",
    "vy_std [m/yr]",
    "v_std [m/yr]",
    "n_pairs",
    "coverage",
    "epsg",
    "x [m]",
    "y [m]",
    "v_lower [m/yr]",
    "v_upper [m/yr]",
    "azimuth [degree]",
    "azimuth_std [degree]",
    "quality",
)
PAIRS_COLUMNS = (
    "start",
    "end",
    "span [d]",
    "vx [m/yr]",
    "vy [m/yr]",
    "v [m/yr]",
    "vx_error [m/yr]",
    "vy_error [m/yr]",
    "mission",
    "satellite_1",
    "satellite_2",
    "epsg",
    "x [m]",
    "y [m]",
)

SEASON_COLUMNS = (
    "year",
    "n_pairs",
    "speed [m/yr]",
    "speed_std [m/yr]",
    "amplitude [m/yr]",
    "amplitude_std [m/yr]",
    "day [d]",
    "day_std [d]",
    "trend [m/yr2]",
    "trend_std [m/yr2]",
    "epsg",
    "x [m]",
    "y [m]",
)


def series_table(ds: xr.Dataset) -> pd.DataFrame:
    """Lay out the series of one point.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.invert` returned: dimension ``time``, n cells.

    Returns
    -------
    pandas.DataFrame
        n rows, the columns `SERIES_COLUMNS`; dates as ISO 8601 text, UTC.
    """
    import pandas as pd

    bounds = ds["time_bnds"].values
    columns: dict[str, Any] = {
        "time": iso_dates(ds["time"].values),
        "time_start": iso_dates(bounds[:, 0]),
        "time_end": iso_dates(bounds[:, 1]),
    }
    for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"):
        columns[f"{name} [m/yr]"] = ds[name].values
    columns["n_pairs"] = ds["n_pairs"].values
    columns["coverage"] = ds["coverage"].values
    columns["epsg"] = epsg_of(ds)
    for name in ("x", "y"):
        columns[f"{name} [m]"] = float(ds[name]) if name in ds.coords else np.nan
    for name in SERIES_COLUMNS[len(columns) :]:
        variable = name.partition(" ")[0]
        # Files of the first version have none of these.
        columns[name] = ds[variable].values if variable in ds else None
    table = pd.DataFrame(columns, columns=list(SERIES_COLUMNS), index=range(ds.sizes["time"]))
    return _with_projection(table, wkt_of(ds))


def season_table(ds: xr.Dataset) -> pd.DataFrame:
    """Lay out the season of one point: the mean season in the first row, then that of each year.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.fit_season` returned: dimension ``year``, n years.

    Returns
    -------
    pandas.DataFrame
        1 + n rows, the columns `SEASON_COLUMNS`; the year of the first row is "all", and only it has a trend.
    """
    import pandas as pd

    def column(mean: str, yearly: str) -> list[float]:
        return [float(ds[mean]), *ds[yearly].values]

    columns: dict[str, Any] = {"year": ["all", *(str(year) for year in ds["year"].values)]}
    columns["n_pairs"] = [int(ds.attrs["n_pairs_used"]), *ds["year_n_pairs"].values]
    for suffix in ("", "_std"):
        columns[f"speed{suffix} [m/yr]"] = column(f"mean_speed{suffix}", f"year_speed{suffix}")
        columns[f"amplitude{suffix} [m/yr]"] = column(f"season_amplitude{suffix}", f"year_amplitude{suffix}")
        columns[f"day{suffix} [d]"] = column(f"season_day{suffix}", f"year_day{suffix}")
        columns[f"trend{suffix} [m/yr2]"] = [float(ds[f"trend{suffix}"]), *np.full(ds.sizes["year"], np.nan)]
    columns["epsg"] = epsg_of(ds, "mean_speed")
    for name in ("x", "y"):
        columns[f"{name} [m]"] = float(ds[name])
    return _with_projection(pd.DataFrame(columns, columns=list(SEASON_COLUMNS)), wkt_of(ds, "mean_speed"))


def pairs_table(pairs: ImagePairs) -> pd.DataFrame:
    """Lay out image pairs.

    Parameters
    ----------
    pairs : ImagePairs
        n pairs of one pixel.

    Returns
    -------
    pandas.DataFrame
        n rows, the columns `PAIRS_COLUMNS`; dates as ISO 8601 text, UTC, with milliseconds.
    """
    table = pairs.to_dataframe()
    for name in ("start", "end"):
        table[name] = np.datetime_as_string(table[name].to_numpy().astype("datetime64[ms]"))
    names = {name: f"{name} [m/yr]" for name in ("vx", "vy", "v", "vx_error", "vy_error")}
    table = table.rename(columns=names | {"span": "span [d]"})
    table["epsg"] = pairs.epsg or None
    table["x [m]"] = np.nan if pairs.x is None else pairs.x
    table["y [m]"] = np.nan if pairs.y is None else pairs.y
    return _with_projection(table[list(PAIRS_COLUMNS)], pairs.crs_wkt)


def _with_projection(table: pd.DataFrame, wkt: str | None) -> pd.DataFrame:
    """Add the projection as WKT in the column ``crs`` where it has no EPSG code; x and y were lost else."""
    if wkt is None or not table["epsg"].isna().all():
        return table
    return table.assign(crs=" ".join(wkt.split()))


def write_table(table: pd.DataFrame, target: Any, *, header: bool = True) -> None:
    """Write a table as CSV.

    Parameters
    ----------
    table : pandas.DataFrame
    target : path or file of text
    header : bool
        Name the columns first.
    """
    table.to_csv(target, index=False, header=header, float_format=_FLOAT_FORMAT, lineterminator="\n")


def iso_dates(times: NDArray[np.datetime64]) -> NDArray[np.str_]:
    """Write dates as ISO 8601: all to the second, or all to the millisecond where a second is not enough.

    Parameters
    ----------
    times : ndarray of datetime64, shape (n,)

    Returns
    -------
    ndarray of str, shape (n,)
    """
    whole = times.astype("datetime64[s]")
    return np.datetime_as_string(whole if np.array_equal(whole, times) else times.astype("datetime64[ms]"))
