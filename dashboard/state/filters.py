"""Which image pairs are used, as a person chooses them."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import param

from itslive_core import PairSelection
from itslive_core.observations.left_out import parse_left_out
from itslive_core.observations.missions import MISSIONS

__all__ = ["DATE_BOUNDS", "MOST_LEFT_OUT", "SPAN_BOUNDS", "Filters"]

DATE_BOUNDS = (dt.date(1982, 1, 1), dt.date(2035, 12, 31))
"""From the first Landsat 4 images onward."""

SPAN_BOUNDS = (0, 800)
"""Days. ITS_LIVE pairs reach 545 days; the ends of the slider mean no limit."""

MOST_LEFT_OUT = 100
"""Pairs and images that can be left out one by one: a link must hold them all."""


class Filters(param.Parameterized):
    """Filters on metadata: dates, mission and span of the image pairs, and what is left out by hand."""

    FIELDS: ClassVar = ("start", "end", "missions", "span", "leave_out")
    """What a person sets."""

    start = param.CalendarDate(default=None, bounds=DATE_BOUNDS, allow_None=True, label="From")
    end = param.CalendarDate(default=None, bounds=DATE_BOUNDS, allow_None=True, label="To")
    missions = param.ListSelector(default=list(MISSIONS), objects=list(MISSIONS), label="Missions")
    span = param.Range(default=SPAN_BOUNDS, bounds=SPAN_BOUNDS, step=1, label="Span [days]")
    leave_out = param.List(default=[], item_type=str, doc="Pairs and images left out by hand, by name.")

    def to_core(self) -> PairSelection:
        """Return the core's selection. Limits at the ends of a slider are no limits.

        Raises
        ------
        itslive_core.errors.SettingsError
            If the first date lies after the last, or no mission is left.
        """
        from itslive_core.errors import SettingsError

        if not self.missions:
            raise SettingsError("no mission is chosen: switch at least one on under Data")
        if self.start and self.end and self.start > self.end:
            raise SettingsError(
                f"the dates {self.start} to {self.end} hold no pair: put the earlier date first"
            )
        low, high = self.span
        return PairSelection(
            start=self.start.isoformat() if self.start else None,
            end=self.end.isoformat() if self.end else None,
            mission=tuple(self.missions) if len(self.missions) < len(MISSIONS) else None,
            min_span=float(low) if low > SPAN_BOUNDS[0] else None,
            max_span=float(high) if high < SPAN_BOUNDS[1] else None,
            leave_out=tuple(self.leave_out) or None,
        )

    def leave(self, name: str) -> None:
        """Leave out a pair or an image.

        Raises
        ------
        itslive_core.errors.SettingsError
            If it is none, or there are too many already.
        """
        from itslive_core.errors import SettingsError

        names = list(parse_left_out([*self.leave_out, name]))
        if len(names) > MOST_LEFT_OUT:
            raise SettingsError(
                f"{MOST_LEFT_OUT} pairs and images are left out already, and a link holds no more: leave out"
                " a whole image or mission, or narrow the dates and spans under Data"
            )
        self.leave_out = names

    def take_back(self, *names: str) -> None:
        """Use pairs and images again that were left out; without a name all of them."""
        self.leave_out = [one for one in self.leave_out if names and one not in names]

    def reset(self) -> None:
        """Use all pairs again."""
        values: dict[str, Any] = {"start": None, "end": None, "missions": list(MISSIONS), "span": SPAN_BOUNDS}
        self.param.update(**values, leave_out=[])
