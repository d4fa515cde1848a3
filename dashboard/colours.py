"""Colours, the same everywhere. All are told apart with any of the common colour vision deficiencies."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACCENT",
    "COAST",
    "LAND",
    "MISSION_COLOURS",
    "MISSION_LABELS",
    "OUTLINE",
    "POINT_COLOURS",
    "REJECTED_COLOUR",
    "REJECTED_LABEL",
    "SPEED_MAP",
]

# Okabe and Ito (2008), "Color Universal Design": the densest missions have the calmest hues.
MISSION_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "S1": "#E69F00",
        "S2": "#56B4E9",
        "L4_5": "#CC79A7",
        "L7": "#D55E00",
        "L8_9": "#009E73",
        "other": "#6B5B95",
    }
)

MISSION_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "S1": "Sentinel-1",
        "S2": "Sentinel-2",
        "L4_5": "Landsat 4/5",
        "L7": "Landsat 7",
        "L8_9": "Landsat 8/9",
        "other": "Other",
    }
)

# The curves lie on top of the missions' bars: stronger hues, readable on white and on dark grey.
POINT_COLOURS = ("#2F6BFF", "#D6336C", "#8E5BD9", "#A5673F", "#0FA3A3", "#E4572E")

ACCENT = "#0B6FA4"
OUTLINE = "#E8590C"
LAND = "#8FA3B0"
COAST = "#7B8F9C"
SPEED_MAP = "viridis"
REJECTED_COLOUR = "#9AA5AD"
REJECTED_LABEL = "Rejected as outliers"
