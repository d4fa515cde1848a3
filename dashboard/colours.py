"""Colours, the same everywhere. All are told apart with any of the common colour vision deficiencies."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACCENT",
    "COAST",
    "CRITERION_COLOURS",
    "GROUP_COLOUR",
    "LEFT_OUT_COLOUR",
    "LEFT_OUT_LABEL",
    "LAND",
    "MARKER",
    "MISSION_COLOURS",
    "MISSION_LABELS",
    "OUTLINE",
    "PERIOD_COLOURS",
    "POINT_COLOURS",
    "REFERENCE_COLOUR",
    "REFERENCE_EDGE",
    "REJECTED_COLOUR",
    "REJECTED_LABEL",
    "SPEED_MAP",
    "partner_colour",
    "step_colour",
    "step_label",
]

# Okabe and Ito (2008), "Color Universal Design": the densest missions have the calmest hues.
MISSION_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "S1": "#E69F00",
        "S2": "#56B4E9",
        "L4_5": "#CC79A7",
        "L7": "#D55E00",
        "L8_9": "#009E73",
        "NISAR": "#9DBF63",
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
        "NISAR": "NISAR",
        "other": "Other",
    }
)

# The curves lie on top of the missions' bars: stronger hues, readable on white and on dark grey.
POINT_COLOURS = (
    *("#2F6BFF", "#D6336C", "#8E5BD9", "#A5673F", "#0FA3A3", "#1B7F4B"),
    *("#B8860B", "#4C4CB8", "#C45BAA", "#6A8D1F", "#7A8794", "#E4572E"),
)
"""Of as many points as can be compared; where colours are hard to tell apart, names in the list help."""

PERIOD_COLOURS = ("#0B6FA4", "#B8860B")
"""Of both periods that a person brushes."""

ACCENT = "#0B6FA4"
OUTLINE = "#E8590C"
LAND = "#8FA3B0"
COAST = "#7B8F9C"
SPEED_MAP = "viridis"
MARKER = "#D9480F"
CRITERION_COLOURS: Mapping[str, str] = MappingProxyType({"evidence": "#2F8FC9", "gcv": "#9A7B4F"})
GROUP_COLOUR = "#7A8B99"
REFERENCE_COLOUR, REFERENCE_EDGE = "#FFD400", "#8A7300"
"""Yellow with a dark edge is seen on white and on dark grey, over all missions."""
REJECTED_COLOUR = "#9AA5AD"
REJECTED_LABEL = "Rejected"
LEFT_OUT_COLOUR = "#B3446C"
LEFT_OUT_LABEL = "Left out"

# Tol (2021), "Colour schemes", the muted one: apart from the missions' hues, and from one another.
_STEP_COLOURS = MappingProxyType(
    {
        "dates": "#88CCEE",
        "span": "#DDCC77",
        "mission": "#44AA99",
        "satellite": "#332288",
        "leave_out": LEFT_OUT_COLOUR,
        "max_error": "#882255",
        "max_angle": "#AA4499",
        "max_deviation": "#999933",
        "span_consistency": "#CC6677",
        "no_weight": "#8C8C8C",
    }
)
_STEP_LABELS = MappingProxyType(
    {
        "read": "Read from the cube",
        "components": "Both components",
        "valid_dates": "Valid dates",
        "duplicates": "Stored more than once",
        "dates": "Dates",
        "span": "Span",
        "mission": "Mission",
        "satellite": "Satellite",
        "leave_out": LEFT_OUT_LABEL,
        "max_error": "Formal error",
        "max_angle": "Angle to the flow",
        "max_deviation": "Deviation from the median",
        "span_consistency": "Locked long pairs",
        "no_weight": "Hardly any weight in the robust fit",
    }
)


def partner_colour(colour: str) -> str:
    """Return the colour of a second curve of a point: far from that of its first one."""
    blue, crimson, *_, orange = POINT_COLOURS
    return blue if colour in (crimson, orange) else crimson


def step_colour(name: str) -> str:
    """Return the colour of what a filter took; one that is not known yet is grey."""
    return _STEP_COLOURS.get(name, REJECTED_COLOUR)


def step_label(name: str) -> str:
    """Return the name of a filter as a person reads it."""
    return _STEP_LABELS.get(name, name.replace("_", " ").capitalize())
