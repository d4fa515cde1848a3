"""Numbers that several rooms share: one home each, so that they cannot differ."""

from __future__ import annotations

__all__ = ["DAYS_PER_YEAR", "MAD_TO_STD", "MONTHS_PER_YEAR", "RAYLEIGH_MEDIAN"]

DAYS_PER_YEAR = 365.25
"""Length of a year [days]."""

MONTHS_PER_YEAR = 12

MAD_TO_STD = 1.4826
"""Standard deviation of normal numbers over the median of their distances from their median."""

RAYLEIGH_MEDIAN = 1.1774
"""Median length of a standard normal vector of two components, sqrt(2 log 2)."""
