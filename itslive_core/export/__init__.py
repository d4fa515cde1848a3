"""Results as files: CF NetCDF and CSV of a point, CSV of image pairs, GeoTIFF of an area.

Every file is written whole beside its target and then renamed over it, so that a reader never meets half a
file and a failure leaves what was there. An area's Zarr store is written block by block by
`itslive_core.jobs`.
"""

from __future__ import annotations

from itslive_core.export.files import (
    AREA_SUFFIXES,
    PAIRS_SUFFIXES,
    PROFILE_SUFFIXES,
    SEASON_SUFFIXES,
    SERIES_SUFFIXES,
    check_output,
)
from itslive_core.export.geotiff import write_area
from itslive_core.export.grids import Grid, read_grid
from itslive_core.export.point import write_pairs, write_profile, write_season, write_series
from itslive_core.export.regrid import write_area_like
from itslive_core.export.stations import (
    StationsWritten,
    write_station_pairs,
    write_station_seasons,
    write_station_series,
)
from itslive_core.export.tables import (
    PAIRS_COLUMNS,
    SEASON_COLUMNS,
    SERIES_COLUMNS,
    pairs_table,
    season_table,
    series_table,
)
from itslive_core.export.zipped import zip_store

__all__ = [
    "AREA_SUFFIXES",
    "PAIRS_COLUMNS",
    "Grid",
    "PAIRS_SUFFIXES",
    "PROFILE_SUFFIXES",
    "SEASON_COLUMNS",
    "SEASON_SUFFIXES",
    "SERIES_COLUMNS",
    "SERIES_SUFFIXES",
    "StationsWritten",
    "check_output",
    "pairs_table",
    "read_grid",
    "season_table",
    "series_table",
    "write_area",
    "write_area_like",
    "write_pairs",
    "write_profile",
    "write_season",
    "write_series",
    "write_station_pairs",
    "write_station_seasons",
    "write_station_series",
    "zip_store",
]
