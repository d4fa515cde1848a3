"""Tables as GeoParquet: each row at its place, in longitude and latitude."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from itslive_core.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["is_parquet", "require_parquet", "write_geoparquet"]

_TIMES = ("time", "time_start", "time_end", "start", "end")


def is_parquet(path: Path) -> bool:
    """Tell whether a name asks for GeoParquet."""
    return path.suffix.lower() == ".parquet"


def require_parquet() -> None:
    """Find out before a long computation whether GeoParquet can be written.

    Raises
    ------
    OutputError
        If its library is missing.
    """
    if find_spec("pyarrow") is None:
        raise OutputError(
            "GeoParquet needs pyarrow, which is not here: pip install 'itslive-dashboard[parquet]', or end"
            " the name in .csv"
        )


def write_geoparquet(table: pd.DataFrame, path: Path, *, lon: Any = None, lat: Any = None) -> None:
    """Write a table with a point for each row (GeoParquet 1.0, WGS 84), dates as times in UTC.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns ``lon`` and ``lat`` [degrees], or those of `lon` and `lat`.
    path : Path
    lon, lat : float, optional
        Of all rows; they become the first columns.
    """
    import geopandas as gpd
    import pandas as pd

    if lon is not None:
        table = table.copy(deep=False)
        for at, (name, value) in enumerate((("lon", lon), ("lat", lat))):
            table.insert(at, name, float(value))
    times = {name: pd.to_datetime(table[name], utc=True) for name in _TIMES if name in table}
    table = table.assign(**times)
    places = gpd.points_from_xy(table["lon"], table["lat"])
    frame = gpd.GeoDataFrame(table, geometry=places, crs="EPSG:4326")
    frame.to_parquet(path, index=False, compression="zstd")
