"""The series that come out: names, units, attributes, interval of the speed, direction, quality.

`dataset` describes; `rice` gives the interval of the speed; `direction` the azimuth; `quality` says what
each cell rests on, and `warnings` says it in sentences. All estimators call the same functions, at points
and in areas.
"""

from __future__ import annotations

from itslive_core.series.dataset import (
    DERIVED,
    TIME_ATTRIBUTES,
    VARIABLES,
    add_place,
    common_attributes,
    derived_columns,
    filter_attributes,
    grid_mapping,
    point_dataset,
    speed_and_std,
    time_coordinates,
    with_warnings,
)
from itslive_core.series.rice import speed_interval

__all__ = [
    "DERIVED",
    "TIME_ATTRIBUTES",
    "VARIABLES",
    "add_place",
    "common_attributes",
    "derived_columns",
    "filter_attributes",
    "grid_mapping",
    "point_dataset",
    "speed_and_std",
    "speed_interval",
    "time_coordinates",
    "with_warnings",
]
