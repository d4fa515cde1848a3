"""The level of the bands that are drawn and told: one place for the number and its words."""

from __future__ import annotations

from statistics import NormalDist

__all__ = ["BAND_LEVEL", "BAND_REACH", "BAND_WORDS"]

BAND_LEVEL = 0.95
"""Probability that the truth lies within a band, if its assumptions hold."""
BAND_REACH = NormalDist().inv_cdf(0.5 + BAND_LEVEL / 2)
"""Half the width of a band, in standard deviations."""
BAND_WORDS = f"{100 * BAND_LEVEL:g} %"
"""The level as a person reads it."""
